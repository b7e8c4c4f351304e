//! What differs between two snapshots, without looking at what they share.

use std::collections::HashSet;

use super::{Base, Chunks, Snapshot, snapshot::find};

/// A state key whose event is another one in the later snapshot. 0: none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Short id of the state key.
    pub key: u64,
    /// Short id of the event before.
    pub before: u64,
    /// Short id of the event after.
    pub after: u64,
}

/// A snapshot with its base.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) base: &'a Base,
}

impl View<'_> {
    /// The event of `key`; 0 where there is none, or where its chunk is not loaded.
    fn get(&self, key: u64, chunks: &Chunks) -> u64 {
        let in_base = || find(&chunks.get(&self.base.chunk_of(key)?)?.entries, key);
        find(&self.snapshot.delta, key).or_else(in_base).unwrap_or(0)
    }

    fn unshared(&self, other: &Self) -> Vec<u64> {
        if self.base.id == other.base.id {
            return Vec::new();
        }
        let shared: HashSet<u64> = other.base.chunks.iter().map(|chunk| chunk.id).collect();
        self.base.chunks.iter().map(|chunk| chunk.id).filter(|id| !shared.contains(id)).collect()
    }
}

/// The chunks that [`diff`] has to see: those that the bases do not share, and those under the keys of the deltas.
pub(crate) fn needed_chunks(a: &View<'_>, b: &View<'_>) -> Vec<u64> {
    let mut ids = [a.unshared(b), b.unshared(a)].concat();
    for entry in a.snapshot.delta.iter().chain(&b.snapshot.delta) {
        ids.extend([a, b].iter().filter_map(|view| view.base.chunk_of(entry.key)));
    }
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// The keys whose events differ, ascending. `chunks` holds those of [`needed_chunks`].
///
/// A key found in an unshared chunk of one side may fall into a shared, so not loaded, chunk of the other. It is not in
/// there: the first side has that chunk too, and holds each key once.
pub(crate) fn diff(a: &View<'_>, b: &View<'_>, chunks: &Chunks) -> Vec<Change> {
    let unshared = [a.unshared(b), b.unshared(a)].concat();
    let in_chunks = unshared.iter().filter_map(|id| chunks.get(id)).flat_map(|chunk| &chunk.entries);
    let mut keys: Vec<u64> =
        in_chunks.chain(&a.snapshot.delta).chain(&b.snapshot.delta).map(|entry| entry.key).collect();
    keys.sort_unstable();
    keys.dedup();
    keys.into_iter()
        .map(|key| Change { key, before: a.get(key, chunks), after: b.get(key, chunks) })
        .filter(|change| change.before != change.after)
        .collect()
}
