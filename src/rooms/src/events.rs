//! Loading events, with a cache.

mod cache;

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use ruma::{EventId, OwnedEventId};
use wardstead_engine::{Key, Position};
use wardstead_limits::engine::GET_KEYS;
use wardstead_store::{Found, Store, kind};

use crate::{
    Event, Replaced, Room, RoomError, StoredEvent, TimelineKey,
    event::{Marks, relation::redacts},
    tables::{EVENTS, EventRow, STATE_EVENTS, Status, event_key},
};

pub(crate) use cache::{EventCache, Ticket, changed_key};

/// Events of all rooms.
pub(crate) struct Events {
    store: Store,
    cache: Arc<EventCache>,
}

impl Events {
    pub(crate) fn new(store: Store) -> Self {
        let cache = Arc::new(EventCache::new());
        store.watch(kind::EVENT_CHANGED, Arc::clone(&cache) as _);
        Self { store, cache }
    }

    pub(crate) fn cache(&self) -> &EventCache {
        &self.cache
    }

    /// Puts an event into the cache that was just committed, or was read, after `ticket` was taken.
    pub(crate) fn remember(&self, ticket: Ticket, event: StoredEvent) -> Arc<StoredEvent> {
        let event = Arc::new(event);
        self.cache.insert(ticket, &event);
        event
    }

    /// The events `ids` of `room`, in their order; `None` where there is none. At most three reads: the events,
    /// what they took the place of, what redacted them.
    pub(crate) async fn find(
        &self,
        room: &Room,
        ids: &[OwnedEventId],
    ) -> Result<Vec<Option<Arc<StoredEvent>>>, RoomError> {
        let ticket = self.cache.ticket();
        let cached = |id: &OwnedEventId| self.cache.get(id).filter(|event| event.room == room.short);
        let mut events: Vec<Option<Arc<StoredEvent>>> = ids.iter().map(cached).collect();
        let missing: Vec<usize> = (0..ids.len()).filter(|at| events[*at].is_none()).collect();
        for missing in missing.chunks(GET_KEYS) {
            let wanted: Vec<&EventId> = missing.iter().map(|at| &*ids[*at]).collect();
            let rows = self.rows(room, &wanted).await?;
            let replaced = self.replaced(room, &rows).await?;
            let redactions = self.redactions(room, &rows).await?;
            for (((at, row), replaced), redaction) in missing.iter().zip(rows).zip(replaced).zip(redactions) {
                if let Some(found) = row {
                    let event = opened(room, ids[*at].clone(), found, replaced, redaction)?;
                    events[*at] = Some(if event.is_final() { self.remember(ticket, event) } else { Arc::new(event) });
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
        let mut ids: Vec<Option<OwnedEventId>> = shorts.iter().map(|short| self.cache.id(*short)).collect();
        let missing: Vec<usize> = (0..shorts.len()).filter(|at| ids[*at].is_none()).collect();
        for missing in missing.chunks(GET_KEYS) {
            let keys: Vec<Key> = missing.iter().map(|at| short_key(room.short, shorts[*at])).collect();
            let rows = self.store.get_many(&STATE_EVENTS, &keys).await?;
            for ((at, key), row) in missing.iter().zip(&keys).zip(rows) {
                let row = row.ok_or_else(|| RoomError::corrupt(key, "a state event is missing"))?.row;
                let id = EventId::parse(row.event_id).map_err(|_| RoomError::corrupt(key, "not an event id"))?;
                self.cache.insert_id(shorts[*at], id.clone());
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
        let cached = |id: &OwnedEventId| self.cache.get(id).map(|event| Replaced::of(&event.event));
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

    /// For each row, the event that redacted it.
    async fn redactions(
        &self,
        room: &Room,
        rows: &[Option<Found<EventRow>>],
    ) -> Result<Vec<Option<Arc<Event>>>, RoomError> {
        let by = |found: &Option<Found<EventRow>>| found.as_ref().and_then(|found| found.row.redacted_by.clone());
        let wanted: Vec<Option<String>> = rows.iter().map(by).collect();
        let corrupt = |id: &str| RoomError::corrupt(&event_key(room.short, id), "a redaction is missing");
        let ids = wanted.iter().flatten().map(|id| EventId::parse(id.as_str()).map_err(|_| corrupt(id)));
        let ids: Vec<OwnedEventId> = ids.collect::<Result<_, _>>()?;
        let borrowed: Vec<&EventId> = ids.iter().map(|id| &**id).collect();
        let mut found = ids.iter().zip(self.rows(room, &borrowed).await?);
        let mut redactions = Vec::with_capacity(rows.len());
        for by in &wanted {
            let Some(by) = by else {
                redactions.push(None);
                continue;
            };
            let (id, row) = found.next().ok_or_else(|| corrupt(by))?;
            let row = row.ok_or_else(|| corrupt(by))?;
            redactions.push(Some(Arc::new(parsed(room, id.clone(), &row.key, &row.row.pdu.0)?)));
        }
        Ok(redactions)
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
    redaction: Option<Arc<Event>>,
) -> Result<StoredEvent, RoomError> {
    let event = parsed(room, event_id, &found.key, &found.row.pdu.0)?;
    let position = found.position();
    let EventRow { status, short, state_before, clipped, order, gap, transaction, marks, .. } = found.row;
    let order = if status == Status::Timeline { order_of(position) } else { order };
    Ok(StoredEvent {
        timeline_key: TimelineKey { depth: clipped.unwrap_or(event.depth), order },
        gap,
        redacts: redacts(&event, &room.rules),
        event: Arc::new(event),
        room: room.short,
        short,
        status,
        position,
        state_before,
        marks: Marks(marks),
        redaction,
        replaced,
        transaction,
        shared: OnceLock::new(),
    })
}

/// The order in the timeline of a live event.
pub(crate) fn order_of(position: Position) -> i64 {
    i64::try_from(position.0).unwrap_or(i64::MAX)
}
