//! What follows when the extremities, and by them the current state, change otherwise than by one local event.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use ruma::OwnedEventId;
use wardstead_limits::rooms as limits;

use crate::{
    Membership, MembershipChanged, RoomChange, RoomError, StateResolved, Status, StoredEvent,
    event::content,
    state::{Snapshot, key},
    tables::{STATE_AT, StateAtRow},
};

use super::Grapher;

impl Grapher<'_> {
    /// Removes from the extremities what stands before an event that counts: the events that it names, and what stands before
    /// those among them that do not count themselves.
    pub(super) async fn cover(&mut self, prev_events: &[OwnedEventId]) -> Result<bool, RoomError> {
        let before = self.build.head.extremities.len();
        let (mut next, mut looked) = (prev_events.to_vec(), 0);
        while !next.is_empty() && looked < limits::COVERED_EVENTS {
            looked += next.len();
            self.build.head.extremities.retain(|(id, _)| !next.contains(id));
            let found = self.build.inner.events.find(&self.room, &next).await?;
            let uncounted =
                found.iter().flatten().filter(|event| matches!(event.status, Status::SoftFailed | Status::Rejected));
            next = uncounted.flat_map(|event| event.prev_events.iter().cloned()).collect();
        }
        Ok(self.build.head.extremities.len() != before)
    }

    /// The resolution of the states after the extremities. `newest` is one that is not stored yet, and the state after it.
    pub(super) async fn resolved_head(
        &mut self,
        newest: Option<(&OwnedEventId, &Arc<Snapshot>)>,
    ) -> Result<Arc<Snapshot>, RoomError> {
        let others = self.build.head.extremities.iter().map(|(id, _)| id.clone());
        let others: Vec<OwnedEventId> = others.filter(|id| newest.is_none_or(|(newest, _)| newest != id)).collect();
        let mut states: Vec<Arc<Snapshot>> = newest.iter().map(|(_, state)| Arc::clone(state)).collect();
        for event in self.build.inner.events.load(&self.room, &others).await? {
            let state = self.state_after(&event).await?;
            if states.iter().all(|other| other.id != state.id) {
                states.push(state);
            }
        }
        self.resolve(&states).await
    }

    /// Makes `new` the current state from journal entry `entry` on, with all that follows for members. Whether it differs.
    pub(super) async fn move_state(&mut self, new: &Arc<Snapshot>, entry: usize) -> Result<(), RoomError> {
        let room = self.room.short;
        let old = Arc::clone(&self.build.head.snapshot);
        let changes = self.build.inner.state.diff(&self.scratch, room, &old, new).await?;
        if changes.is_empty() {
            return Ok(());
        }
        self.keep(new);
        self.build.head.snapshot = Arc::clone(new);
        let guests = changes.iter().find(|change| change.key == key::GUEST_ACCESS).copied();
        let members: Vec<_> = changes.into_iter().filter(|change| key::is_member(change.key)).collect();
        let shorts: BTreeSet<u64> =
            members.iter().chain(&guests).flat_map(|change| [change.before, change.after]).collect();
        let shorts: Vec<u64> = shorts.into_iter().filter(|short| *short != 0).collect();
        let events: HashMap<u64, Arc<StoredEvent>> =
            shorts.iter().copied().zip(self.load_short(&shorts).await?).collect();
        let (mut moved, mut member_events) = (Vec::new(), Vec::new());
        for change in members {
            let (before, after) = (events.get(&change.before), events.get(&change.after));
            let (before, after) = (before.map(|event| &*event.event), after.map(|event| &*event.event));
            self.build.put_member_change(change.key, before, after, entry).await?;
            let (previous, now) = (before.and_then(content::membership), after.and_then(content::membership));
            let now = now.unwrap_or(Membership::Leave);
            if let Some(user) = key::member_of(change.key).filter(|_| previous != Some(now)) {
                moved.push(MembershipChanged { user, previous, now });
                member_events.push(events.get(&change.after).map(|event| Arc::clone(&event.event)));
            }
        }
        let lets_in = |short: &u64| events.get(short).is_some_and(|event| content::lets_guests_in(event));
        let closed_to_guests = guests.is_some_and(|change| lets_in(&change.before) && !lets_in(&change.after));
        if !moved.is_empty() || closed_to_guests {
            let room_id = self.room.room_id.clone();
            let resolved = StateResolved { room, room_id, members: moved, events: member_events, closed_to_guests };
            self.build.contribute(RoomChange::Resolved(resolved), entry).await?;
        }
        let head = &self.build.head;
        let row = StateAtRow { snapshot: head.snapshot.id, joined: head.joined, invited: head.invited };
        STATE_AT.put(&mut self.build.batch, STATE_AT.key(room).slot(entry).template(), &row);
        Ok(())
    }
}
