//! Events that no request of this server made: another server's, say, or old ones.

use std::{collections::BTreeMap, sync::Arc};

use ruma::{
    CanonicalJsonObject, EventId, OwnedEventId, OwnedRoomId, RoomVersionId, UserId,
    signatures::{hash_and_sign_event, reference_hash},
};
use serde_json::{Value, json};
use wardstead_rooms::{Incoming, Received, Room, RoomError, StatedState, Status, StoredEvent, rules};

use crate::support::{Server, raw};

/// State by type and key.
pub type State = BTreeMap<(String, String), OwnedEventId>;

/// What an event says, and where it stands.
#[derive(Clone, Debug)]
pub struct Forge {
    pub version: RoomVersionId,
    pub room_id: OwnedRoomId,
    pub sender: String,
    pub event_type: String,
    pub state_key: Option<String>,
    pub content: Value,
    pub prev: Vec<OwnedEventId>,
    pub auth: Vec<OwnedEventId>,
    pub depth: u64,
    pub ts: u64,
}

impl Forge {
    /// Its JSON and id.
    pub fn make(&self, server: &Server) -> (OwnedEventId, Value) {
        let mut event = json!({
            "room_id": self.room_id, "sender": self.sender, "type": self.event_type, "content": self.content,
            "prev_events": self.prev, "auth_events": self.auth, "depth": self.depth, "origin_server_ts": self.ts,
        });
        if let Some(state_key) = &self.state_key {
            event["state_key"] = json!(state_key);
        }
        let rules = rules(&self.version).unwrap();
        let mut object: CanonicalJsonObject = serde_json::from_value(event).unwrap();
        hash_and_sign_event("example.org", &*server.signing_key(), &mut object, &rules.redaction).unwrap();
        let id = EventId::parse(format!("${}", reference_hash(&object, &rules).unwrap())).unwrap();
        (id, serde_json::to_value(object).unwrap())
    }
}

pub fn incoming(pdu: &Value) -> Incoming {
    Incoming { pdu: raw(pdu), signed: true, stated: Vec::new() }
}

/// A room with ways to put events anywhere into its graph.
pub struct Graph<'a> {
    pub server: &'a Server,
    pub room: Arc<Room>,
}

impl<'a> Graph<'a> {
    pub async fn new(server: &'a Server, room_id: &ruma::RoomId) -> Self {
        Self { server, room: server.rooms.room(room_id).await.unwrap().unwrap() }
    }

    /// Event `state` of the current state.
    pub async fn current(&self) -> State {
        named(&self.server.rooms.state_now(&self.room.room_id).await.unwrap())
    }

    pub async fn before(&self, event_id: &EventId) -> State {
        named(&self.server.rooms.state_before(&self.room.room_id, event_id).await.unwrap())
    }

    /// An event of `sender` after `prev`, with the auth events that `state` gives it.
    pub fn event(
        &self,
        sender: &UserId,
        (event_type, state_key, content): (&str, Option<&str>, Value),
        prev: &[&StoredEvent],
        state: &State,
    ) -> Forge {
        let mut auth = vec![("m.room.power_levels", ""), ("m.room.member", sender.as_str())];
        if self.room.version != RoomVersionId::V12 {
            auth.push(("m.room.create", ""));
        }
        if event_type == "m.room.member" {
            auth.extend(state_key.map(|key| ("m.room.member", key)));
            if ["join", "invite", "knock"].contains(&content["membership"].as_str().unwrap_or_default()) {
                auth.push(("m.room.join_rules", ""));
            }
        }
        auth.sort_unstable();
        auth.dedup();
        let found = auth.into_iter().filter_map(|(name, key)| state.get(&(name.to_owned(), key.to_owned())).cloned());
        Forge {
            version: self.room.version.clone(),
            room_id: self.room.room_id.clone(),
            sender: sender.to_string(),
            event_type: event_type.to_owned(),
            state_key: state_key.map(str::to_owned),
            content,
            prev: prev.iter().map(|event| event.event_id.clone()).collect(),
            auth: found.collect(),
            depth: prev.iter().map(|event| event.depth).max().unwrap_or_default() + 1,
            ts: wardstead_limits::Clock::now_ms(&self.server.clock),
        }
    }

    pub async fn receive(&self, forge: &Forge) -> (OwnedEventId, Result<Received, RoomError>) {
        let (id, pdu) = forge.make(self.server);
        let received = self.server.rooms.receive(&self.room.room_id, &incoming(&pdu)).await;
        (id, received)
    }

    /// The same, with the state after events that are not here.
    pub async fn receive_stated(
        &self,
        forge: &Forge,
        stated: &[(&OwnedEventId, &State)],
    ) -> (OwnedEventId, Result<Received, RoomError>) {
        let (id, pdu) = forge.make(self.server);
        let stated = stated
            .iter()
            .map(|(after, state)| StatedState { after: (*after).clone(), events: state.values().cloned().collect() });
        let incoming = Incoming { stated: stated.collect(), ..incoming(&pdu) };
        (id, self.server.rooms.receive(&self.room.room_id, &incoming).await)
    }

    /// Puts it in and says what it became.
    pub async fn put(&self, forge: &Forge) -> (Arc<StoredEvent>, Status) {
        let (id, received) = self.receive(forge).await;
        let status = received.unwrap().status().unwrap();
        (self.stored(&id).await, status)
    }

    pub async fn stored(&self, id: &EventId) -> Arc<StoredEvent> {
        self.server.rooms.stored_event(&self.room.room_id, id).await.unwrap().unwrap()
    }
}

pub fn named(events: &[Arc<StoredEvent>]) -> State {
    let name = |event: &StoredEvent| (event.event_type.to_string(), event.state_key.clone().unwrap());
    events.iter().map(|event| (name(event), event.event_id.clone())).collect()
}
