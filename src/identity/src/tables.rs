//! Rows of this crate. Nobody else reads or writes them.

use serde::{Deserialize, Serialize};
use wardstead_engine::{AccessPattern, Key};
use wardstead_store::Table;

/// Registration tokens: `0 | SHA-256 of the token`. Versioned: each use asserts the version that it read.
pub(crate) const REGISTRATION_TOKENS: Table<RegistrationTokenRow> =
    Table::new(AccessPattern::Point, 0x080, "registration_tokens", "identity");
/// The token with which the first account is made: one cell with its hash. Versioned.
pub(crate) const FIRST_TOKEN: Table<FirstTokenRow> =
    Table::new(AccessPattern::Point, 0x081, "first_registration_token", "identity");
/// The key under which user-interactive sessions are MAC'd: one cell, the same for all nodes.
pub(crate) const SESSION_KEY: Table<SessionKeyRow> =
    Table::new(AccessPattern::Point, 0x082, "uia_session_key", "identity");
/// User-interactive sessions with which something was done: `0 | expiry | nonce`. Ordered by expiry, so that those that are
/// past are one range. Versioned: each change asserts the version that it read.
pub(crate) const SESSIONS: Table<SessionRow> = Table::new(AccessPattern::Churn, 0x083, "uia_sessions", "identity");

/// Wrong passwords: `0 | hour | hash of account and address, account, or address`. Versioned: each asserts what it was added to. Ordered
/// by hour, so that those that are past are one range.
pub(crate) const FAILED_LOGINS: Table<FailedLoginsRow> =
    Table::new(AccessPattern::Churn, 0x08c, "failed_logins", "identity");
/// From where accounts have signed in: `0 | window | hash of account and address`. Ordered by window, for the same reason.
pub(crate) const KNOWN_PLACES: Table<KnownPlaceRow> =
    Table::new(AccessPattern::Churn, 0x08d, "known_places", "identity");

/// Bytes of a hash by which accounts and addresses are told apart.
pub(crate) const SUBJECT_BYTES: usize = 16;

/// Login tokens: `0 | expiry | SHA-256 of the token`. Ordered by expiry, so that those that are past are one range. Versioned.
pub(crate) const LOGIN_TOKENS: Table<LoginTokenRow> =
    Table::new(AccessPattern::Churn, 0x088, "login_tokens", "identity");
/// OpenID tokens: `0 | expiry | SHA-256 of the token`.
pub(crate) const OPENID_TOKENS: Table<OpenidTokenRow> =
    Table::new(AccessPattern::Churn, 0x089, "openid_tokens", "identity");

/// By which it is known whether a password is still the same: the beginning of the SHA-256 of its salted hash.
pub(crate) type PasswordMark = [u8; 16];

/// Bytes of a SHA-256.
pub(crate) const HASH_BYTES: usize = 32;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RegistrationTokenRow {
    /// `None`: any number. A token without uses left is removed.
    pub uses_left: Option<u32>,
    /// Whether the account made with it is an administrator's.
    pub admin: bool,
    /// From when on it is refused, in milliseconds since 1970.
    pub expires_ms: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FirstTokenRow {
    pub hash: [u8; HASH_BYTES],
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SessionKeyRow {
    pub key: [u8; HASH_BYTES],
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SessionRow {
    /// Codes of the stages that are done, in order.
    pub stages: Vec<u8>,
    /// SHA-256 of the registration token that was shown.
    pub token: Option<[u8; HASH_BYTES]>,
    /// Of the password that was shown: it confirms for as long as it is the user's.
    pub password: Option<PasswordMark>,
    /// Whether the act was done: the session is good for nothing more.
    pub used: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FailedLoginsRow {
    /// When the bucket is full again, in microseconds since 1970.
    pub full_us: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KnownPlaceRow;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LoginTokenRow {
    /// Whom it lets in.
    pub user_id: String,
    /// Short id of the device on which it was made.
    pub device: u64,
    /// Of the user's password then; `None` where they had none.
    pub password: Option<PasswordMark>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OpenidTokenRow {
    pub user_id: String,
}

wardstead_store::row!(LoginTokenRow, 2);
wardstead_store::row!(OpenidTokenRow, 1);
wardstead_store::row!(RegistrationTokenRow, 1);
wardstead_store::row!(FirstTokenRow, 1);
wardstead_store::row!(SessionKeyRow, 1);
wardstead_store::row!(SessionRow, 3);
wardstead_store::row!(FailedLoginsRow, 1);
wardstead_store::row!(KnownPlaceRow, 1);

pub(crate) fn registration_token_key(hash: &[u8; HASH_BYTES]) -> Key {
    REGISTRATION_TOKENS.key(0).fixed(hash).key()
}

pub(crate) fn first_token_key() -> Key {
    FIRST_TOKEN.key(0).key()
}

pub(crate) fn session_key_key() -> Key {
    SESSION_KEY.key(0).key()
}
