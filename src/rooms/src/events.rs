//! Loading events, with a cache of the immutable ones.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use quick_cache::{Weighter, sync::Cache};
use ruma::{EventId, OwnedEventId};
use wardstead_engine::{Key, Position};
use wardstead_limits::{engine::GET_KEYS, rooms as limits};
use wardstead_store::{Found, Store};

use crate::{
    Event, Replaced, Room, RoomError, StoredEvent, TimelineKey,
    tables::{EVENTS, EventRow, STATE_EVENTS, Status, event_key},
};

#[derive(Clone)]
struct Weigh;

impl Weighter<OwnedEventId, Arc<StoredEvent>> for Weigh {
    fn weight(&self, _: &OwnedEventId, event: &Arc<StoredEvent>) -> u64 {
        event.weight()
    }
}

impl Weighter<u64, OwnedEventId> for Weigh {
    fn weight(&self, _: &u64, event_id: &OwnedEventId) -> u64 {
        64 + event_id.as_str().len() as u64
    }
}

/// Events of all rooms.
pub(crate) struct Events {
    store: Store,
    by_id: Cache<OwnedEventId, Arc<StoredEvent>, Weigh>,
    ids: Cache<u64, OwnedEventId, Weigh>,
}

impl Events {
    pub(crate) fn new(store: Store) -> Self {
        let items = |bytes: u64, each: u64| usize::try_from(bytes / each).unwrap_or(usize::MAX);
        let (events, ids) = (limits::EVENT_CACHE_BYTES, limits::EVENT_ID_CACHE_BYTES);
        Self {
            store,
            by_id: Cache::with_weighter(items(events, 2_048), events, Weigh),
            ids: Cache::with_weighter(items(ids, 128), ids, Weigh),
        }
    }

    /// Name, bytes and bound of each cache.
    pub(crate) fn caches(&self) -> Vec<(&'static str, u64, u64)> {
        vec![
            ("events", self.by_id.weight(), self.by_id.capacity()),
            ("event_ids", self.ids.weight(), self.ids.capacity()),
        ]
    }

    /// Puts an event into the cache that was just committed.
    pub(crate) fn remember(&self, event: StoredEvent) -> Arc<StoredEvent> {
        let event = Arc::new(event);
        if event.short != 0 {
            self.ids.insert(event.short, event.event_id.clone());
        }
        self.by_id.insert(event.event_id.clone(), Arc::clone(&event));
        event
    }

    /// The events `ids` of `room`, in their order; `None` where there is none. At most two reads: the events, and what they
    /// took the place of.
    pub(crate) async fn find(
        &self,
        room: &Room,
        ids: &[OwnedEventId],
    ) -> Result<Vec<Option<Arc<StoredEvent>>>, RoomError> {
        let cached = |id: &OwnedEventId| self.by_id.get(id).filter(|event| event.room == room.short);
        let mut events: Vec<Option<Arc<StoredEvent>>> = ids.iter().map(cached).collect();
        let missing: Vec<usize> = (0..ids.len()).filter(|at| events[*at].is_none()).collect();
        for missing in missing.chunks(GET_KEYS) {
            let wanted: Vec<&EventId> = missing.iter().map(|at| &*ids[*at]).collect();
            let rows = self.rows(room, &wanted).await?;
            let replaced = self.replaced(room, &rows).await?;
            for ((at, row), replaced) in missing.iter().zip(rows).zip(replaced) {
                if let Some(found) = row {
                    let event = opened(room, ids[*at].clone(), found, replaced)?;
                    events[*at] = Some(self.remember(event));
                }
            }
        }
        Ok(events)
    }

    /// The events `ids` of `room`, all of which something leads to.
    pub(crate) async fn load(&self, room: &Room, ids: &[OwnedEventId]) -> Result<Vec<Arc<StoredEvent>>, RoomError> {
        let found = self.find(room, ids).await?;
        let missing = |id: &EventId| RoomError::corrupt(&event_key(room.short, id.as_str()), "an event is missing");
        ids.iter().zip(found).map(|(id, event)| event.ok_or_else(|| missing(id))).collect()
    }

    /// The state events with these short ids, in their order. One read more where ids are not cached.
    pub(crate) async fn load_short(&self, room: &Room, shorts: &[u64]) -> Result<Vec<Arc<StoredEvent>>, RoomError> {
        let mut ids: Vec<Option<OwnedEventId>> = shorts.iter().map(|short| self.ids.get(short)).collect();
        let missing: Vec<usize> = (0..shorts.len()).filter(|at| ids[*at].is_none()).collect();
        for missing in missing.chunks(GET_KEYS) {
            let keys: Vec<Key> = missing.iter().map(|at| short_key(room.short, shorts[*at])).collect();
            let rows = self.store.get_many(&STATE_EVENTS, &keys).await?;
            for ((at, key), row) in missing.iter().zip(&keys).zip(rows) {
                let row = row.ok_or_else(|| RoomError::corrupt(key, "a state event is missing"))?.row;
                let id = EventId::parse(row.event_id).map_err(|_| RoomError::corrupt(key, "not an event id"))?;
                self.ids.insert(shorts[*at], id.clone());
                ids[*at] = Some(id);
            }
        }
        let ids: Vec<OwnedEventId> = ids.into_iter().flatten().collect();
        self.load(room, &ids).await
    }

    /// The JSON of the events `ids` of `room`, as other servers know it, in their order.
    pub(crate) async fn pdus(&self, room: u64, ids: &[OwnedEventId]) -> Result<Vec<Bytes>, RoomError> {
        let keys: Vec<Key> = ids.iter().map(|id| event_key(room, id.as_str())).collect();
        let mut pdus = Vec::with_capacity(keys.len());
        for keys in keys.chunks(GET_KEYS) {
            for (key, found) in keys.iter().zip(self.store.get_many(&EVENTS, keys).await?) {
                pdus.push(found.ok_or_else(|| RoomError::corrupt(key, "an event is missing"))?.row.pdu.0);
            }
        }
        Ok(pdus)
    }

    async fn rows(&self, room: &Room, ids: &[&EventId]) -> Result<Vec<Option<Found<EventRow>>>, RoomError> {
        let keys: Vec<Key> = ids.iter().map(|id| event_key(room.short, id.as_str())).collect();
        Ok(if keys.is_empty() { Vec::new() } else { self.store.get_many(&EVENTS, &keys).await? })
    }

    /// For each row, the state event that it took the place of.
    async fn replaced(
        &self,
        room: &Room,
        rows: &[Option<Found<EventRow>>],
    ) -> Result<Vec<Option<Replaced>>, RoomError> {
        let mut wanted = Vec::with_capacity(rows.len());
        for found in rows {
            let replaces = found.as_ref().and_then(|found| found.row.replaces.as_deref().map(|id| (found, id)));
            let id = replaces.map(|(found, id)| {
                EventId::parse(id).map_err(|_| RoomError::corrupt(&found.key, "replaces what is not an event id"))
            });
            wanted.push(id.transpose()?);
        }
        let cached = |id: &OwnedEventId| self.by_id.get(id).map(|event| Replaced::of(&event.event));
        let mut replaced: Vec<Option<Replaced>> = wanted.iter().map(|id| id.as_ref().and_then(cached)).collect();
        let missing: Vec<usize> =
            (0..rows.len()).filter(|at| wanted[*at].is_some() && replaced[*at].is_none()).collect();
        let ids: Vec<&EventId> = missing.iter().filter_map(|at| wanted[*at].as_deref()).collect();
        for ((at, id), found) in missing.iter().zip(&ids).zip(self.rows(room, &ids).await?) {
            let key = event_key(room.short, id.as_str());
            let found = found.ok_or_else(|| RoomError::corrupt(&key, "a replaced event is missing"))?;
            replaced[*at] = Some(Replaced::of(&parsed(room, (*id).to_owned(), &found.key, &found.row.pdu.0)?));
        }
        Ok(replaced)
    }
}

pub(crate) fn short_key(room: u64, short: u64) -> Key {
    STATE_EVENTS.key(room).u64(short).key()
}

fn parsed(room: &Room, event_id: OwnedEventId, key: &Key, pdu: &Bytes) -> Result<Event, RoomError> {
    Event::parse(event_id, room.room_id.clone(), pdu).map_err(|_| RoomError::corrupt(key, "not an event"))
}

fn opened(
    room: &Room,
    event_id: OwnedEventId,
    found: Found<EventRow>,
    replaced: Option<Replaced>,
) -> Result<StoredEvent, RoomError> {
    let event = parsed(room, event_id, &found.key, &found.row.pdu.0)?;
    let position = found.position();
    let EventRow { status, short, state_before, clipped, order, gap, transaction, .. } = found.row;
    let order = if status == Status::Timeline { order_of(position) } else { order };
    Ok(StoredEvent {
        timeline_key: TimelineKey { depth: clipped.unwrap_or(event.depth), order },
        gap,
        event: Arc::new(event),
        room: room.short,
        short,
        status,
        position,
        state_before,
        replaced,
        transaction,
        shared: OnceLock::new(),
    })
}

/// The order in the timeline of a live event.
pub(crate) fn order_of(position: Position) -> i64 {
    i64::try_from(position.0).unwrap_or(i64::MAX)
}
