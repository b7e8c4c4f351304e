//! The answer's JSON (Client-Server API, GET /_matrix/client/v3/sync, Response). Events are spliced in as they are stored.

use std::{collections::BTreeMap, sync::Arc};

use ruma::{OwnedRoomId, OwnedUserId};
use serde::Serialize;
use serde_json::value::RawValue;
use wardstead_accounts::{Names, PresenceOf, PresenceState};
use wardstead_e2ee::KeyCounts;
use wardstead_engine::Position;
use wardstead_rooms::{Receipt, Seen};

use crate::{
    DeviceLists,
    key_counts::KeyCountsTold,
    receipts::{ReceiptContent, receipt_contents},
    to_device::ToDevice,
    unread::Unread,
};

/// The whole answer.
#[derive(Debug, Serialize)]
pub(crate) struct Response<'a> {
    pub(crate) next_batch: String,
    #[serde(skip_serializing_if = "Events::is_untold")]
    pub(crate) account_data: Events,
    #[serde(skip_serializing_if = "Rooms::is_empty")]
    pub(crate) rooms: Rooms,
    #[serde(skip_serializing_if = "PresenceSection::is_empty")]
    pub(crate) presence: PresenceSection,
    #[serde(skip_serializing_if = "ToDevice::is_empty")]
    pub(crate) to_device: ToDevice,
    #[serde(skip_serializing_if = "DeviceLists::is_empty")]
    pub(crate) device_lists: DeviceLists,
    #[serde(flatten)]
    pub(crate) key_counts: Option<KeyCountsTold<'a>>,
}

#[derive(Debug, Default, Serialize)]
pub(crate) struct Rooms {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) join: BTreeMap<OwnedRoomId, JoinedRoom>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) invite: BTreeMap<OwnedRoomId, InvitedRoom>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) knock: BTreeMap<OwnedRoomId, KnockedRoom>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) leave: BTreeMap<OwnedRoomId, LeftRoom>,
}

impl Rooms {
    pub(crate) fn is_empty(&self) -> bool {
        self.join.is_empty() && self.invite.is_empty() && self.knock.is_empty() && self.leave.is_empty()
    }
}

/// What an answer tells beside typing and presence.
#[derive(Debug, Default)]
pub(crate) struct Sections {
    pub(crate) rooms: Rooms,
    /// Account data of no room.
    pub(crate) account_data: Events,
    /// Short ids of the member events that a client is told which loads members lazily.
    pub(crate) members: Vec<u64>,
    pub(crate) to_device: ToDevice,
    pub(crate) device_lists: DeviceLists,
    /// Where they changed; then also where nothing else is told.
    pub(crate) key_counts: Option<Arc<KeyCounts>>,
}

impl Sections {
    pub(crate) fn is_empty(&self) -> bool {
        self.rooms.is_empty()
            && self.account_data.is_empty()
            && self.to_device.is_empty()
            && self.device_lists.is_empty()
            && self.key_counts.is_none()
    }
}

/// A room with only ephemeral news has neither timeline nor state.
#[derive(Debug, Default, Serialize)]
pub(crate) struct JoinedRoom {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) timeline: Option<Timeline>,
    #[serde(flatten)]
    pub(crate) state: Option<State>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) summary: Option<Summary>,
    #[serde(flatten)]
    pub(crate) unread: Unread,
    #[serde(skip_serializing_if = "EphemeralEvents::is_empty")]
    pub(crate) ephemeral: EphemeralEvents,
    #[serde(skip_serializing_if = "Events::is_untold")]
    pub(crate) account_data: Events,
}

/// `m.receipt` (Client-Server API, Receipts) and `m.typing` (Typing Notifications).
#[derive(Debug, Default, Serialize)]
pub(crate) struct EphemeralEvents {
    events: Vec<EphemeralEvent>,
}

impl EphemeralEvents {
    pub(crate) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// The first event, as JSON.
    pub(crate) fn first(&self) -> Result<Option<Box<RawValue>>, serde_json::Error> {
        self.events.first().map(serde_json::value::to_raw_value).transpose()
    }

    /// Adds who types.
    pub(crate) fn typing(&mut self, user_ids: Vec<OwnedUserId>) {
        self.events.push(EphemeralEvent::Typing { user_ids });
    }

    /// Adds receipts.
    pub(crate) fn receipts(&mut self, receipts: Vec<Receipt>) {
        self.events.extend(receipt_contents(receipts).into_iter().map(EphemeralEvent::Receipt));
    }
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", content = "content")]
enum EphemeralEvent {
    #[serde(rename = "m.receipt")]
    Receipt(ReceiptContent),
    #[serde(rename = "m.typing")]
    Typing { user_ids: Vec<OwnedUserId> },
}

#[derive(Debug, Default, Serialize)]
pub(crate) struct PresenceSection {
    events: Vec<PresenceEvent>,
}

impl PresenceSection {
    fn is_empty(&self) -> bool {
        self.events.is_empty()
    }
}

impl PresenceSection {
    /// How each of `users` is there, with the name and the picture that `names` have of them.
    pub(crate) fn new(users: Vec<PresenceOf>, mut names: BTreeMap<u64, Names>) -> Self {
        let event = |of: PresenceOf| {
            let names = names.remove(&of.user);
            PresenceEvent::new(of, names)
        };
        Self { events: users.into_iter().map(event).collect() }
    }
}

/// `m.presence` (Client-Server API, Presence).
#[derive(Debug, Serialize)]
struct PresenceEvent {
    r#type: &'static str,
    sender: OwnedUserId,
    content: PresenceContent,
}

#[derive(Debug, Serialize)]
struct PresenceContent {
    presence: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    displayname: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    avatar_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_msg: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_active_ago: Option<u64>,
    currently_active: bool,
}

impl PresenceEvent {
    fn new(of: PresenceOf, names: Option<Names>) -> Self {
        let (displayname, avatar_url) = names.map(|names| (names.displayname, names.avatar_url)).unwrap_or_default();
        let content = PresenceContent {
            presence: of.state.name(),
            displayname,
            avatar_url,
            status_msg: of.status,
            last_active_ago: of.active_ago_ms,
            currently_active: of.state == PresenceState::Online,
        };
        Self { r#type: "m.presence", sender: of.user_id, content }
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct LeftRoom {
    /// `None`: of a room that was left before, of which nothing but account data is news.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) timeline: Option<Timeline>,
    #[serde(flatten)]
    pub(crate) state: Option<State>,
    #[serde(skip_serializing_if = "Events::is_empty")]
    pub(crate) account_data: Events,
}

#[derive(Debug, Serialize)]
pub(crate) struct InvitedRoom {
    pub(crate) invite_state: Events,
}

#[derive(Debug, Serialize)]
pub(crate) struct KnockedRoom {
    pub(crate) knock_state: Events,
}

#[derive(Debug, Default, Serialize)]
pub(crate) struct Timeline {
    pub(crate) events: Vec<Box<RawValue>>,
    pub(crate) limited: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) prev_batch: Option<String>,
    /// Of each of the events, in their order.
    #[serde(skip)]
    pub(crate) arrived: Vec<Arrived>,
}

/// What is known of an event beside its JSON.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrived {
    pub(crate) position: Position,
    /// It is what a room is looked at for (MSC4186, `bump_stamp`).
    pub(crate) bumps: bool,
}

impl Arrived {
    pub(crate) fn of(event: &Seen) -> Self {
        let event_type = event.event_type.to_string();
        Self { position: event.position, bumps: BUMPING.contains(&event_type.as_str()) }
    }
}

/// Types of events that move a room up (MSC4186, `bump_stamp`), with the names that polls and beacons had before.
pub(crate) const BUMPING: [&str; 9] = [
    "m.room.create",
    "m.room.message",
    "m.room.encrypted",
    "m.sticker",
    "m.call.invite",
    "m.poll.start",
    "org.matrix.msc3381.poll.start",
    "m.beacon_info",
    "org.matrix.msc3672.beacon_info",
];

#[derive(Debug, Default, Serialize)]
pub(crate) struct Events {
    pub(crate) events: Vec<Box<RawValue>>,
    /// From the start: that there are none is told, too.
    #[serde(skip)]
    pub(crate) whole: bool,
}

impl Events {
    pub(crate) fn is_untold(&self) -> bool {
        self.events.is_empty() && !self.whole
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }
}

/// The state of a room, and whether it is that at the start of the timeline or that at its end.
#[derive(Debug, Serialize)]
pub(crate) enum State {
    #[serde(rename = "state")]
    Before(Events),
    #[serde(rename = "state_after")]
    After(Events),
    #[serde(rename = "org.matrix.msc4222.state_after")]
    AfterUnstable(Events),
}

impl State {
    pub(crate) fn new(name: StateName, events: Vec<Box<RawValue>>) -> Self {
        let events = Events { events, whole: false };
        match name {
            StateName::Before => Self::Before(events),
            StateName::After => Self::After(events),
            StateName::AfterUnstable => Self::AfterUnstable(events),
        }
    }

    pub(crate) fn into_events(self) -> Vec<Box<RawValue>> {
        let (Self::Before(events) | Self::After(events) | Self::AfterUnstable(events)) = self;
        events.events
    }

    pub(crate) fn is_empty(&self) -> bool {
        let (Self::Before(events) | Self::After(events) | Self::AfterUnstable(events)) = self;
        events.is_empty()
    }
}

/// Under which name, and so of which moment, the state of rooms is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StateName {
    /// `state`: that at the start of the timeline, whose events change it.
    #[default]
    Before,
    /// `state_after`: that at its end.
    After,
    /// The same, under its name of before it was in the specification (MSC4222).
    AfterUnstable,
}

impl StateName {
    pub(crate) fn is_after(self) -> bool {
        self != Self::Before
    }
}

/// Room summary (Client-Server API, `RoomSummary`).
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    #[serde(rename = "m.heroes", skip_serializing_if = "Vec::is_empty")]
    pub(crate) heroes: Vec<OwnedUserId>,
    #[serde(rename = "m.joined_member_count")]
    pub(crate) joined: u32,
    #[serde(rename = "m.invited_member_count")]
    pub(crate) invited: u32,
}
