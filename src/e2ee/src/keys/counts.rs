//! How many one-time keys a device has, and which fallback keys nobody has used (Client-Server API, Extensions to /sync).

use std::{collections::BTreeMap, sync::Arc};

use quick_cache::sync::Cache;
use wardstead_engine::{KeyReader, Position, ScanRange};
use wardstead_limits::e2ee as limits;
use wardstead_store::{Found, StoreError};

use super::{
    Keys,
    tables::{FALLBACK_KEYS, KEY_CHANGES, ONE_TIME_KEYS, OneTimeKeyRow, key_change_key},
};

/// The algorithm whose count is always told: clients take a count that is not there for one that did not change.
const ALWAYS_TOLD: &str = "signed_curve25519";

/// What a device is told of its own keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyCounts {
    /// One-time keys that nobody has claimed, by algorithm. `signed_curve25519` is among them, be it with 0.
    pub one_time: BTreeMap<String, u64>,
    /// Algorithms with a fallback key that nobody was given.
    pub unused_fallback: Vec<String>,
    /// Where the keys last changed; zero: never. Entries of kind [`wardstead_store::kind::KEY_COUNTS`] tell of it.
    pub changed: Position,
}

impl KeyCounts {
    fn none(changed: Position) -> Self {
        let one_time = BTreeMap::from([(ALWAYS_TOLD.to_owned(), 0)]);
        Self { one_time, unused_fallback: Vec::new(), changed }
    }
}

/// What was counted.
#[derive(Clone)]
struct Entry {
    /// So it is, but for what the journal says after this.
    as_of: Position,
    /// Up to here a restore took things back.
    restored: Position,
    counts: Arc<KeyCounts>,
}

/// Counts by the device's short id. An entry holds while the device's last change is the same: read from the engine, or, for who tells the
/// device of it, known from the journal.
pub(super) struct Counted(Cache<u64, Entry>);

impl Default for Counted {
    fn default() -> Self {
        Self(Cache::new(limits::COUNTED_DEVICES_BYTES / limits::COUNTED_DEVICE_BYTES))
    }
}

impl Keys {
    /// What the device with this short id is told of its keys: not older than its last change when this is called. One small read where
    /// nothing changed since this node last looked.
    ///
    /// # Errors
    /// The store's.
    pub async fn counts(&self, device: u64) -> Result<Arc<KeyCounts>, StoreError> {
        let restored = self.store.epochs().restored_at();
        // Before the reads, which may see more.
        let as_of = self.store.position();
        let change = self.store.get(&KEY_CHANGES, &key_change_key(device)).await?;
        let changed = change.map_or(Position::ZERO, |found| found.position());
        let counts = match self.counted.0.get(&device) {
            Some(entry) if entry.counts.changed == changed && entry.restored == restored => entry.counts,
            _ if changed == Position::ZERO => Arc::new(KeyCounts::none(changed)),
            _ => Arc::new(self.count(device, changed, restored).await?),
        };
        self.counted.0.insert(device, Entry { as_of, restored, counts: Arc::clone(&counts) });
        Ok(counts)
    }

    /// The same, not older than where the tail has arrived: what an answer for that position tells, and nothing is decided by. No read where
    /// memory knows that the keys have not changed since they were counted.
    ///
    /// # Errors
    /// The store's.
    pub async fn counts_told(&self, device: u64) -> Result<Arc<KeyCounts>, StoreError> {
        if let Some(entry) = self.counted.0.get(&device)
            && entry.restored == self.store.epochs().restored_at()
            && self.store.waits_since(device, entry.as_of) == Some(false)
        {
            return Ok(entry.counts);
        }
        self.counts(device).await
    }

    /// Name, bytes and bound in bytes of the counts that are remembered, for the metrics (promise P6).
    #[must_use]
    pub fn counted_figures(&self) -> (&'static str, u64, u64) {
        let bytes = self.counted.0.len() * limits::COUNTED_DEVICE_BYTES;
        ("counted_keys", bytes as u64, limits::COUNTED_DEVICES_BYTES as u64)
    }

    async fn count(&self, device: u64, changed: Position, restored: Position) -> Result<KeyCounts, StoreError> {
        let mut counts = KeyCounts::none(changed);
        let rows = self.store.scan_all(&ONE_TIME_KEYS, ScanRange::scope(ONE_TIME_KEYS.id(), device)).await?;
        for found in rows {
            let (algorithm, uploaded) = place_of(&found)?;
            if uploaded >= restored {
                *counts.one_time.entry(algorithm).or_default() += 1;
            }
        }
        let rows = self.store.scan_all(&FALLBACK_KEYS, ScanRange::scope(FALLBACK_KEYS.id(), device)).await?;
        for found in rows.into_iter().filter(|found| !found.row.used && found.position() >= restored) {
            let algorithm = KeyReader::new(&found.key).text();
            counts.unused_fallback.push(algorithm.ok_or_else(|| super::corrupt(&found.key, "not an algorithm"))?);
        }
        Ok(counts)
    }
}

/// Of which algorithm a one-time key is, and where it was uploaded.
fn place_of(found: &Found<OneTimeKeyRow>) -> Result<(String, Position), StoreError> {
    let mut reader = KeyReader::new(&found.key);
    reader.text().zip(reader.position()).ok_or_else(|| super::corrupt(&found.key, "not the place of a one-time key"))
}
