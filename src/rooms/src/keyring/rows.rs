//! The rows of signing keys.

use serde::{Deserialize, Serialize};
use wardstead_engine::AccessPattern;
use wardstead_store::{Table, row};

/// This server's signing keys over time: one row.
pub(crate) const KEYRING: Table<KeyringRow> = Table::new(AccessPattern::Point, 0x051, "signing_keyring", "rooms");
/// This server's first signing key, from before there were others.
pub(crate) const SIGNING_KEYS: Table<SigningKeyRow> = Table::new(AccessPattern::Point, 0x050, "signing_keys", "rooms");

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SigningKeyRow {
    /// What follows `ed25519:` in the key id.
    pub(crate) version: String,
    pub(crate) seed: [u8; 32],
    pub(crate) created_ms: u64,
}
row!(SigningKeyRow, 1);

/// Versioned. The oldest key first.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeyringRow {
    pub(crate) keys: Vec<KeyringKey>,
}
row!(KeyringRow, 1);

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeyringKey {
    /// What follows `ed25519:` in the key id.
    pub(crate) version: String,
    pub(crate) public: [u8; 32],
    /// `None` once the key has expired.
    pub(crate) seed: Option<[u8; 32]>,
    pub(crate) created_ms: u64,
    /// When it begins to sign.
    pub(crate) from_ms: u64,
    /// When it ceases to.
    pub(crate) until_ms: Option<u64>,
}
