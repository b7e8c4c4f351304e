//! What a node has of events in memory, and how it forgets what was changed.
//!
//! The stored form of an event changes twice at most for each reason: it is redacted, or it gets a first relation of some kind. The
//! change's commit has a journal entry for it, so each node's tail tells the cache before it publishes the position. What was
//! read before a change and arrives here after it would stay for ever; so a reader takes a [`Ticket`] before it reads, and what changed
//! since then is not kept.

use std::{collections::VecDeque, sync::Arc};

use parking_lot::RwLock;
use quick_cache::{Weighter, sync::Cache};
use ruma::{EventId, OwnedEventId};
use wardstead_engine::JournalEntry;
use wardstead_limits::rooms as limits;
use wardstead_store::Watcher;

use crate::StoredEvent;

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

/// The number of changes before something was read.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ticket(u64);

#[derive(Default)]
struct Changes {
    count: u64,
    /// The last of them.
    recent: VecDeque<OwnedEventId>,
}

impl Changes {
    /// Whether `event`, read when `ticket` was taken, may be older than a change.
    fn concern(&self, ticket: Ticket, event: &StoredEvent) -> bool {
        let missed = usize::try_from(self.count - ticket.0.min(self.count)).unwrap_or(usize::MAX);
        missed > self.recent.len() || self.recent.iter().rev().take(missed).any(|id| event.shows(id))
    }
}

/// Events of all rooms by id, and ids by short id.
pub(crate) struct EventCache {
    by_id: Cache<OwnedEventId, Arc<StoredEvent>, Weigh>,
    ids: Cache<u64, OwnedEventId, Weigh>,
    changes: RwLock<Changes>,
}

impl EventCache {
    pub(crate) fn new() -> Self {
        let items = |bytes: u64, each: u64| usize::try_from(bytes / each).unwrap_or(usize::MAX);
        let (events, ids) = (limits::EVENT_CACHE_BYTES, limits::EVENT_ID_CACHE_BYTES);
        Self {
            by_id: Cache::with_weighter(items(events, 2_048), events, Weigh),
            ids: Cache::with_weighter(items(ids, 128), ids, Weigh),
            changes: RwLock::default(),
        }
    }

    /// Name, bytes and bound of each cache.
    pub(crate) fn weights(&self) -> Vec<(&'static str, u64, u64)> {
        vec![
            ("events", self.by_id.weight(), self.by_id.capacity()),
            ("event_ids", self.ids.weight(), self.ids.capacity()),
        ]
    }

    /// To be taken before the read whose result is [`Self::insert`]ed.
    pub(crate) fn ticket(&self) -> Ticket {
        Ticket(self.changes.read().count)
    }

    pub(crate) fn get(&self, id: &EventId) -> Option<Arc<StoredEvent>> {
        self.by_id.get(id)
    }

    pub(crate) fn id(&self, short: u64) -> Option<OwnedEventId> {
        self.ids.get(&short)
    }

    pub(crate) fn insert_id(&self, short: u64, id: OwnedEventId) {
        self.ids.insert(short, id);
    }

    /// Keeps `event` unless it may be older than a change.
    pub(crate) fn insert(&self, ticket: Ticket, event: &Arc<StoredEvent>) {
        let changes = self.changes.read();
        if changes.concern(ticket, event) {
            return;
        }
        if event.short != 0 {
            self.ids.insert(event.short, event.event_id.clone());
        }
        self.by_id.insert(event.event_id.clone(), Arc::clone(event));
    }

    /// The stored form of the event `id` changed. `shown`: other events show parts of it, and go too. Looks at all that are kept then;
    /// only the redaction of a state event or of a redaction costs that.
    pub(crate) fn forget(&self, id: &EventId, shown: bool) {
        let mut changes = self.changes.write();
        changes.count += 1;
        changes.recent.push_back(id.to_owned());
        if changes.recent.len() > limits::CHANGED_EVENTS {
            changes.recent.pop_front();
        }
        if shown {
            self.by_id.retain(|_, event| !event.shows(id));
        } else {
            self.by_id.remove(id);
        }
    }
}

/// The key of the journal's entry for a change of the event `id`.
pub(crate) fn changed_key(id: &EventId, shown: bool) -> Vec<u8> {
    [&[u8::from(shown)], id.as_str().as_bytes()].concat()
}

impl Watcher for EventCache {
    fn seen(&self, entry: &JournalEntry) {
        if let Some((shown, id)) = entry.key.split_first()
            && let Ok(id) = std::str::from_utf8(id)
            && let Ok(id) = <&EventId>::try_from(id)
        {
            self.forget(id, *shown != 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;

    use ruma::{event_id, room_id};
    use wardstead_engine::Position;

    use crate::{Event, Replaced, Status, TimelineKey, event::Marks};

    use super::*;

    fn event(id: &EventId, replaced: Option<&EventId>) -> Arc<StoredEvent> {
        let pdu = br#"{"type":"m.a","sender":"@a:b","origin_server_ts":1,"depth":1,"prev_events":[],"auth_events":[],"content":{}}"#;
        let parsed = |id: &EventId| Event::parse(id.to_owned(), room_id!("!a").to_owned(), pdu).unwrap();
        Arc::new(StoredEvent {
            event: Arc::new(parsed(id)),
            room: 1,
            short: 0,
            status: Status::Timeline,
            position: Position(1),
            timeline_key: TimelineKey { depth: 1, order: 1 },
            gap: false,
            state_before: 0,
            marks: Marks::default(),
            redacts: None,
            redaction: None,
            replaced: replaced.map(|id| Replaced::of(&parsed(id))),
            transaction: None,
            shared: OnceLock::new(),
        })
    }

    /// What was read before a change is not kept after it; what was read later is.
    #[test]
    fn what_is_older_than_a_change_is_not_kept() {
        let (a, b, other) = (event_id!("$a"), event_id!("$b"), event_id!("$other"));
        let cache = EventCache::new();
        let ticket = cache.ticket();
        cache.insert(ticket, &event(a, None));
        assert!(cache.get(a).is_some());
        cache.forget(a, false);
        assert!(cache.get(a).is_none());
        for late in [event(a, None), event(b, Some(a))] {
            cache.insert(ticket, &late);
            assert!(cache.get(&late.event_id).is_none(), "read before the change");
        }
        cache.insert(ticket, &event(other, None));
        assert!(cache.get(other).is_some(), "another event is as it was");
        cache.insert(cache.ticket(), &event(a, None));
        assert!(cache.get(a).is_some(), "read after the change");
        // More changes than are remembered: nobody knows, so nothing is kept.
        let ticket = cache.ticket();
        for number in 0..=limits::CHANGED_EVENTS {
            cache.forget(&OwnedEventId::try_from(format!("$n{number}")).unwrap(), false);
        }
        cache.insert(ticket, &event(b, None));
        assert!(cache.get(b).is_none());
    }

    /// The journal's entry says whether others go too.
    #[test]
    fn what_shows_a_changed_event_goes_with_it() {
        let (a, b) = (event_id!("$a"), event_id!("$b"));
        for (shown, gone) in [(false, false), (true, true)] {
            let cache = EventCache::new();
            cache.insert(cache.ticket(), &event(b, Some(a)));
            cache.seen(&JournalEntry { kind: 0, scope: 1, key: changed_key(a, shown).into() });
            assert_eq!(cache.get(b).is_none(), gone);
        }
    }
}
