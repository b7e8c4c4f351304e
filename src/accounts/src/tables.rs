//! Rows of this crate. Nobody else reads or writes them.

use serde::{Deserialize, Serialize};
use wardstead_engine::{AccessPattern, Key, Position};
use wardstead_store::{Table, Timers};

/// Name to short id: `0 | server | localpart`. Ordered, so that a server's users are one range; a row is never removed, so
/// that a name is never given to somebody else.
pub(crate) const NAMES: Table<NameRow> = Table::new(AccessPattern::Scan, 0x020, "user_names", "accounts");
/// Users by short id: `user`. Versioned.
pub(crate) const USERS: Table<UserRow> = Table::new(AccessPattern::Point, 0x021, "users", "accounts");
/// Devices: `user | device id`. Versioned.
pub(crate) const DEVICES: Table<DeviceRow> = Table::new(AccessPattern::Scan, 0x022, "devices", "accounts");
/// Access tokens: `0 | SHA-256 of the token`.
pub(crate) const TOKENS: Table<TokenRow> = Table::new(AccessPattern::Point, 0x023, "access_tokens", "accounts");
/// Access and refresh tokens of a device: `user | device short id | SHA-256 of the token`.
pub(crate) const DEVICE_TOKENS: Table<DeviceTokenRow> =
    Table::new(AccessPattern::Scan, 0x024, "device_tokens", "accounts");
/// The session floor: `0`, one cell. Its version is the generation of tokens.
pub(crate) const FLOOR: Table<FloorRow> = Table::new(AccessPattern::Point, 0x025, "session_floor", "accounts");
/// Account data: `user | room (0: of no room) | type`. Versioned; its position is that of its last change.
pub(crate) const ACCOUNT_DATA: Table<AccountDataRow> =
    Table::new(AccessPattern::Scan, 0x026, "account_data", "accounts");
/// What account data changed last at a position: `user | position`. One row for each row of [`ACCOUNT_DATA`].
pub(crate) const ACCOUNT_DATA_LOG: Table<AccountDataLogRow> =
    Table::new(AccessPattern::Scan, 0x027, "account_data_log", "accounts");
/// Users who are erased: `user`. Its position is that of the erasure. That of 0 says that somebody was.
pub(crate) const ERASURES: Table<ErasureRow> = Table::new(AccessPattern::Point, 0x028, "erasures", "accounts");
/// Filters that clients have stored: `user | id`. A row never changes.
pub(crate) const FILTERS: Table<FilterRow> = Table::new(AccessPattern::Scan, 0x036, "filters", "accounts");
/// When removed account data is forgotten.
pub(crate) static TOMBSTONES: Timers<TombstoneRow> =
    Timers::new(Table::new(AccessPattern::Churn, 0x037, "account_data_tombstones", "accounts"));

/// Refresh tokens: `0 | SHA-256 of the token`.
pub(crate) const REFRESH_TOKENS: Table<TokenRow> =
    Table::new(AccessPattern::Point, 0x02c, "refresh_tokens", "accounts");
/// When and from where devices were last seen: `user | device short id`. Versioned.
pub(crate) const LAST_SEEN: Table<LastSeenRow> = Table::new(AccessPattern::Scan, 0x02d, "last_seen", "accounts");
/// Users of whom devices remain that the end of all sessions has made void: a [`wardstead_store::Queue`], its lane is the user.
pub(crate) const VOID_DEVICES: Table<VoidDevicesRow> =
    Table::new(AccessPattern::Churn, 0x02e, "void_devices", "accounts");

/// Random bytes from which, with a refresh token, the next pair is made.
pub(crate) type Seed = [u8; HASH_BYTES];

/// Bytes of a SHA-256.
pub(crate) const HASH_BYTES: usize = 32;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NameRow {
    pub user: u64,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts")]
pub(crate) struct UserRow {
    /// The full id, for the way back from the short id.
    pub user_id: String,
    /// PHC string; `None` where the user signs in another way.
    pub password_hash: Option<String>,
    pub admin: bool,
    pub deactivated: bool,
    /// Whether the user asked, when leaving, that nobody who comes later sees what they wrote.
    pub erased: bool,
    pub created_ms: u64,
    /// Whether it is a guest's.
    pub guest: bool,
    /// To which documents the user agreed when registering: each with its version.
    pub agreed: Vec<(String, String)>,
    /// Raised by whatever ends all of the user's sessions. A token issued below it is void, whether or not its row is gone.
    pub session: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DeviceRow {
    /// Short id. A device that is removed and made again under the same name is another device.
    pub device: u64,
    pub display_name: Option<String>,
    pub created_ms: u64,
    /// The user's session number when somebody last signed in on it. A device of a lower one than the user's is void.
    pub session: u64,
    /// Tokens of lower ranks were replaced, by newer ones that were used or by signing in again.
    pub least_rank: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TokenRow {
    pub user: u64,
    pub device: u64,
    pub device_id: String,
    /// The generation of tokens at issue.
    pub generation: u64,
    /// The user's session number at issue.
    pub session: u64,
    /// How many pairs of tokens of its device came before it.
    pub rank: u32,
    /// From when on it is refused, in milliseconds since 1970; of access tokens only.
    pub expires_ms: Option<u64>,
    /// Of refresh tokens only: what the pair that the token is exchanged for is made from, together with the token itself.
    pub seed: Option<Seed>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DeviceTokenRow {
    /// Whether it is a refresh token.
    pub refresh: bool,
    pub rank: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ErasureRow;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LastSeenRow {
    pub at_ms: u64,
    /// `None`: nobody knew.
    pub address: Option<String>,
    pub user_agent: Option<String>,
}

/// That there may be some.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct VoidDevicesRow;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FloorRow {
    pub raised_ms: u64,
    /// Tokens of lower generations are refused.
    pub lowest: u64,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AccountDataRow {
    /// A JSON object in the content envelope; `None`: it was removed.
    pub content: Option<Vec<u8>>,
    /// What stood there before, of the types of which an answer for an earlier position needs it.
    pub before: Option<BeforeRow>,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BeforeRow {
    /// Since when it stood there.
    pub position: u64,
    /// As [`AccountDataRow::content`].
    pub content: Option<Vec<u8>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AccountDataLogRow {
    /// Short id of the room; 0: of no room.
    pub room: u64,
    pub event_type: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FilterRow {
    /// A JSON object.
    pub json: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TombstoneRow {
    pub user: u64,
    /// Short id of the room; 0: of no room.
    pub room: u64,
    pub event_type: String,
    /// Of the row that says that it was removed.
    pub version: u64,
}

wardstead_store::row!(NameRow, 1);
wardstead_store::row!(UserRow, 3);
wardstead_store::row!(ErasureRow, 1);
wardstead_store::row!(DeviceRow, 2);
wardstead_store::row!(TokenRow, 3);
wardstead_store::row!(DeviceTokenRow, 2);
wardstead_store::row!(LastSeenRow, 1);
wardstead_store::row!(VoidDevicesRow, 1);
wardstead_store::row!(FloorRow, 2);
wardstead_store::row!(AccountDataRow, 2);
wardstead_store::row!(AccountDataLogRow, 1);
wardstead_store::row!(FilterRow, 1);
wardstead_store::row!(TombstoneRow, 1);

pub(crate) fn name_key(server: &str, localpart: &str) -> Key {
    NAMES.key(0).text(server).text(localpart).key()
}

pub(crate) fn erasure_key(user: u64) -> Key {
    ERASURES.key(user).key()
}

pub(crate) fn user_key(user: u64) -> Key {
    USERS.key(user).key()
}

pub(crate) fn device_key(user: u64, device_id: &str) -> Key {
    DEVICES.key(user).text(device_id).key()
}

pub(crate) fn token_key(hash: &[u8; HASH_BYTES]) -> Key {
    TOKENS.key(0).fixed(hash).key()
}

pub(crate) fn refresh_token_key(hash: &[u8; HASH_BYTES]) -> Key {
    REFRESH_TOKENS.key(0).fixed(hash).key()
}

pub(crate) fn last_seen_key(user: u64, device: u64) -> Key {
    LAST_SEEN.key(user).u64(device).key()
}

pub(crate) fn device_token_key(user: u64, device: u64, hash: &[u8; HASH_BYTES]) -> Key {
    DEVICE_TOKENS.key(user).u64(device).fixed(hash).key()
}

pub(crate) fn floor_key() -> Key {
    FLOOR.key(0).key()
}

pub(crate) fn account_data_key(user: u64, room: u64, event_type: &str) -> Key {
    ACCOUNT_DATA.key(user).u64(room).text(event_type).key()
}

pub(crate) fn account_data_log_key(user: u64, position: Position) -> Key {
    ACCOUNT_DATA_LOG.key(user).position(position).key()
}

pub(crate) fn filter_key(user: u64, id: &str) -> Key {
    FILTERS.key(user).text(id).key()
}
