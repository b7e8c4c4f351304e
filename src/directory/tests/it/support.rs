//! A server with users and a directory, and short ways to use it.

use std::{ops::Deref, sync::Arc};

use ruma::{OwnedRoomId, RoomId, RoomVersionId, server_name};
use serde_json::{Value, json, value::RawValue};
use wardstead_accounts::{AccountChange, AccountHooks, Accounts, NewAccount, Session};
use wardstead_directory::{
    Directory, DirectoryError, PeopleIndex, PublicRooms, PublicRoomsQuery, Publisher, VisiblePeople,
};
use wardstead_engine::{
    Batch, Engine,
    counting::{CountingEngine, Counts},
};
use wardstead_engine_memory::MemoryEngine;
use wardstead_limits::ManualClock;
use wardstead_rooms::{Draft, Hooks, InitialState, Membership, NewRoom, Preset, RoomChange, Rooms, signing};
use wardstead_store::{CommitContributor, Contributors, Store, testing};

pub struct Server {
    pub directory: Directory,
    pub rooms: Rooms,
    pub store: Store,
    pub accounts: Accounts,
    pub engine: Arc<MemoryEngine>,
    pub counts: Counts,
    pub clock: ManualClock,
}

impl Deref for Server {
    type Target = Directory;

    fn deref(&self) -> &Directory {
        &self.directory
    }
}

pub async fn server() -> Server {
    server_with(Vec::new()).await
}

/// One whose rooms' changes `others` follow too.
pub async fn server_with(others: Vec<Arc<dyn CommitContributor<RoomChange>>>) -> Server {
    let (engine, clock) = testing::engine();
    on(engine, clock, 1, others, VisiblePeople::All).await
}

/// One where only those are found whom one could meet.
pub async fn reserved() -> Server {
    let (engine, clock) = testing::engine();
    on(engine, clock, 1, Vec::new(), VisiblePeople::Met).await
}

async fn on(
    engine: Arc<MemoryEngine>,
    clock: ManualClock,
    seed: u64,
    mut contributors: Vec<Arc<dyn CommitContributor<RoomChange>>>,
    people: VisiblePeople,
) -> Server {
    let (counting, counts) = CountingEngine::new(Arc::clone(&engine) as Arc<dyn Engine>);
    let store = testing::over(Arc::new(counting), "example.org", clock.clone(), seed).await.unwrap();
    let server_name = server_name!("example.org").to_owned();
    let followers: Vec<Arc<dyn CommitContributor<AccountChange>>> = vec![Arc::new(PeopleIndex)];
    let hooks = AccountHooks { contributors: Arc::new(Contributors::new(followers)), ..AccountHooks::default() };
    let accounts = Accounts::with_hooks(store.clone(), server_name.clone(), hooks);
    let key = signing::load_or_create(&store, store.rng().as_ref()).await.unwrap();
    contributors.push(Arc::new(Publisher));
    let hooks = Hooks { contributors: Arc::new(Contributors::new(contributors)), ..Hooks::default() };
    let rooms = Rooms::with_hooks(store.clone(), accounts.clone(), server_name, key, RoomVersionId::V12, hooks);
    store.set_audience(Arc::new(rooms.clone()));
    let directory = Directory::new(store.clone(), accounts.clone(), rooms.clone(), people);
    Server { directory, rooms, store, accounts, engine, counts, clock }
}

impl Server {
    /// Another node over the same data.
    pub async fn node(&self, seed: u64) -> Self {
        on(Arc::clone(&self.engine), self.clock.clone(), seed, Vec::new(), VisiblePeople::All).await
    }

    pub async fn user(&self, name: &str) -> Session {
        let new = NewAccount { username: Some(name.to_owned()), ..NewAccount::default() };
        self.accounts.register(new, Batch::new()).await.unwrap().session
    }

    pub async fn room(&self, by: &Session, new: NewRoom) -> OwnedRoomId {
        // Events of rooms that are made one after another have different times.
        self.clock.advance_ms(5);
        self.rooms.create(by, new).await.unwrap()
    }

    pub async fn set(&self, by: &Session, room: &RoomId, event_type: &str, state_key: &str, content: Value) {
        self.clock.advance_ms(5);
        let draft = Draft {
            event_type: event_type.to_owned(),
            state_key: Some(state_key.to_owned()),
            content: raw(&content),
            txn_id: None,
        };
        self.rooms.send(by, room, draft).await.unwrap();
    }

    pub async fn become_(&self, by: &Session, room: &RoomId, target: &Session, membership: Membership) {
        self.rooms.set_membership(by, room, &target.user_id, membership, None).await.unwrap();
    }

    pub async fn join(&self, who: &Session, room: &RoomId) {
        self.become_(who, room, who, Membership::Join).await;
    }

    /// All published rooms.
    pub async fn all(&self) -> PublicRooms {
        self.public_rooms(&PublicRoomsQuery::default()).await.unwrap()
    }

    pub async fn names(&self) -> Vec<String> {
        names(&self.all().await)
    }

    pub fn reads(&self) -> u64 {
        let counts = self.counts.read();
        counts.gets + counts.scans
    }
}

pub fn names(page: &PublicRooms) -> Vec<String> {
    page.chunk.iter().map(|room| room.name.clone().unwrap_or_default()).collect()
}

pub fn raw(value: &Value) -> Box<RawValue> {
    serde_json::value::to_raw_value(value).unwrap()
}

/// A room that everybody may join.
pub fn open(name: &str) -> NewRoom {
    NewRoom { preset: Some(Preset::PublicChat), name: Some(name.to_owned()), ..NewRoom::default() }
}

/// One that is published too.
pub fn listed(name: &str) -> NewRoom {
    NewRoom { public: true, ..open(name) }
}

pub fn space(new: NewRoom) -> NewRoom {
    NewRoom { creation_content: Some(raw(&json!({ "type": "m.space" }))), ..new }
}

pub fn with(mut new: NewRoom, event_type: &str, content: &Value) -> NewRoom {
    new.initial_state.push(InitialState {
        event_type: event_type.to_owned(),
        state_key: String::new(),
        content: raw(content),
    });
    new
}

/// The error's variant, for tables.
pub fn kind<T>(result: Result<T, DirectoryError>) -> &'static str {
    match result {
        Ok(_) => "ok",
        Err(DirectoryError::Forbidden(_)) => "forbidden",
        Err(DirectoryError::NotFound(_)) => "not found",
        Err(DirectoryError::InvalidParam(_)) => "invalid param",
        Err(DirectoryError::Full(_)) => "full",
        Err(_) => "other",
    }
}
