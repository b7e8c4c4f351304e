//! Snapshots, bases and chunks, in memory.

use std::{collections::HashMap, ops::RangeInclusive, sync::Arc};

use serde::{Deserialize, Serialize};

/// One entry of the state: short ids of state key and event. Event 0 in a delta: the key has no event any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Entry {
    /// Short id of the state key.
    pub key: u64,
    /// Short id of the event.
    pub event: u64,
}

/// State at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Snapshot {
    /// 0: no state at all.
    pub(crate) id: u64,
    /// 0: an empty one.
    pub(crate) base: u64,
    /// Sorted by key.
    pub(crate) delta: Vec<Entry>,
}

/// Sorted chunks; the keys of each lie before the first key of the next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Base {
    pub(crate) id: u64,
    pub(crate) chunks: Vec<ChunkRef>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChunkRef {
    /// The chunk's first key.
    pub(crate) first: u64,
    pub(crate) id: u64,
}

/// Sorted entries, none of them for an absent event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Chunk {
    pub(crate) id: u64,
    pub(crate) entries: Vec<Entry>,
}

/// Chunks that were loaded, by id.
pub(crate) type Chunks = HashMap<u64, Arc<Chunk>>;

/// The event of `key` in sorted `entries`.
pub(crate) fn find(entries: &[Entry], key: u64) -> Option<u64> {
    entries.binary_search_by_key(&key, |entry| entry.key).ok().map(|at| entries[at].event)
}

impl Snapshot {
    /// The delta with more changes.
    pub(crate) fn delta_with(&self, changes: &[Entry]) -> Vec<Entry> {
        let mut delta = self.delta.clone();
        for change in changes {
            match delta.binary_search_by_key(&change.key, |entry| entry.key) {
                Ok(at) => delta[at] = *change,
                Err(at) => delta.insert(at, *change),
            }
        }
        delta
    }

    pub(crate) fn weight(&self) -> usize {
        64 + size_of::<Entry>() * self.delta.len()
    }
}

impl Base {
    /// Number of the chunk that holds `key` if any does.
    pub(crate) fn chunk_at(&self, key: u64) -> Option<usize> {
        if self.chunks.is_empty() {
            return None;
        }
        Some(self.chunks.partition_point(|chunk| chunk.first <= key).saturating_sub(1))
    }

    /// Id of the chunk that holds `key` if any does.
    pub(crate) fn chunk_of(&self, key: u64) -> Option<u64> {
        self.chunk_at(key).map(|at| self.chunks[at].id)
    }

    /// Ids of the chunks that may hold keys in `keys`.
    pub(crate) fn chunks_in(&self, keys: &RangeInclusive<u64>) -> Vec<u64> {
        let from = self.chunk_at(*keys.start()).unwrap_or(0);
        self.chunks[from..].iter().take_while(|chunk| chunk.first <= *keys.end()).map(|chunk| chunk.id).collect()
    }

    pub(crate) fn weight(&self) -> usize {
        64 + size_of::<ChunkRef>() * self.chunks.len()
    }
}

impl Chunk {
    pub(crate) fn weight(&self) -> usize {
        64 + size_of::<Entry>() * self.entries.len()
    }
}

/// The entries with keys in `keys`, sorted. `chunks` holds those of [`Base::chunks_in`].
pub(crate) fn list(snapshot: &Snapshot, base: &Base, chunks: &Chunks, keys: &RangeInclusive<u64>) -> Vec<Entry> {
    let stored = base.chunks_in(keys).into_iter().filter_map(|id| chunks.get(&id)).flat_map(|chunk| &chunk.entries);
    let mut stored = stored.filter(|entry| keys.contains(&entry.key)).peekable();
    let mut all = Vec::new();
    for change in snapshot.delta.iter().filter(|entry| keys.contains(&entry.key)) {
        while let Some(entry) = stored.next_if(|entry| entry.key < change.key) {
            all.push(*entry);
        }
        stored.next_if(|entry| entry.key == change.key);
        if change.event != 0 {
            all.push(*change);
        }
    }
    all.extend(stored);
    all
}
