//! Rooms by id and by short id. Both rows are written once, so they are cached without invalidation.

use std::sync::Arc;

use quick_cache::{Weighter, sync::Cache};
use ruma::{OwnedRoomId, RoomId, RoomVersionId, room_version_rules::RoomVersionRules};
use wardstead_engine::{Batch, Key};
use wardstead_limits::{engine::GET_KEYS, rooms as limits};
use wardstead_store::Store;

use crate::{
    RoomError, rules,
    tables::{ROOM_IDS, ROOM_NAMES, RoomIdRow, RoomNameRow},
};

/// What never changes about a room.
#[derive(Clone, Debug)]
pub struct Room {
    /// Short id.
    pub short: u64,
    /// Room id.
    pub room_id: OwnedRoomId,
    /// Version.
    pub version: RoomVersionId,
    /// The version's rules.
    pub rules: RoomVersionRules,
}

#[derive(Clone)]
struct RoomBytes;

impl<K> Weighter<K, Arc<Room>> for RoomBytes {
    fn weight(&self, _: &K, room: &Arc<Room>) -> u64 {
        (size_of::<Room>() + 2 * room.room_id.as_str().len() + 64) as u64
    }
}

pub(crate) struct Names {
    store: Store,
    by_id: Cache<OwnedRoomId, Arc<Room>, RoomBytes>,
    by_short: Cache<u64, Arc<Room>, RoomBytes>,
}

impl Names {
    pub(crate) fn new(store: Store) -> Self {
        let items = usize::try_from(limits::ROOM_CACHE_BYTES / 512).unwrap_or(usize::MAX);
        Self {
            store,
            by_id: Cache::with_weighter(items, limits::ROOM_CACHE_BYTES, RoomBytes),
            by_short: Cache::with_weighter(items, limits::ROOM_CACHE_BYTES, RoomBytes),
        }
    }

    /// Name, bytes and bound of each cache.
    pub(crate) fn caches(&self) -> Vec<(&'static str, u64, u64)> {
        vec![
            ("rooms", self.by_id.weight(), self.by_id.capacity()),
            ("room_ids", self.by_short.weight(), self.by_short.capacity()),
        ]
    }

    /// The room `room_id`; `None` where this server knows none.
    pub(crate) async fn by_id(&self, room_id: &RoomId) -> Result<Option<Arc<Room>>, RoomError> {
        if let Some(room) = self.by_id.get(room_id) {
            return Ok(Some(room));
        }
        if room_id.as_str().len() > limits::IDENTIFIER_BYTES {
            return Ok(None);
        }
        let key = id_key(room_id);
        let Some(found) = self.store.get(&ROOM_IDS, &key).await? else { return Ok(None) };
        let room = opened(&key, found.row.room, room_id.as_str(), &found.row.version)?;
        self.by_id.insert(room.room_id.clone(), Arc::clone(&room));
        Ok(Some(room))
    }

    /// The rooms `ids`, in their order, `None` where this server knows none. One read per 10,000 that are not in memory.
    pub(crate) async fn by_ids(&self, ids: &[OwnedRoomId]) -> Result<Vec<Option<Arc<Room>>>, RoomError> {
        let mut found: Vec<Option<Arc<Room>>> = ids.iter().map(|room_id| self.by_id.get(room_id)).collect();
        let short = |at: &usize| ids[*at].as_str().len() <= limits::IDENTIFIER_BYTES;
        let missing: Vec<usize> = (0..ids.len()).filter(|at| found[*at].is_none()).filter(short).collect();
        for missing in missing.chunks(GET_KEYS) {
            let keys: Vec<Key> = missing.iter().map(|at| id_key(&ids[*at])).collect();
            for ((at, key), row) in missing.iter().zip(&keys).zip(self.store.get_many(&ROOM_IDS, &keys).await?) {
                let Some(row) = row.map(|found| found.row) else { continue };
                let room = opened(key, row.room, ids[*at].as_str(), &row.version)?;
                self.by_id.insert(room.room_id.clone(), Arc::clone(&room));
                found[*at] = Some(room);
            }
        }
        Ok(found)
    }

    /// The rooms with these short ids, in their order, with at most one read.
    pub(crate) async fn by_short(&self, rooms: &[u64]) -> Result<Vec<Arc<Room>>, RoomError> {
        let mut found: Vec<Option<Arc<Room>>> = rooms.iter().map(|room| self.by_short.get(room)).collect();
        let missing: Vec<usize> = (0..rooms.len()).filter(|at| found[*at].is_none()).collect();
        if !missing.is_empty() {
            let keys: Vec<Key> = missing.iter().map(|at| ROOM_NAMES.key(rooms[*at]).key()).collect();
            for ((at, key), row) in missing.iter().zip(&keys).zip(self.store.get_many(&ROOM_NAMES, &keys).await?) {
                let row = row.ok_or_else(|| RoomError::corrupt(key, "a room that something leads to is missing"))?.row;
                let room = opened(key, rooms[*at], &row.room_id, &row.version)?;
                self.by_short.insert(room.short, Arc::clone(&room));
                found[*at] = Some(room);
            }
        }
        Ok(found.into_iter().flatten().collect())
    }
}

pub(crate) fn id_key(room_id: &RoomId) -> Key {
    ROOM_IDS.key(0).text(room_id.as_str()).key()
}

/// Adds both rows of a new room.
pub(crate) fn put(batch: &mut Batch, room: &Room) {
    let version = room.version.as_str().to_owned();
    let id_row = RoomIdRow { room: room.short, version: version.clone() };
    ROOM_IDS.put(batch, id_key(&room.room_id), &id_row);
    let name_row = RoomNameRow { room_id: room.room_id.as_str().to_owned(), version };
    ROOM_NAMES.put(batch, ROOM_NAMES.key(room.short).key(), &name_row);
}

fn opened(key: &Key, short: u64, room_id: &str, version: &str) -> Result<Arc<Room>, RoomError> {
    let corrupt = || RoomError::corrupt(key, "not a room of a version that this server knows");
    let version = RoomVersionId::try_from(version).map_err(|_| corrupt())?;
    let rules = rules(&version).ok_or_else(corrupt)?;
    let room_id = RoomId::parse(room_id).map_err(|_| corrupt())?;
    Ok(Arc::new(Room { short, room_id, version, rules }))
}
