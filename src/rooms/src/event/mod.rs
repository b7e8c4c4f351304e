//! Events: made, hashed and signed here ([`build`]), stored as their canonical JSON, read back ([`Event`]), shown to
//! clients ([`client`]).

pub(crate) mod build;
pub mod client;
pub(crate) mod content;
mod reference;
pub(crate) mod relation;
mod stored;

use std::borrow::Cow;

use ruma::{
    MilliSecondsSinceUnixEpoch, OwnedEventId, OwnedRoomId, OwnedUserId, RoomId, UInt, UserId,
    events::TimelineEventType, state_res,
};
use serde::Deserialize;
use serde_json::value::RawValue;

pub use client::ClientEvent;
pub(crate) use reference::{Hashes, references};
pub use relation::Marks;
pub use stored::{Replaced, StoredEvent};

/// Where an event stands in its room's timeline: depth as stated and clipped, then order. Live events have their position
/// as order, backfilled ones a falling negative number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimelineKey {
    /// Depth.
    pub depth: u64,
    /// Order among events of the same depth.
    pub order: i64,
}

/// An event as its server made it. Immutable.
#[derive(Clone, Debug)]
pub struct Event {
    /// `$` and the reference hash.
    pub event_id: OwnedEventId,
    /// The room; for a create event of version 12, which does not state it, what follows from its id.
    pub room_id: OwnedRoomId,
    /// Type.
    pub event_type: TimelineEventType,
    /// Sender.
    pub sender: OwnedUserId,
    /// State key; `None` for events that are not state.
    pub state_key: Option<String>,
    /// When its server says that it was made, in milliseconds since 1970.
    pub origin_server_ts: u64,
    /// Depth as stated.
    pub depth: u64,
    /// The events before it.
    pub prev_events: Vec<OwnedEventId>,
    /// The events that allow it.
    pub auth_events: Vec<OwnedEventId>,
    /// The event that it redacts, where the room's version states that outside the content.
    pub redacts: Option<OwnedEventId>,
    /// Content.
    pub content: Box<RawValue>,
    /// Whether the event states its room.
    states_room: bool,
}

#[derive(Deserialize)]
struct Pdu<'a> {
    #[serde(rename = "type", borrow)]
    event_type: Cow<'a, str>,
    room_id: Option<OwnedRoomId>,
    sender: OwnedUserId,
    state_key: Option<String>,
    origin_server_ts: u64,
    depth: u64,
    #[serde(deserialize_with = "reference::ids")]
    prev_events: Vec<OwnedEventId>,
    #[serde(deserialize_with = "reference::ids")]
    auth_events: Vec<OwnedEventId>,
    redacts: Option<OwnedEventId>,
    #[serde(borrow)]
    content: &'a RawValue,
}

impl Event {
    /// Reads the JSON of an event whose id and room are known.
    ///
    /// # Errors
    /// It is not an event's JSON.
    pub fn parse(event_id: OwnedEventId, room_id: OwnedRoomId, pdu: &[u8]) -> Result<Self, serde_json::Error> {
        let pdu: Pdu<'_> = serde_json::from_slice(pdu)?;
        Ok(Self {
            event_id,
            room_id,
            event_type: TimelineEventType::from(pdu.event_type.as_ref()),
            sender: pdu.sender,
            state_key: pdu.state_key,
            origin_server_ts: pdu.origin_server_ts,
            depth: pdu.depth,
            prev_events: pdu.prev_events,
            auth_events: pdu.auth_events,
            redacts: pdu.redacts,
            content: pdu.content.to_owned(),
            states_room: pdu.room_id.is_some(),
        })
    }

    /// Whether it is the state event `event_type` with `state_key`.
    #[must_use]
    pub fn is_state(&self, event_type: &TimelineEventType, state_key: &str) -> bool {
        self.event_type == *event_type && self.state_key.as_deref() == Some(state_key)
    }

    /// Bytes that it takes in memory, about.
    pub(crate) fn weight(&self) -> usize {
        let ids = self.prev_events.len() + self.auth_events.len() + 3;
        self.content.get().len() + 64 * ids + self.state_key.as_ref().map_or(0, String::len) + 256
    }
}

impl state_res::Event for Event {
    type Id = OwnedEventId;

    fn event_id(&self) -> &OwnedEventId {
        &self.event_id
    }

    fn room_id(&self) -> Option<&RoomId> {
        self.states_room.then_some(&self.room_id)
    }

    fn sender(&self) -> &UserId {
        &self.sender
    }

    fn origin_server_ts(&self) -> MilliSecondsSinceUnixEpoch {
        MilliSecondsSinceUnixEpoch(UInt::try_from(self.origin_server_ts).unwrap_or(UInt::MAX))
    }

    fn event_type(&self) -> &TimelineEventType {
        &self.event_type
    }

    fn content(&self) -> &RawValue {
        &self.content
    }

    fn state_key(&self) -> Option<&str> {
        self.state_key.as_deref()
    }

    fn prev_events(&self) -> Box<dyn DoubleEndedIterator<Item = &OwnedEventId> + '_> {
        Box::new(self.prev_events.iter())
    }

    fn auth_events(&self) -> Box<dyn DoubleEndedIterator<Item = &OwnedEventId> + '_> {
        Box::new(self.auth_events.iter())
    }

    fn redacts(&self) -> Option<&OwnedEventId> {
        self.redacts.as_ref()
    }

    fn rejected(&self) -> bool {
        // Rejected events are never loaded as auth events: `events::Events` refuses them.
        false
    }
}
