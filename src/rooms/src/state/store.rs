//! Loading and storing snapshots.

use std::{ops::RangeInclusive, sync::Arc};

use quick_cache::{Weighter, sync::Cache};
use wardstead_engine::{Batch, Key};
use wardstead_limits::rooms as limits;
use wardstead_store::{Row, Store, Table};

use crate::{
    RoomError,
    tables::{BASES, BaseRow, CHUNKS, ChunkRow, SNAPSHOTS, SnapshotRow},
};

use super::{
    Base, Change, Chunk, ChunkRef, Chunks, Entry, Piece, Snapshot, View, diff, merge, needed_chunks, snapshot,
    touched_chunks,
};

/// A snapshot, base or chunk. They have one space of ids.
#[derive(Clone, Debug)]
pub(crate) enum Part {
    Snapshot(Arc<Snapshot>),
    Base(Arc<Base>),
    Chunk(Arc<Chunk>),
}

/// Parts that are queued but not yet committed.
pub(crate) trait Local: Sync {
    fn part(&self, id: u64) -> Option<Part>;
}

/// No such parts: the reader sees what is committed.
pub(crate) struct Committed;

impl Local for Committed {
    fn part(&self, _: u64) -> Option<Part> {
        None
    }
}

#[derive(Clone)]
struct PartBytes;

impl Weighter<u64, Part> for PartBytes {
    fn weight(&self, _: &u64, part: &Part) -> u64 {
        let bytes = match part {
            Part::Snapshot(snapshot) => snapshot.weight(),
            Part::Base(base) => base.weight(),
            Part::Chunk(chunk) => chunk.weight(),
        };
        bytes as u64
    }
}

/// A snapshot after one more change, and the parts that are new with it.
#[derive(Debug)]
pub(crate) struct Advanced {
    pub(crate) snapshot: Arc<Snapshot>,
    /// All that has to be stored, the snapshot included.
    pub(crate) parts: Vec<(u64, Part)>,
}

/// Snapshots of all rooms, with a cache of their immutable parts.
pub(crate) struct StateStore {
    store: Store,
    cache: Cache<u64, Part, PartBytes>,
}

impl StateStore {
    pub(crate) fn new(store: Store) -> Self {
        // An average part is a snapshot with a half full delta.
        let items = usize::try_from(limits::SNAPSHOT_CACHE_BYTES / 512).unwrap_or(usize::MAX);
        Self { store, cache: Cache::with_weighter(items, limits::SNAPSHOT_CACHE_BYTES, PartBytes) }
    }

    /// Name, bytes and bound of the cache.
    pub(crate) fn cache(&self) -> (&'static str, u64, u64) {
        ("snapshots", self.cache.weight(), self.cache.capacity())
    }

    /// Puts parts into the cache that were just committed.
    pub(crate) fn remember(&self, parts: &[(u64, Part)]) {
        for (id, part) in parts {
            self.cache.insert(*id, part.clone());
        }
    }

    pub(crate) async fn snapshot(&self, local: &dyn Local, room: u64, id: u64) -> Result<Arc<Snapshot>, RoomError> {
        if id == 0 {
            return Ok(Arc::default());
        }
        if let Some(Part::Snapshot(found)) = self.known(local, id) {
            return Ok(found);
        }
        let SnapshotRow { base, delta } = self.load(&SNAPSHOTS, room, id).await?;
        let snapshot = Arc::new(Snapshot { id, base, delta });
        self.cache.insert(id, Part::Snapshot(Arc::clone(&snapshot)));
        Ok(snapshot)
    }

    async fn base(&self, local: &dyn Local, room: u64, id: u64) -> Result<Arc<Base>, RoomError> {
        if id == 0 {
            return Ok(Arc::default());
        }
        if let Some(Part::Base(found)) = self.known(local, id) {
            return Ok(found);
        }
        let row = self.load(&BASES, room, id).await?;
        let chunks = row.chunks.into_iter().map(|(first, id)| ChunkRef { first, id }).collect();
        let base = Arc::new(Base { id, chunks });
        self.cache.insert(id, Part::Base(Arc::clone(&base)));
        Ok(base)
    }

    async fn chunks(&self, local: &dyn Local, room: u64, ids: &[u64]) -> Result<Chunks, RoomError> {
        let mut chunks = Chunks::with_capacity(ids.len());
        let mut missing = Vec::new();
        for id in ids {
            match self.known(local, *id) {
                Some(Part::Chunk(chunk)) => drop(chunks.insert(*id, chunk)),
                _ => missing.push(*id),
            }
        }
        let keys: Vec<Key> = missing.iter().map(|id| CHUNKS.key(room).u64(*id).key()).collect();
        for keys in keys.chunks(wardstead_limits::engine::GET_KEYS) {
            let found = self.store.get_many(&CHUNKS, keys).await?;
            for (key, found) in keys.iter().zip(found) {
                let row = found.ok_or_else(|| RoomError::corrupt(key, "a chunk of state is missing"))?.row;
                let id = wardstead_engine::KeyReader::new(key).u64().unwrap_or_default();
                let chunk = Arc::new(Chunk { id, entries: row.entries });
                self.cache.insert(id, Part::Chunk(Arc::clone(&chunk)));
                chunks.insert(id, chunk);
            }
        }
        Ok(chunks)
    }

    /// The events of `keys`, in their order; 0 where there is none.
    pub(crate) async fn get(
        &self,
        local: &dyn Local,
        room: u64,
        snapshot: &Snapshot,
        keys: &[u64],
    ) -> Result<Vec<u64>, RoomError> {
        let missing = |key: &&u64| snapshot::find(&snapshot.delta, **key).is_none();
        let missing: Vec<u64> = keys.iter().filter(missing).copied().collect();
        if missing.is_empty() || snapshot.base == 0 {
            return Ok(keys.iter().map(|key| snapshot::find(&snapshot.delta, *key).unwrap_or(0)).collect());
        }
        let base = self.base(local, room, snapshot.base).await?;
        let mut ids: Vec<u64> = missing.iter().filter_map(|key| base.chunk_of(*key)).collect();
        ids.sort_unstable();
        ids.dedup();
        let chunks = self.chunks(local, room, &ids).await?;
        let in_base = |key: u64| snapshot::find(&chunks.get(&base.chunk_of(key)?)?.entries, key);
        let event = |key: &u64| snapshot::find(&snapshot.delta, *key).or_else(|| in_base(*key)).unwrap_or(0);
        Ok(keys.iter().map(event).collect())
    }

    /// The entries with keys in `keys`, ascending.
    pub(crate) async fn list(
        &self,
        local: &dyn Local,
        room: u64,
        snapshot: &Snapshot,
        keys: RangeInclusive<u64>,
    ) -> Result<Vec<Entry>, RoomError> {
        let base = self.base(local, room, snapshot.base).await?;
        let chunks = self.chunks(local, room, &base.chunks_in(&keys)).await?;
        Ok(snapshot::list(snapshot, &base, &chunks, &keys))
    }

    /// What differs between two snapshots.
    pub(crate) async fn diff(
        &self,
        local: &dyn Local,
        room: u64,
        a: &Snapshot,
        b: &Snapshot,
    ) -> Result<Vec<Change>, RoomError> {
        if a.id == b.id {
            return Ok(Vec::new());
        }
        let (base_a, base_b) = (self.base(local, room, a.base).await?, self.base(local, room, b.base).await?);
        let (a, b) = (View { snapshot: a, base: &base_a }, View { snapshot: b, base: &base_b });
        let chunks = self.chunks(local, room, &needed_chunks(&a, &b)).await?;
        Ok(diff(&a, &b, &chunks))
    }

    /// `snapshot` with one more change.
    pub(crate) async fn advance(
        &self,
        local: &dyn Local,
        room: u64,
        snapshot: &Snapshot,
        change: Entry,
    ) -> Result<Advanced, RoomError> {
        self.advance_all(local, room, snapshot, &[change]).await
    }

    /// `snapshot` with more changes. Event 0: the key has no event any more.
    pub(crate) async fn advance_all(
        &self,
        local: &dyn Local,
        room: u64,
        snapshot: &Snapshot,
        changes: &[Entry],
    ) -> Result<Advanced, RoomError> {
        let delta = snapshot.delta_with(changes);
        if delta.len() <= limits::SNAPSHOT_DELTA_ENTRIES {
            let id = self.store.next_id().await?;
            let snapshot = Arc::new(Snapshot { id, base: snapshot.base, delta });
            return Ok(Advanced { parts: vec![(id, Part::Snapshot(Arc::clone(&snapshot)))], snapshot });
        }
        let base = self.base(local, room, snapshot.base).await?;
        let chunks = self.chunks(local, room, &touched_chunks(&base, &delta)).await?;
        let pieces = merge(&base, &chunks, &delta)
            .ok_or_else(|| RoomError::corrupt(&BASES.key(room).u64(base.id).key(), "a chunk was not loaded"))?;
        self.stored(pieces).await
    }

    async fn stored(&self, pieces: Vec<Piece>) -> Result<Advanced, RoomError> {
        let new = pieces.iter().filter(|piece| matches!(piece, Piece::New(_))).count();
        let mut ids = self.store.next_ids(new + 2).await?.into_iter();
        let mut next = || ids.next().unwrap_or_default();
        let mut parts = Vec::with_capacity(new + 2);
        let chunks = pieces.into_iter().map(|piece| match piece {
            Piece::Kept(chunk) => chunk,
            Piece::New(entries) => {
                let (id, first) = (next(), entries.first().map_or(0, |entry| entry.key));
                parts.push((id, Part::Chunk(Arc::new(Chunk { id, entries }))));
                ChunkRef { first, id }
            }
        });
        let chunks = chunks.collect();
        let base = Arc::new(Base { id: next(), chunks });
        let snapshot = Arc::new(Snapshot { id: next(), base: base.id, delta: Vec::new() });
        parts.push((base.id, Part::Base(base)));
        parts.push((snapshot.id, Part::Snapshot(Arc::clone(&snapshot))));
        Ok(Advanced { snapshot, parts })
    }

    fn known(&self, local: &dyn Local, id: u64) -> Option<Part> {
        local.part(id).or_else(|| self.cache.get(&id))
    }

    async fn load<R: Row>(&self, table: &Table<R>, room: u64, id: u64) -> Result<R, RoomError> {
        let key = table.key(room).u64(id).key();
        let found = self.store.get(table, &key).await?;
        Ok(found.ok_or_else(|| RoomError::corrupt(&key, "a part of the state is missing"))?.row)
    }
}

/// Adds `part` of `room`'s state to `batch`.
pub(crate) fn put(batch: &mut Batch, room: u64, id: u64, part: &Part) {
    match part {
        Part::Snapshot(snapshot) => {
            let row = SnapshotRow { base: snapshot.base, delta: snapshot.delta.clone() };
            SNAPSHOTS.put(batch, SNAPSHOTS.key(room).u64(id).key(), &row);
        }
        Part::Base(base) => {
            let chunks = base.chunks.iter().map(|chunk| (chunk.first, chunk.id)).collect();
            BASES.put(batch, BASES.key(room).u64(id).key(), &BaseRow { chunks });
        }
        Part::Chunk(chunk) => {
            CHUNKS.put(batch, CHUNKS.key(room).u64(id).key(), &ChunkRow { entries: chunk.entries.clone() });
        }
    }
}
