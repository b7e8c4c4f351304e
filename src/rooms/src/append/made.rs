//! What a build makes: events that wait for their batch, and for their positions.

use std::{
    borrow::Cow,
    sync::{Arc, OnceLock},
};

use ruma::room_version_rules::RoomVersionRules;
use serde_json::value::RawValue;
use wardstead_engine::Position;

use crate::{
    Event, Inner, Replaced, Status, StoredEvent, TimelineKey,
    event::{Marks, build::Proposal, relation::redacts},
    events::{Ticket, order_of},
};

use super::layer::Layer;

/// What adding an event came to.
#[derive(Debug)]
pub(crate) enum Added {
    /// It is in the batch.
    Event(Arc<Event>),
    /// The state says so already, by the same sender: this event does.
    Same(Arc<Event>),
}

/// What somebody's proposal comes to.
#[derive(Debug)]
pub(crate) enum Wish<'p> {
    /// The state says so already, by the same sender: this event does.
    Same(Arc<Event>),
    /// An event is to be made.
    New {
        /// With what the server adds.
        proposal: Cow<'p, Proposal>,
        content: Box<RawValue>,
        /// Its state key, and what it will take the place of.
        key: Option<u64>,
        replaced: Option<Arc<Event>>,
    },
}

/// An event in the batch.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) event: Arc<Event>,
    pub(crate) short: u64,
    pub(crate) state_before: u64,
    /// Depth in the timeline.
    pub(crate) depth: u64,
    /// Events before it are not here.
    pub(crate) gap: bool,
    pub(crate) replaced: Option<Replaced>,
    pub(crate) transaction: Option<(u64, String)>,
    /// Number of its journal entry.
    pub(crate) entry: usize,
}

impl Made {
    /// The depth, where it is not the one that the event states.
    pub(crate) fn clipped(&self) -> Option<u64> {
        (self.depth != self.event.depth).then_some(self.depth)
    }

    /// The event as it will be read.
    pub(crate) fn stored(
        &self,
        rules: &RoomVersionRules,
        room: u64,
        status: Status,
        position: Position,
    ) -> StoredEvent {
        StoredEvent {
            redacts: redacts(&self.event, rules),
            timeline_key: TimelineKey { depth: self.depth, order: order_of(position) },
            event: Arc::clone(&self.event),
            room,
            short: self.short,
            status,
            position,
            gap: self.gap,
            state_before: self.state_before,
            marks: Marks::default(),
            redaction: None,
            replaced: self.replaced.clone(),
            transaction: self.transaction.clone(),
            shared: OnceLock::new(),
        }
    }
}

/// Events that wait for their positions.
#[derive(Debug)]
pub(crate) struct Committable {
    pub(super) room: u64,
    pub(super) made: Vec<Made>,
    pub(super) rules: RoomVersionRules,
    /// Taken before anything was read that the events show.
    pub(crate) ticket: Ticket,
}

impl Inner {
    /// Puts the events of a committed batch into memory, and forgets what it changed.
    pub(crate) fn committed(&self, layer: &Layer, positions: &[Position], committable: Committable) {
        layer.changed.iter().for_each(|changed| self.events.cache().forget(&changed.event_id, changed.shown));
        let ticket = committable.ticket;
        committable.committed(positions).for_each(|event| drop(self.events.remember(ticket, event)));
    }
}

impl Committable {
    /// The events with the positions that their batch was given.
    pub(crate) fn committed(self, positions: &[Position]) -> impl Iterator<Item = StoredEvent> {
        self.made.into_iter().map(move |made| {
            let position = positions.get(made.entry).copied().unwrap_or_default();
            made.stored(&self.rules, self.room, Status::Timeline, position)
        })
    }
}
