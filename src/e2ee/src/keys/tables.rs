//! Rows of keys. Nobody else reads or writes them.

use serde::{Deserialize, Serialize};
use wardstead_engine::{AccessPattern, Key, Position};
use wardstead_store::{Table, row};

/// Device keys: `user | device id`. Versioned.
pub(super) const DEVICE_KEYS: Table<DeviceKeysRow> = Table::new(AccessPattern::Scan, 0x0a0, "device_keys", "e2ee");
/// Cross-signing keys: `user`. Versioned.
pub(super) const CROSS_KEYS: Table<CrossKeysRow> =
    Table::new(AccessPattern::Point, 0x0a1, "cross_signing_keys", "e2ee");
/// Signatures of a user over the master keys of others: `user who signed | user whose key it is`.
pub(super) const USER_SIGNATURES: Table<UserSignatureRow> =
    Table::new(AccessPattern::Scan, 0x0a2, "user_signatures", "e2ee");
/// One-time keys that nobody has claimed: `device short id | algorithm | position of the upload | place in it`. The first is the next one
/// to be claimed. What stands below the last restore is void.
pub(super) const ONE_TIME_KEYS: Table<OneTimeKeyRow> = Table::new(AccessPattern::Churn, 0x0a3, "one_time_keys", "e2ee");
/// Ids of one-time keys, claimed ones for a while: `device short id | algorithm | key id`.
pub(super) const ONE_TIME_KEY_IDS: Table<OneTimeKeyIdRow> =
    Table::new(AccessPattern::Scan, 0x0a4, "one_time_key_ids", "e2ee");
/// Fallback keys: `device short id | algorithm`. Versioned; its position is that of the upload.
pub(super) const FALLBACK_KEYS: Table<FallbackKeyRow> = Table::new(AccessPattern::Scan, 0x0a5, "fallback_keys", "e2ee");
/// That one-time or fallback keys of a device changed: `device short id`. Its position is that of the last change.
pub(super) const KEY_CHANGES: Table<KeyChangeRow> = Table::new(AccessPattern::Point, 0x0a6, "key_changes", "e2ee");

/// The version of rows that are written once.
pub(super) const WRITTEN_ONCE: u64 = 1;

/// A signature and the name of the key that made it, without `ed25519:`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SignatureBy {
    pub by: String,
    pub signature: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct DeviceKeysRow {
    /// Short id of the device.
    pub device: u64,
    /// What is signed: canonical JSON without `signatures` and `unsigned`.
    pub signed: String,
    /// The device's key itself, unpadded base64.
    pub ed25519: String,
    /// The device's own signature.
    pub own: Option<String>,
    /// That of the user's self-signing key. It is shown while that key is the user's.
    pub crossed: Option<SignatureBy>,
    /// What the user calls the device.
    pub name: Option<String>,
}
row!(DeviceKeysRow, 1);

/// A key of a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CrossKey {
    /// The key, unpadded base64.
    pub public: String,
    /// What is signed: canonical JSON without `signatures` and `unsigned`.
    pub signed: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CrossKeysRow {
    pub master: Option<CrossKey>,
    /// Over the master key, by the user's devices.
    pub devices: Vec<SignatureBy>,
    /// With the master key's signature.
    pub self_signing: Option<(CrossKey, String)>,
    pub user_signing: Option<(CrossKey, String)>,
}
row!(CrossKeysRow, 1);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct UserSignatureRow {
    /// The master key that is signed. The signature is shown while it is its user's.
    pub master: String,
    /// By the user-signing key.
    pub signature: SignatureBy,
}
row!(UserSignatureRow, 1);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct OneTimeKeyRow {
    pub id: String,
    /// Canonical JSON.
    pub key: String,
}
row!(OneTimeKeyRow, 1);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct OneTimeKeyIdRow {
    /// SHA-256 of the key's canonical JSON.
    pub hash: [u8; 32],
    /// When it was claimed, in milliseconds since 1970.
    pub claimed_ms: Option<u64>,
}
row!(OneTimeKeyIdRow, 1);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FallbackKeyRow {
    pub id: String,
    /// Canonical JSON.
    pub key: String,
    pub used: bool,
}
row!(FallbackKeyRow, 1);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KeyChangeRow;
row!(KeyChangeRow, 1);

pub(super) fn device_keys_key(user: u64, device_id: &str) -> Key {
    DEVICE_KEYS.key(user).text(device_id).key()
}

pub(super) fn cross_keys_key(user: u64) -> Key {
    CROSS_KEYS.key(user).key()
}

pub(super) fn user_signature_key(by: u64, user: u64) -> Key {
    USER_SIGNATURES.key(by).u64(user).key()
}

pub(super) fn one_time_key_id_key(device: u64, algorithm: &str, id: &str) -> Key {
    ONE_TIME_KEY_IDS.key(device).text(algorithm).text(id).key()
}

pub(super) fn fallback_key_key(device: u64, algorithm: &str) -> Key {
    FALLBACK_KEYS.key(device).text(algorithm).key()
}

pub(super) fn key_change_key(device: u64) -> Key {
    KEY_CHANGES.key(device).key()
}

/// Where the keys of `algorithm` that were uploaded at `from` or later begin.
pub(super) fn one_time_keys_from(device: u64, algorithm: &str, from: Position) -> Key {
    ONE_TIME_KEYS.key(device).text(algorithm).position(from).key()
}

/// Behind the last of them.
pub(super) fn one_time_keys_end(device: u64, algorithm: &str) -> Key {
    ONE_TIME_KEYS.key(device).text(algorithm).key().after_prefix()
}
