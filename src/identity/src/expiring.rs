//! Tokens that carry their expiry. The row of one is found by that and the hash of the whole: rows of tokens that are past are one
//! range, which the next token to be made removes.

use sha2::{Digest, Sha256};
use wardstead_engine::{Batch, Key};
use wardstead_limits::{Rng, accounts as limits};
use wardstead_store::{Row, Table};

use crate::tables::HASH_BYTES;

/// A token, made or presented.
pub(crate) struct ExpiringToken {
    /// Prefix, expiry, `_`, secret.
    pub(crate) text: String,
    /// From when on it is refused, in milliseconds since 1970.
    pub(crate) expires_ms: u64,
}

impl ExpiringToken {
    /// One that is good for `lifetime_ms` from now.
    pub(crate) fn issue(prefix: &str, now_ms: u64, lifetime_ms: u64, rng: &dyn Rng) -> Self {
        let expires_ms = now_ms.saturating_add(lifetime_ms);
        let secret = rng.alphanumeric(limits::ACCESS_TOKEN_CHARS);
        Self { text: format!("{prefix}{expires_ms}_{secret}"), expires_ms }
    }

    /// What `text` says of itself; `None` when it is no such token. Whether it was ever issued says its row.
    pub(crate) fn read(prefix: &str, text: &str) -> Option<Self> {
        if text.len() > limits::ACCESS_TOKEN_BYTES {
            return None;
        }
        let (expires_ms, _) = text.strip_prefix(prefix)?.split_once('_')?;
        Some(Self { expires_ms: expires_ms.parse().ok()?, text: text.to_owned() })
    }

    /// The key of its row: `0 | expiry | SHA-256 of the token`.
    pub(crate) fn key<R: Row>(&self, table: &Table<R>) -> Key {
        let hash: [u8; HASH_BYTES] = Sha256::digest(self.text.as_bytes()).into();
        table.key(0).u64(self.expires_ms).fixed(&hash).key()
    }

    /// Removes the rows of tokens that expired a whole lifetime ago: every node refuses them, however its clock goes.
    pub(crate) fn remove_past<R: Row>(batch: &mut Batch, table: &Table<R>, now_ms: u64, lifetime_ms: u64) {
        let past = table.key(0).u64(now_ms.saturating_sub(lifetime_ms)).key();
        batch.delete_range(table.key(0).key(), past);
    }
}
