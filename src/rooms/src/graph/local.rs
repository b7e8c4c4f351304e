//! A local event where there are more extremities than one event may name.

use std::sync::Arc;

use ruma::OwnedEventId;
use wardstead_limits::rooms as limits;

use crate::{
    RoomError, Status,
    append::{Added, Wish},
    event::build::{NewEvent, Proposal},
};

use super::{Grapher, attach::Attached};

impl Grapher<'_> {
    /// Adds the event that says `proposal` on the first extremities. The state before it is the resolution of theirs, not the
    /// current one; both have to allow it.
    ///
    /// # Errors
    /// Every verdict of the rules, and the store's.
    pub(crate) async fn add_local(&mut self, proposal: &Proposal) -> Result<Added, RoomError> {
        let author = self.author.clone();
        let proposal = match self.build.wish(&author, proposal).await? {
            Wish::Same(event) => return Ok(Added::Same(event)),
            Wish::New { proposal, .. } => proposal,
        };
        let all = self.build.head.extremities.clone();
        let named: Vec<OwnedEventId> = all.iter().take(limits::PREV_EVENTS).map(|(id, _)| id.clone()).collect();
        let prev = self.build.inner.events.load(&self.room, &named).await?;
        let before = self.state_after_all(&prev).await?;
        self.keep(&before);
        let current = std::mem::replace(&mut self.build.head.snapshot, Arc::clone(&before));
        self.build.head.extremities.truncate(limits::PREV_EVENTS);
        let made = self.build.make_proposal(&author, &proposal).await;
        self.build.head.snapshot = current;
        self.build.head.extremities = all;
        let NewEvent { event, pdu, hash } = made?;
        if !self.wanted(&event).await? {
            return Err(RoomError::forbidden("The room's current state does not allow that."));
        }
        self.build.check_welcome(&author, &event).await?;
        self.build.remember_hash(&event.event_id, hash);
        let event = Arc::new(event);
        let attached = Attached {
            event: &event,
            pdu,
            status: Status::Timeline,
            stored: None,
            prev: &prev,
            missing: &[],
            before,
            local: true,
            transaction: author.transaction,
        };
        self.attach(attached).await?;
        Ok(Added::Event(event))
    }
}
