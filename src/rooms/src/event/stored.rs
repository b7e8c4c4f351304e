//! An event as this server holds it: with its status, its place and what it took the place of.

use std::{
    ops::Deref,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
use ruma::{
    CanonicalJsonObject, EventId, OwnedEventId, OwnedUserId, canonical_json::redact_content_in_place,
    room_version_rules::RoomVersionRules,
};
use serde_json::value::{RawValue, to_raw_value};
use wardstead_engine::Position;

use crate::tables::Status;

use super::{Event, Marks, TimelineKey, client};

/// A stored event as it was when it was read: shared, and replaced by another one when its stored form changes; dereferences to the [`Event`].
#[derive(Debug)]
pub struct StoredEvent {
    pub(crate) event: Arc<Event>,
    /// Short id of the room.
    pub room: u64,
    /// Short id of a state event; 0 for others.
    pub short: u64,
    /// What the event is to this server.
    pub status: Status,
    /// Its position; zero for events that are not live.
    pub position: Position,
    /// Where it stands in the timeline.
    pub timeline_key: TimelineKey,
    /// Events before it were not here when it came, so that it does not follow what arrived before it.
    pub gap: bool,
    /// Snapshot of the state before it; 0 is no state at all.
    pub state_before: u64,
    /// Which children it has, of those that are shown with it.
    pub marks: Marks,
    /// The event that it redacts.
    pub redacts: Option<OwnedEventId>,
    /// The event that redacted it.
    pub redaction: Option<Arc<Event>>,
    /// The state event that it took the place of.
    pub replaced: Option<Replaced>,
    /// Short id of the sending device and its transaction id.
    pub transaction: Option<(u64, String)>,
    pub(crate) shared: OnceLock<Bytes>,
}

/// The state event that another one took the place of.
#[derive(Clone, Debug)]
pub struct Replaced {
    /// Its id.
    pub event_id: OwnedEventId,
    /// Its sender.
    pub sender: OwnedUserId,
    /// Its content.
    pub content: Box<RawValue>,
}

impl Replaced {
    pub(crate) fn of(event: &Event) -> Self {
        Self { event_id: event.event_id.clone(), sender: event.sender.clone(), content: event.content.clone() }
    }
}

impl Deref for StoredEvent {
    type Target = Event;

    fn deref(&self) -> &Event {
        &self.event
    }
}

impl StoredEvent {
    /// Whether it has a place in the timeline. Others are shown to nobody, except as the room's state.
    #[must_use]
    pub fn is_shown(&self) -> bool {
        matches!(self.status, Status::Timeline | Status::Backfilled)
    }

    /// Whether its status stays what it is.
    pub(crate) fn is_final(&self) -> bool {
        !matches!(self.status, Status::Outlier | Status::Rejected)
    }

    /// The part of its client JSON that is the same for everybody, made once.
    pub(crate) fn shared_json(&self) -> Bytes {
        self.shared.get_or_init(|| client::shared_json(self)).clone()
    }

    /// Whether its client JSON shows parts of the event `id`.
    pub(crate) fn shows(&self, id: &EventId) -> bool {
        self.event_id == id
            || self.replaced.as_ref().is_some_and(|replaced| replaced.event_id == id)
            || self.redaction.as_ref().is_some_and(|redaction| redaction.event_id == id)
    }

    /// The event for somebody from whom what its sender (`erased`) or the sender of the state before it (`replaced`) wrote is
    /// hidden: redacted, without edits. `None`: its content is no object.
    pub(crate) fn without(&self, rules: &RoomVersionRules, erased: bool, replaced: bool) -> Option<Self> {
        let mut event = (*self.event).clone();
        if erased {
            let mut content: CanonicalJsonObject = serde_json::from_str(event.content.get()).ok()?;
            redact_content_in_place(&mut content, &rules.redaction, event.event_type.to_string());
            event.content = to_raw_value(&content).ok()?;
        }
        Some(Self {
            event: Arc::new(event),
            room: self.room,
            short: self.short,
            status: self.status,
            position: self.position,
            timeline_key: self.timeline_key,
            gap: self.gap,
            state_before: self.state_before,
            marks: if erased { Marks(self.marks.0 & !Marks::REPLACE) } else { self.marks },
            redacts: self.redacts.clone(),
            redaction: self.redaction.clone(),
            replaced: self.replaced.clone().filter(|_| !replaced),
            transaction: self.transaction.clone(),
            shared: OnceLock::new(),
        })
    }

    /// Bytes that it takes in memory, about, its client JSON included.
    pub(crate) fn weight(&self) -> u64 {
        let replaced = self.replaced.as_ref().map_or(0, |replaced| 2 * replaced.content.get().len() + 256);
        let redaction =
            self.redaction.as_ref().map_or(0, |redaction| redaction.weight() + redaction.content.get().len());
        (redaction + self.event.weight() + self.event.content.get().len() + replaced + 512) as u64
    }
}
