//! Sliding sync.

mod configs;
mod extensions;
mod filters;
mod histories;
mod lists;
mod pos;
mod waits;

use ruma::RoomId;
use serde_json::{Value, json};
use wardstead_accounts::Session;
use wardstead_sync::{SlidingBody, SlidingForm, SlidingRequest, SyncError};

use crate::support::{Server, id};

/// The answer to a sliding sync.
#[derive(Clone, Debug)]
pub struct Slid(pub Value);

impl Slid {
    pub fn pos(&self) -> String {
        self.0["pos"].as_str().unwrap().to_owned()
    }

    pub fn room(&self, room: &RoomId) -> &Value {
        &self.0["rooms"][room.as_str()]
    }

    /// Ids of the rooms that are told.
    pub fn rooms(&self) -> Vec<&str> {
        self.0["rooms"].as_object().unwrap().keys().map(String::as_str).collect()
    }

    pub fn timeline(&self, room: &RoomId) -> Vec<String> {
        self.room(room)["timeline"].as_array().map(|events| events.iter().map(id).collect()).unwrap_or_default()
    }

    pub fn is_initial(&self, room: &RoomId) -> bool {
        self.room(room)["initial"] == true
    }

    pub fn count(&self, list: &str) -> u64 {
        self.0["lists"][list]["count"].as_u64().unwrap()
    }

    /// `type state_key` of the required state.
    pub fn state(&self, room: &RoomId) -> Vec<String> {
        let events = self.room(room)["required_state"].as_array().cloned().unwrap_or_default();
        let key = |event: &Value| {
            format!("{} {}", event["type"].as_str().unwrap(), event["state_key"].as_str().unwrap())
                .replace(":example.org", "")
        };
        let mut state: Vec<String> = events.iter().map(key).collect();
        state.sort();
        state
    }
}

/// One list, `all`, of the rooms in `range`.
pub fn list(from: u64, to: u64, limit: u64) -> Value {
    json!({ "lists": { "all": { "ranges": [[from, to]], "timeline_limit": limit, "required_state": [] } } })
}

pub fn request(body: &Value, pos: Option<&Slid>) -> SlidingRequest {
    let body: SlidingBody = serde_json::from_value(body.clone()).unwrap();
    assert!(body.is_bounded());
    let form = SlidingForm::Unstable;
    SlidingRequest { body, pos: pos.map(Slid::pos), form, ..SlidingRequest::default() }
}

pub async fn try_slide(server: &Server, by: &Session, request: SlidingRequest) -> Result<Slid, SyncError> {
    let bytes = Box::pin(server.syncer.sliding_sync(by, request)).await?;
    Ok(Slid(serde_json::from_slice(&bytes).unwrap()))
}

pub async fn slide(server: &Server, by: &Session, body: &Value, pos: Option<&Slid>) -> Slid {
    try_slide(server, by, request(body, pos)).await.unwrap()
}
