//! Auth chains: the events that allow an event, those that allow these, and so on.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use ruma::OwnedEventId;
use wardstead_limits::rooms as limits;

use crate::{Inner, Room, RoomError, StoredEvent, tables::event_key};

/// Events of one room that were loaded, with their whole auth chains.
#[derive(Debug, Default)]
pub(crate) struct Chains {
    events: HashMap<OwnedEventId, Arc<StoredEvent>>,
}

impl Chains {
    pub(crate) fn get(&self, id: &ruma::EventId) -> Option<&Arc<StoredEvent>> {
        self.events.get(id)
    }

    /// An event that is not stored yet. What it rests on is still to be loaded.
    pub(crate) fn insert(&mut self, event: &Arc<StoredEvent>) {
        self.events.insert(event.event_id.clone(), Arc::clone(event));
    }

    /// Loads `ids` and all that they rest on, layer by layer. What is missing fails: the resolution would silently leave it
    /// out.
    ///
    /// # Errors
    /// `Corrupt` for an event that is missing, `Busy` for a chain beyond [`limits::RESOLUTION_EVENTS`].
    pub(crate) async fn load(
        &mut self,
        inner: &Inner,
        room: &Room,
        ids: impl IntoIterator<Item = OwnedEventId>,
    ) -> Result<(), RoomError> {
        let mut next: Vec<OwnedEventId> = ids.into_iter().filter(|id| !self.events.contains_key(id)).collect();
        while !next.is_empty() {
            next.sort_unstable();
            next.dedup();
            if self.events.len() + next.len() > limits::RESOLUTION_EVENTS {
                return Err(RoomError::Busy("its history is too large to be resolved"));
            }
            let found = inner.events.find(room, &next).await?;
            let mut further = Vec::new();
            for (id, event) in next.into_iter().zip(found) {
                let missing = || RoomError::corrupt(&event_key(room.short, id.as_str()), "an auth event is missing");
                let event = event.ok_or_else(missing)?;
                further.extend(event.auth_events.iter().cloned());
                self.events.insert(id, event);
            }
            further.retain(|id| !self.events.contains_key(id));
            next = further;
        }
        Ok(())
    }

    /// The auth chain of `ids`, without themselves unless one rests on another.
    pub(crate) fn chain<'a>(&'a self, ids: impl IntoIterator<Item = &'a OwnedEventId>) -> HashSet<&'a OwnedEventId> {
        let mut chain = HashSet::new();
        let mut next: Vec<&OwnedEventId> = ids.into_iter().collect();
        while let Some(id) = next.pop() {
            let Some(event) = self.events.get(id) else { continue };
            next.extend(event.auth_events.iter().filter(|id| chain.insert(*id)));
        }
        chain
    }

    /// The events on all paths along auth events from one of `ids` to another, the ends included (Room Version 12, State
    /// resolution, conflicted state subgraph).
    pub(crate) fn between<'a>(&'a self, ids: &'a HashSet<OwnedEventId>) -> HashSet<&'a OwnedEventId> {
        let mut below: HashMap<&OwnedEventId, Vec<&OwnedEventId>> = HashMap::new();
        let reached = self.chain(ids);
        for id in reached.iter().copied().chain(ids) {
            let Some(event) = self.events.get(id) else { continue };
            for named in &event.auth_events {
                below.entry(named).or_default().push(id);
            }
        }
        // Upwards from the ends, within what is reached from the starts.
        let mut between: HashSet<&OwnedEventId> = ids.iter().collect();
        let mut next: Vec<&OwnedEventId> = ids.iter().collect();
        while let Some(id) = next.pop() {
            let citing = below.get(id).into_iter().flatten().copied();
            next.extend(citing.filter(|citing| between.insert(citing)));
        }
        between.retain(|id| ids.contains(*id) || reached.contains(*id));
        between
    }
}
