//! A server with users, and short ways to use it.

use std::{ops::Deref, sync::Arc};

use ruma::{OwnedEventId, OwnedRoomId, RoomId, RoomVersionId, server_name};
use serde_json::{Value, json, value::RawValue};
use wardstead_accounts::{Accounts, NewAccount, Session};
use wardstead_engine::{
    Batch, Engine,
    counting::{CountingEngine, Counts},
};
use wardstead_engine_memory::MemoryEngine;
use wardstead_limits::ManualClock;
use wardstead_rooms::{Draft, Hooks, Membership, Messages, NewRoom, RoomError, Rooms, Seen, StoredEvent, signing};
use wardstead_store::{Store, testing};

pub struct Server {
    pub rooms: Rooms,
    pub store: Store,
    pub accounts: Accounts,
    pub engine: Arc<MemoryEngine>,
    pub counts: Counts,
    pub clock: ManualClock,
}

impl Deref for Server {
    type Target = Rooms;

    fn deref(&self) -> &Rooms {
        &self.rooms
    }
}

pub async fn server() -> Server {
    let (engine, clock) = testing::engine();
    on(engine, clock, 1).await
}

/// One more node on `engine`.
pub async fn on(engine: Arc<MemoryEngine>, clock: ManualClock, seed: u64) -> Server {
    let wrapped = Arc::clone(&engine) as Arc<dyn Engine>;
    through(wrapped, engine, clock, seed).await
}

/// One more node on `engine`, which it reaches through `wrapped`.
pub async fn through(wrapped: Arc<dyn Engine>, engine: Arc<MemoryEngine>, clock: ManualClock, seed: u64) -> Server {
    with(wrapped, engine, clock, seed, Hooks::default()).await
}

/// A node with hooks: one more of `beside`, or of its own.
pub async fn hooked(beside: Option<&Server>, seed: u64, hooks: Hooks) -> Server {
    let (engine, clock) = match beside {
        Some(server) => (Arc::clone(&server.engine), server.clock.clone()),
        None => testing::engine(),
    };
    with(Arc::clone(&engine) as Arc<dyn Engine>, engine, clock, seed, hooks).await
}

async fn with(
    wrapped: Arc<dyn Engine>,
    engine: Arc<MemoryEngine>,
    clock: ManualClock,
    seed: u64,
    hooks: Hooks,
) -> Server {
    let (counting, counts) = CountingEngine::new(wrapped);
    let store = testing::over(Arc::new(counting), "example.org", clock.clone(), seed).await.unwrap();
    let server_name = server_name!("example.org").to_owned();
    let accounts = Accounts::new(store.clone(), server_name.clone());
    let key = signing::load_or_create(&store, store.rng().as_ref()).await.unwrap();
    let rooms = Rooms::with_hooks(store.clone(), accounts.clone(), server_name, key, RoomVersionId::V12, hooks);
    Server { rooms, store, accounts, engine, counts, clock }
}

impl Server {
    /// Another node over the same data.
    pub async fn node(&self, seed: u64) -> Self {
        on(Arc::clone(&self.engine), self.clock.clone(), seed).await
    }

    pub async fn user(&self, name: &str) -> Session {
        let new = NewAccount { username: Some(name.to_owned()), ..NewAccount::default() };
        self.accounts.register(new, Batch::new()).await.unwrap().session
    }

    /// A room of `members`, the first of which makes it and the others of which are invited and join.
    pub async fn room(&self, members: &[&Session]) -> OwnedRoomId {
        self.room_of(members, NewRoom::default()).await
    }

    pub async fn room_of(&self, members: &[&Session], mut new: NewRoom) -> OwnedRoomId {
        new.invite.extend(members[1..].iter().map(|member| member.user_id.clone()));
        let room = self.create(members[0], new).await.unwrap();
        for member in &members[1..] {
            self.become_(member, &room, member, Membership::Join).await.unwrap();
        }
        room
    }

    pub async fn become_(
        &self,
        by: &Session,
        room: &RoomId,
        target: &Session,
        membership: Membership,
    ) -> Result<OwnedEventId, RoomError> {
        self.set_membership(by, room, &target.user_id, membership, None).await
    }

    pub async fn say(&self, by: &Session, room: &RoomId, body: &str) -> Result<OwnedEventId, RoomError> {
        self.send(by, room, message(body)).await
    }

    pub async fn say_once(
        &self,
        by: &Session,
        room: &RoomId,
        body: &str,
        txn: &str,
    ) -> Result<OwnedEventId, RoomError> {
        self.send(by, room, Draft { txn_id: Some(txn.into()), ..message(body) }).await
    }

    pub async fn set(
        &self,
        by: &Session,
        room: &RoomId,
        event_type: &str,
        content: Value,
    ) -> Result<OwnedEventId, RoomError> {
        self.send(by, room, state(event_type, "", content)).await
    }

    /// All events that `by` sees, the oldest first, page by page.
    pub async fn timeline(&self, by: &Session, room: &RoomId) -> Vec<Seen> {
        let mut events = Vec::new();
        let mut request = Messages { limit: Some(7), ..Messages::default() };
        loop {
            let page = self.messages(by, room, &request).await.unwrap();
            events.extend(page.events.into_iter().map(|(event, _)| event));
            let Some(end) = page.end else { return events };
            request.from = Some(end);
        }
    }

    pub async fn bodies(&self, by: &Session, room: &RoomId) -> Vec<String> {
        self.timeline(by, room).await.iter().filter_map(|event| body(event)).collect()
    }

    pub fn batches(&self) -> u64 {
        self.counts.read().batches
    }
}

pub fn raw(value: &Value) -> Box<RawValue> {
    serde_json::value::to_raw_value(value).unwrap()
}

pub fn message(body: &str) -> Draft {
    let content = raw(&json!({ "msgtype": "m.text", "body": body }));
    Draft { event_type: "m.room.message".to_owned(), state_key: None, content, txn_id: None }
}

pub fn state(event_type: &str, state_key: &str, content: Value) -> Draft {
    let state_key = Some(state_key.to_owned());
    Draft { event_type: event_type.to_owned(), state_key, content: raw(&content), txn_id: None }
}

pub fn content(event: &StoredEvent) -> Value {
    serde_json::from_str(event.content.get()).unwrap()
}

pub fn body(event: &StoredEvent) -> Option<String> {
    content(event)["body"].as_str().map(str::to_owned)
}

/// The error's variant, for tables.
pub fn kind<T>(result: Result<T, RoomError>) -> &'static str {
    match result {
        Ok(_) => "ok",
        Err(RoomError::Forbidden(_)) => "forbidden",
        Err(RoomError::Refused(_)) => "refused",
        Err(RoomError::InviteBlocked) => "invite blocked",
        Err(RoomError::NotFound(_)) => "not found",
        Err(RoomError::BadJson(_)) => "bad json",
        Err(RoomError::InvalidParam(_)) => "invalid param",
        Err(RoomError::TooLarge(_)) => "too large",
        Err(RoomError::BadAlias(_)) => "bad alias",
        Err(RoomError::AliasTaken(_)) => "alias taken",
        Err(RoomError::RoomInUse(_)) => "room in use",
        Err(RoomError::InvalidState(_)) => "invalid state",
        Err(RoomError::UnsupportedVersion(_)) => "unsupported version",
        Err(RoomError::Unsupported(_)) => "unsupported",
        Err(RoomError::Busy(_)) => "busy",
        Err(_) => "store",
    }
}
