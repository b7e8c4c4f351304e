//! What a batch changes that later batches of the room must see before it is committed.

use std::{collections::VecDeque, sync::Arc};

use ruma::{EventId, OwnedEventId, OwnedUserId, UserId};
use tokio::sync::watch;
use wardstead_engine::{Key, PositionSlot, Write};

use crate::{
    Event,
    state::{Local, Part},
    tables::{EventRow, ThreadRow},
};

/// Of one batch.
#[derive(Debug, Default)]
pub(crate) struct Layer {
    /// New parts of the state.
    pub(crate) parts: Vec<(u64, Part)>,
    /// New state events by short id.
    pub(crate) events: Vec<(u64, Arc<Event>)>,
    /// New names of state keys.
    pub(crate) keys: Vec<(String, String, u64)>,
    /// Users whose membership it changes.
    pub(crate) members: Vec<OwnedUserId>,
    /// Reference hashes of new events, in rooms whose events name them.
    pub(crate) hashes: Vec<(OwnedEventId, String)>,
    /// Stored events that it changes.
    pub(crate) changed: Vec<Changed>,
    /// Rows of threads that it writes or, `None`, removes.
    pub(crate) threads: Vec<(Key, Option<ThreadRow>)>,
    /// Its transaction id and event.
    pub(crate) transaction: Option<(Key, OwnedEventId)>,
    /// What contributors of other parts wrote.
    pub(crate) contributed: Vec<Write>,
}

/// A stored event in its new form.
#[derive(Clone, Debug)]
pub(crate) struct Changed {
    pub(crate) event_id: OwnedEventId,
    pub(crate) row: EventRow,
    /// Of its row's header.
    pub(crate) positions: Vec<PositionSlot>,
    /// Other events show parts of it.
    pub(crate) shown: bool,
}

/// A layer whose batch was submitted.
#[derive(Debug)]
pub(crate) struct Queued {
    pub(crate) number: u64,
    pub(crate) layer: Layer,
    pub(crate) settled: Settled,
}

/// Tells whether a batch was committed, once that is known.
#[derive(Clone, Debug)]
pub(crate) struct Settled(pub(crate) watch::Receiver<Option<bool>>);

impl Settled {
    /// Waits. A batch of which nobody will ever tell counts as not committed.
    pub(crate) async fn committed(mut self) -> bool {
        self.0.wait_for(Option::is_some).await.is_ok_and(|settled| *settled == Some(true))
    }
}

/// The layers that a build stands on, the oldest first, and its own.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    pub(crate) older: VecDeque<Arc<Queued>>,
    pub(crate) own: Layer,
}

impl Pending {
    fn layers(&self) -> impl Iterator<Item = &Layer> {
        std::iter::once(&self.own).chain(self.older.iter().rev().map(|queued| &queued.layer))
    }

    /// What contributors wrote in each layer, the newest first.
    pub(crate) fn contributed(&self) -> Vec<&[Write]> {
        self.layers().map(|layer| &*layer.contributed).collect()
    }

    pub(crate) fn event(&self, short: u64) -> Option<Arc<Event>> {
        let mut events = self.layers().flat_map(|layer| &layer.events);
        events.find(|(id, _)| *id == short).map(|(_, event)| Arc::clone(event))
    }

    pub(crate) fn hash(&self, event_id: &EventId) -> Option<&str> {
        let mut hashes = self.layers().flat_map(|layer| &layer.hashes);
        hashes.find(|(id, _)| id == event_id).map(|(_, hash)| hash.as_str())
    }

    /// The newest form of a stored event, where a queued batch changes it.
    pub(crate) fn changed(&self, event_id: &EventId) -> Option<&Changed> {
        let mut changed = self.layers().flat_map(|layer| layer.changed.iter().rev());
        changed.find(|changed| changed.event_id == event_id)
    }

    /// The newest form of a thread's row, where a queued batch writes or removes it.
    pub(crate) fn thread(&self, key: &Key) -> Option<&Option<ThreadRow>> {
        let mut rows = self.layers().flat_map(|layer| layer.threads.iter().rev());
        rows.find(|(written, _)| written == key).map(|(_, row)| row)
    }

    pub(crate) fn key(&self, event_type: &str, state_key: &str) -> Option<u64> {
        let mut keys = self.layers().flat_map(|layer| &layer.keys);
        keys.find(|(stored, key, _)| stored == event_type && key == state_key).map(|(_, _, id)| *id)
    }
}

impl Local for Pending {
    fn part(&self, id: u64) -> Option<Part> {
        self.layers().flat_map(|layer| &layer.parts).find(|(part, _)| *part == id).map(|(_, part)| part.clone())
    }
}

/// The newest of `queue` that changes `user`'s membership.
pub(crate) fn changes_member<'a>(queue: &'a VecDeque<Arc<Queued>>, user: &UserId) -> Option<&'a Arc<Queued>> {
    queue.iter().rev().find(|queued| queued.layer.members.iter().any(|member| member == user))
}

/// The event of `transaction`, when its batch is in `queue`.
pub(crate) fn transaction<'a>(
    queue: &'a VecDeque<Arc<Queued>>,
    transaction: &Key,
) -> Option<(&'a Arc<Queued>, &'a OwnedEventId)> {
    queue.iter().rev().find_map(|queued| match &queued.layer.transaction {
        Some((key, event_id)) if key == transaction => Some((queued, event_id)),
        _ => None,
    })
}
