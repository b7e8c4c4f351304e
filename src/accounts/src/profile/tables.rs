//! Rows of profiles. What people say of themselves lies in the content envelope.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use wardstead_engine::{AccessPattern, Key};
use wardstead_store::{Envelope, Queue, Table};

/// Name and picture, and how large the profile is: `user`. Versioned; whatever changes the profile states another version. Its
/// positions: when the name last changed, and when the picture did; zero: never.
pub(crate) const PROFILES: Table<ProfileRow> = Table::new(AccessPattern::Point, 0x030, "profiles", "accounts");
/// All other fields: `user | key`. Guarded by the version of [`PROFILES`].
pub(crate) const PROFILE_FIELDS: Table<ProfileFieldRow> =
    Table::new(AccessPattern::Scan, 0x031, "profile_fields", "accounts");
/// Whose name or picture has changed, and is still to be told to the user's rooms. Lane: the user.
pub(crate) static PROFILE_NEWS: Queue<ProfileNewsRow> =
    Queue::new(Table::new(AccessPattern::Churn, 0x032, "profile_news", "accounts"));

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProfileRow {
    /// JSON in the envelope; `None`: none.
    pub displayname: Option<Vec<u8>>,
    /// JSON in the envelope; `None`: none.
    pub avatar_url: Option<Vec<u8>>,
    /// Bytes of all fields in canonical JSON, each with its key, colon and comma.
    pub bytes: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProfileFieldRow {
    /// JSON in the envelope.
    pub value: Vec<u8>,
}

/// What has changed, and when, stands in the profile: whoever tells of it reads that with what it is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProfileNewsRow;

wardstead_store::row!(ProfileRow, 2);
wardstead_store::row!(ProfileFieldRow, 1);
wardstead_store::row!(ProfileNewsRow, 2);

pub(crate) fn profile_key(user: u64) -> Key {
    PROFILES.key(user).key()
}

pub(crate) fn profile_field_key(user: u64, key: &str) -> Key {
    PROFILE_FIELDS.key(user).text(key).key()
}

/// `json` in the envelope.
pub(crate) fn sealed(json: &str) -> Vec<u8> {
    Envelope::plain(json.as_bytes().to_vec()).encode().to_vec()
}

/// What was [`sealed`]; `None` for what is no envelope.
pub(crate) fn unsealed(stored: &[u8]) -> Option<Bytes> {
    Envelope::decode(&Bytes::copy_from_slice(stored)).ok().map(|envelope| envelope.0)
}
