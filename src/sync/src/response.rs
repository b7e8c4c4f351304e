//! The answer's JSON (Client-Server API, GET /_matrix/client/v3/sync, Response). Events are spliced in as they are stored.

use std::collections::BTreeMap;

use ruma::{OwnedRoomId, OwnedUserId};
use serde::Serialize;
use serde_json::value::RawValue;
use wardstead_accounts::{PresenceOf, PresenceState};

/// The whole answer.
#[derive(Debug, Serialize)]
pub(crate) struct Response {
    pub(crate) next_batch: String,
    #[serde(skip_serializing_if = "Rooms::is_empty")]
    pub(crate) rooms: Rooms,
    #[serde(skip_serializing_if = "PresenceSection::is_empty")]
    pub(crate) presence: PresenceSection,
}

#[derive(Debug, Default, Serialize)]
pub(crate) struct Rooms {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) join: BTreeMap<OwnedRoomId, JoinedRoom>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) invite: BTreeMap<OwnedRoomId, InvitedRoom>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) leave: BTreeMap<OwnedRoomId, LeftRoom>,
}

impl Rooms {
    pub(crate) fn is_empty(&self) -> bool {
        self.join.is_empty() && self.invite.is_empty() && self.leave.is_empty()
    }
}

/// A room with only ephemeral news has neither timeline nor state.
#[derive(Debug, Default, Serialize)]
pub(crate) struct JoinedRoom {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) timeline: Option<Timeline>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) state: Option<Events>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) summary: Option<Summary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ephemeral: Option<EphemeralEvents>,
}

/// `m.typing` (Client-Server API, Typing Notifications) is all there is so far.
#[derive(Debug, Serialize)]
pub(crate) struct EphemeralEvents {
    pub(crate) events: [TypingEvent; 1],
}

impl EphemeralEvents {
    pub(crate) fn typing(user_ids: Vec<OwnedUserId>) -> Self {
        Self { events: [TypingEvent { r#type: "m.typing", content: TypingContent { user_ids } }] }
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct TypingEvent {
    r#type: &'static str,
    content: TypingContent,
}

#[derive(Debug, Serialize)]
struct TypingContent {
    user_ids: Vec<OwnedUserId>,
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

impl From<Vec<PresenceOf>> for PresenceSection {
    fn from(users: Vec<PresenceOf>) -> Self {
        Self { events: users.into_iter().map(PresenceEvent::from).collect() }
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
    status_msg: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_active_ago: Option<u64>,
    currently_active: bool,
}

impl From<PresenceOf> for PresenceEvent {
    fn from(of: PresenceOf) -> Self {
        let content = PresenceContent {
            presence: of.state.name(),
            status_msg: of.status,
            last_active_ago: of.active_ago_ms,
            currently_active: of.state == PresenceState::Online,
        };
        Self { r#type: "m.presence", sender: of.user_id, content }
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct LeftRoom {
    pub(crate) timeline: Timeline,
    pub(crate) state: Events,
}

#[derive(Debug, Serialize)]
pub(crate) struct InvitedRoom {
    pub(crate) invite_state: Events,
}

#[derive(Debug, Default, Serialize)]
pub(crate) struct Timeline {
    pub(crate) events: Vec<Box<RawValue>>,
    pub(crate) limited: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) prev_batch: Option<String>,
}

#[derive(Debug, Default, Serialize)]
pub(crate) struct Events {
    pub(crate) events: Vec<Box<RawValue>>,
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
