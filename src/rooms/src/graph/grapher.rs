//! One look at a room's graph, on the committed head: state before and after events, and where new events attach.

use std::{collections::BTreeMap, sync::Arc};

use ruma::{EventId, OwnedEventId, events::StateEventType, room_version_rules::RoomIdFormatVersion};
use wardstead_limits::rooms as limits;

use crate::{
    Room, RoomError, Status, StoredEvent,
    append::{Author, Build},
    auth::Named,
    state::{Entry, Snapshot, key},
    tables::{STATE_KEYS, StateKeyRow},
};

use super::scratch::Scratch;

/// Works on one room while nothing of it is queued.
pub(crate) struct Grapher<'a> {
    pub(crate) build: Build<'a>,
    pub(crate) room: Arc<Room>,
    pub(crate) scratch: Scratch,
    /// Who says what is looked at.
    pub(crate) author: Author,
    /// The event that is being stored.
    pub(super) fresh: Option<Arc<StoredEvent>>,
    /// State keys that were looked up.
    keys: BTreeMap<(String, String), u64>,
}

impl<'a> Grapher<'a> {
    pub(crate) fn new(build: Build<'a>, room: Arc<Room>, author: Author) -> Self {
        Self { build, room, scratch: Scratch::default(), author, fresh: None, keys: BTreeMap::new() }
    }

    /// The events of `keys` in `snapshot`, in their order.
    pub(super) async fn state_in(
        &self,
        snapshot: &Snapshot,
        keys: &[u64],
    ) -> Result<Vec<Option<Arc<StoredEvent>>>, RoomError> {
        let shorts = self.state_shorts(snapshot, keys).await?;
        let wanted: Vec<u64> = shorts.iter().copied().filter(|short| *short != 0).collect();
        let mut events = self.load_short(&wanted).await?.into_iter();
        Ok(shorts.into_iter().map(|short| if short == 0 { None } else { events.next() }).collect())
    }

    /// State events by their short ids, in their order.
    pub(super) async fn load_short(&self, shorts: &[u64]) -> Result<Vec<Arc<StoredEvent>>, RoomError> {
        let Some(fresh) = self.fresh.as_ref().filter(|fresh| shorts.contains(&fresh.short)) else {
            return self.build.inner.events.load_short(&self.room, shorts).await;
        };
        let others: Vec<u64> = shorts.iter().copied().filter(|short| *short != fresh.short).collect();
        let mut others = self.build.inner.events.load_short(&self.room, &others).await?.into_iter();
        let event = |short: &u64| if *short == fresh.short { Some(Arc::clone(fresh)) } else { others.next() };
        Ok(shorts.iter().filter_map(event).collect())
    }

    pub(super) async fn state_shorts(&self, snapshot: &Snapshot, keys: &[u64]) -> Result<Vec<u64>, RoomError> {
        self.build.inner.state.get(&self.scratch, self.room.short, snapshot, keys).await
    }

    /// The events of named state in `snapshot`, without those that it has not.
    pub(super) async fn named_state(
        &self,
        snapshot: &Snapshot,
        names: Vec<Named>,
    ) -> Result<Vec<(Named, Arc<StoredEvent>)>, RoomError> {
        let (mut found, mut keys) = (Vec::new(), Vec::new());
        for name in names {
            if let Some(key) = self.known_key(&name.0.to_string(), &name.1).await? {
                found.push(name);
                keys.push(key);
            }
        }
        let events = self.state_in(snapshot, &keys).await?;
        Ok(found.into_iter().zip(events).filter_map(|(name, event)| Some((name, event?))).collect())
    }

    /// The short id of a state key, if it has one.
    pub(super) async fn known_key(&self, event_type: &str, state_key: &str) -> Result<Option<u64>, RoomError> {
        if let Some(key) = self.keys.get(&(event_type.to_owned(), state_key.to_owned())) {
            return Ok(Some(*key));
        }
        self.build.known_key(&self.author, event_type, state_key).await
    }

    /// The short id of a state key; a new one where it has none. The key of a member who has no account here is a row of the
    /// room, among the members' keys.
    pub(super) async fn state_key(&mut self, event_type: &str, state_key: &str) -> Result<u64, RoomError> {
        let name = (event_type.to_owned(), state_key.to_owned());
        if let Some(key) = self.known_key(event_type, state_key).await? {
            self.keys.insert(name, key);
            return Ok(key);
        }
        let id = self.build.inner.store.next_id().await?;
        let id = if event_type == "m.room.member" { key::foreign_member(id) } else { key::named(id) };
        let row_key = STATE_KEYS.key(self.room.short).text(event_type).text(state_key).key();
        // The head's version says that nobody else named a key of this room meanwhile.
        STATE_KEYS.put(&mut self.build.batch, row_key, &StateKeyRow { id });
        self.build.pending.own.keys.push((name.0.clone(), name.1.clone(), id));
        self.keys.insert(name, id);
        Ok(id)
    }

    /// `snapshot` with more changes, in the scratch.
    pub(super) async fn advance(
        &mut self,
        snapshot: &Arc<Snapshot>,
        changes: &[Entry],
    ) -> Result<Arc<Snapshot>, RoomError> {
        if changes.is_empty() {
            return Ok(Arc::clone(snapshot));
        }
        let inner = self.build.inner;
        let advanced = inner.state.advance_all(&self.scratch, self.room.short, snapshot, changes).await?;
        self.scratch.add(advanced.parts);
        Ok(advanced.snapshot)
    }

    pub(super) async fn snapshot(&self, id: u64) -> Result<Arc<Snapshot>, RoomError> {
        self.build.inner.state.snapshot(&self.scratch, self.room.short, id).await
    }

    /// The state after `event`. After a rejected one it is the state before it.
    pub(super) async fn state_after(&mut self, event: &StoredEvent) -> Result<Arc<Snapshot>, RoomError> {
        let before = self.snapshot(event.state_before).await?;
        let Some(state_key) = event.state_key.as_deref().filter(|_| event.status != Status::Rejected) else {
            return Ok(before);
        };
        let key = self.state_key(&event.event_type.to_string(), state_key).await?;
        self.advance(&before, &[Entry { key, event: event.short }]).await
    }

    /// The state after all of `events`: the resolution of what it is after each.
    pub(super) async fn state_after_all(&mut self, events: &[Arc<StoredEvent>]) -> Result<Arc<Snapshot>, RoomError> {
        let head: Vec<&OwnedEventId> = self.build.head.extremities.iter().map(|(id, _)| id).collect();
        // The head's snapshot is just that for the extremities.
        if head.len() == events.len() && events.iter().all(|event| head.contains(&&event.event_id)) {
            return Ok(Arc::clone(&self.build.head.snapshot));
        }
        let mut states: Vec<Arc<Snapshot>> = Vec::with_capacity(events.len());
        for event in events {
            let state = self.state_after(event).await?;
            if states.iter().all(|other| other.id != state.id) {
                states.push(state);
            }
        }
        self.resolve(&states).await
    }

    /// A snapshot of the state events `ids`.
    ///
    /// # Errors
    /// `BadJson` when they are no state: one is missing, is no state event, was rejected, or two have the same key.
    pub(super) async fn stated(&mut self, ids: &[OwnedEventId]) -> Result<Arc<Snapshot>, RoomError> {
        let bad = |why: &str| RoomError::BadJson(format!("The stated state is none: {why}."));
        let mut entries: BTreeMap<u64, u64> = BTreeMap::new();
        for ids in ids.chunks(limits::MESSAGES_PAGE) {
            for event in self.build.inner.events.find(&self.room, ids).await? {
                let event = event.ok_or_else(|| bad("an event is not known"))?;
                let state_key = event.state_key.as_deref().ok_or_else(|| bad("an event is not state"))?;
                if event.status == Status::Rejected {
                    return Err(bad("an event was rejected"));
                }
                let key = self.state_key(&event.event_type.to_string(), state_key).await?;
                if entries.insert(key, event.short).is_some() {
                    return Err(bad("two events have the same key"));
                }
            }
        }
        let entries: Vec<Entry> = entries.into_iter().map(|(key, event)| Entry { key, event }).collect();
        self.advance(&Arc::default(), &entries).await
    }

    /// The create event's id, where the room's id is made of it.
    pub(super) fn create_event_id(&self) -> Option<OwnedEventId> {
        let hash = self.room.room_id.as_str().strip_prefix('!')?;
        let by_hash = self.room.rules.room_id_format == RoomIdFormatVersion::V2;
        by_hash.then(|| EventId::parse(format!("${hash}")).ok()).flatten()
    }

    /// Puts what `snapshot` is newly made of into the batch.
    pub(super) fn keep(&mut self, snapshot: &Arc<Snapshot>) {
        let parts = self.scratch.reach(snapshot);
        for (id, part) in &parts {
            crate::state::store::put(&mut self.build.batch, self.room.short, *id, part);
        }
        self.build.pending.own.parts.extend(parts);
    }
}

/// The key of the create event.
pub(super) fn create() -> Named {
    (StateEventType::RoomCreate, String::new())
}
