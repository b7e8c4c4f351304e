//! The answer's JSON (Client-Server API, GET /_matrix/client/v3/sync, Response). Events are spliced in as they are stored.

use std::collections::BTreeMap;

use ruma::{OwnedRoomId, OwnedUserId};
use serde::Serialize;
use serde_json::value::RawValue;

/// The whole answer.
#[derive(Debug, Serialize)]
pub(crate) struct Response {
    pub(crate) next_batch: String,
    #[serde(skip_serializing_if = "Rooms::is_empty")]
    pub(crate) rooms: Rooms,
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

#[derive(Debug, Serialize)]
pub(crate) struct JoinedRoom {
    pub(crate) timeline: Timeline,
    pub(crate) state: Events,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) summary: Option<Summary>,
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
