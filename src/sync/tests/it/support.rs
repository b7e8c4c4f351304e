//! A server with users, rooms and a sync, and short ways to use them.

use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use ruma::{OwnedEventId, OwnedRoomId, RoomId, RoomVersionId, server_name};
use serde_json::{Value, json, value::RawValue};
use wardstead_accounts::{AccountHooks, Accounts, NewAccount, NewDevice, Presence, Session};
use wardstead_e2ee::{Company, InboxKeeper};
use wardstead_engine::{
    Batch, Bus, Cell, Engine, EngineError, EngineLimits, Group, GroupOutcome, Key, Lease, LeaseRequest, LocalBus, Page,
    PageLimit, Position, ScanRange,
    counting::{CountingEngine, Counts, Reading},
    journal,
};
use wardstead_engine_memory::MemoryEngine;
use wardstead_limits::{Clock, SeededRng};
use wardstead_rooms::{
    Draft, EventFilter, Hooks, InitialState, Marks, Membership, Messages, NewRoom, ReceiptMark, RoomError, Rooms,
    Typing, signing,
};
use wardstead_store::{Contributors, Store, testing};
use wardstead_sync::{ConnectionKeeper, SyncError, SyncFilter, SyncRequest, Syncer};

type Act = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Lets something happen just before a read of the engine.
#[derive(Clone, Default)]
pub struct Meanwhile(Arc<Planned>);

#[derive(Default)]
struct Planned {
    reads: AtomicU64,
    act: Mutex<Option<(u64, Act)>>,
}

impl Meanwhile {
    /// `act` happens before the `n`-th read from now (1: the next).
    pub fn before_read(&self, n: u64, act: impl Future<Output = ()> + Send + 'static) {
        self.0.reads.store(0, Ordering::SeqCst);
        *self.0.act.lock().unwrap() = Some((n, Box::pin(act)));
    }

    /// Takes back what has not happened yet.
    pub fn take(&self) -> Option<Act> {
        self.0.act.lock().unwrap().take().map(|(_, act)| act)
    }

    async fn read(&self) {
        let count = self.0.reads.fetch_add(1, Ordering::SeqCst) + 1;
        let due = self.0.act.lock().unwrap().take_if(|(n, _)| *n == count);
        if let Some((_, act)) = due {
            act.await;
        }
    }
}

struct Interrupted {
    inner: Arc<dyn Engine>,
    meanwhile: Meanwhile,
    horizon: Arc<AtomicU64>,
}

#[async_trait]
impl Engine for Interrupted {
    async fn get_many(&self, at: Position, keys: &[Key]) -> Result<Vec<Option<Cell>>, EngineError> {
        self.meanwhile.read().await;
        self.inner.get_many(at, keys).await
    }

    async fn scan(&self, at: Position, range: &ScanRange, page: PageLimit) -> Result<Page, EngineError> {
        if range.from.as_bytes()[..2] != journal::key(Position::ZERO).as_bytes()[..2] {
            self.meanwhile.read().await;
        }
        self.inner.scan(at, range, page).await
    }

    async fn commit_group(&self, group: Group) -> Result<GroupOutcome, EngineError> {
        self.inner.commit_group(group).await
    }

    async fn position(&self) -> Result<Position, EngineError> {
        let newest = self.inner.position().await?;
        Ok(newest.min(Position(self.horizon.load(Ordering::SeqCst))))
    }

    async fn lease(&self, request: LeaseRequest) -> Result<Option<Lease>, EngineError> {
        self.inner.lease(request).await
    }

    fn limits(&self) -> EngineLimits {
        self.inner.limits()
    }
}

#[derive(Clone)]
pub struct Server {
    pub rooms: Rooms,
    pub syncer: Syncer,
    pub store: Store,
    pub accounts: Accounts,
    pub engine: Arc<MemoryEngine>,
    pub counts: Counts,
    pub meanwhile: Meanwhile,
    /// The newest position that the node's tail can see.
    pub horizon: Arc<AtomicU64>,
    pub clock: Arc<dyn Clock>,
    setting: Setting,
}

pub async fn server() -> Server {
    seeded(1).await
}

pub async fn seeded(seed: u64) -> Server {
    let (engine, clock) = testing::engine();
    on(engine, Setting::still(clock), seed).await
}

impl Setting {
    /// Time stands still, nobody hears the others, no presence.
    fn still(clock: impl Clock) -> Self {
        Self { clock: Arc::new(clock), bus: Arc::new(LocalBus::new()), presence: false }
    }
}

/// What nodes over one engine have in common.
#[derive(Clone)]
pub struct Setting {
    pub clock: Arc<dyn Clock>,
    pub bus: Arc<dyn Bus>,
    pub presence: bool,
}

pub async fn on(engine: Arc<MemoryEngine>, setting: Setting, seed: u64) -> Server {
    let (counting, counts) = CountingEngine::new(Arc::clone(&engine) as Arc<dyn Engine>);
    let meanwhile = Meanwhile::default();
    let horizon = Arc::new(AtomicU64::new(u64::MAX));
    let inner = Arc::new(counting);
    let interrupted = Interrupted { inner, meanwhile: meanwhile.clone(), horizon: Arc::clone(&horizon) };
    let Setting { clock, bus, presence } = setting.clone();
    let rng = Arc::new(SeededRng::new(seed));
    let store = Store::open(Arc::new(interrupted), bus, "example.org", Arc::clone(&clock), rng).await.unwrap();
    let server_name = server_name!("example.org").to_owned();
    let contributors = Arc::new(Contributors::new(vec![Arc::new(InboxKeeper) as _, Arc::new(ConnectionKeeper) as _]));
    let hooks = AccountHooks { contributors, ..AccountHooks::default() };
    let accounts = Accounts::with_hooks(store.clone(), server_name.clone(), hooks);
    let key = signing::load_or_create(&store, store.rng().as_ref()).await.unwrap();
    let hooks = Hooks { contributors: Arc::new(Contributors::new(vec![Arc::new(Company) as _])), ..Hooks::default() };
    let rooms = Rooms::with_hooks(store.clone(), accounts.clone(), server_name, key, RoomVersionId::V12, hooks);
    store.set_audience(Arc::new(rooms.clone()));
    let (typing, presence) = (Typing::start(store.clone()), Presence::start(store.clone(), presence));
    let syncer = Syncer::new(store.clone(), accounts.clone(), rooms.clone(), typing, presence);
    Server { rooms, syncer, store, accounts, engine, counts, meanwhile, horizon, clock, setting }
}

impl Server {
    /// Another node over the same data: its memory is empty.
    pub async fn node(&self, seed: u64) -> Self {
        let setting = Setting { clock: Arc::clone(&self.clock), bus: Arc::new(LocalBus::new()), presence: false };
        on(Arc::clone(&self.engine), setting, seed).await
    }

    /// Another node that hears what this one says.
    pub async fn beside(&self, seed: u64) -> Self {
        on(Arc::clone(&self.engine), self.setting.clone(), seed).await
    }

    pub async fn user(&self, name: &str) -> Session {
        let new = NewAccount { username: Some(name.to_owned()), ..NewAccount::default() };
        self.accounts.register(new, Batch::new()).await.unwrap().session
    }

    pub async fn users<const N: usize>(&self, names: [&str; N]) -> [Session; N] {
        let mut users = Vec::new();
        for name in names {
            users.push(self.user(name).await);
        }
        users.try_into().unwrap()
    }

    /// Another device of the same user.
    pub async fn device(&self, of: &Session) -> Session {
        let account = self.accounts.find(&of.user_id).await.unwrap().unwrap();
        let NewDevice { device_id, display_name, .. } = NewDevice::default();
        self.accounts.login(&account, device_id, display_name).await.unwrap().session
    }

    /// A room of `members`, the first of which makes it and the others of which are invited and join.
    pub async fn room(&self, members: &[&Session]) -> OwnedRoomId {
        self.room_of(members, NewRoom::default()).await
    }

    pub async fn room_of(&self, members: &[&Session], mut new: NewRoom) -> OwnedRoomId {
        new.invite.extend(members[1..].iter().map(|member| member.user_id.clone()));
        let room = self.rooms.create(members[0], new).await.unwrap();
        for member in &members[1..] {
            self.member(member, &room, member, Membership::Join).await;
        }
        room
    }

    /// A room that anybody may join, with `visibility` of its history.
    pub async fn open_room(&self, by: &Session, visibility: &str) -> OwnedRoomId {
        self.room_of(&[by], open(visibility)).await
    }

    pub async fn member(&self, by: &Session, room: &RoomId, target: &Session, membership: Membership) -> OwnedEventId {
        self.rooms.set_membership(by, room, &target.user_id, membership, None).await.unwrap()
    }

    pub async fn join(&self, by: &Session, room: &RoomId) -> OwnedEventId {
        self.member(by, room, by, Membership::Join).await
    }

    pub async fn leave(&self, by: &Session, room: &RoomId) -> OwnedEventId {
        self.member(by, room, by, Membership::Leave).await
    }

    pub async fn try_send(&self, by: &Session, room: &RoomId, draft: Draft) -> Result<OwnedEventId, RoomError> {
        self.rooms.send(by, room, draft).await
    }

    pub async fn say(&self, by: &Session, room: &RoomId, body: &str) -> OwnedEventId {
        self.try_send(by, room, message(body)).await.unwrap()
    }

    pub async fn say_many(&self, by: &Session, room: &RoomId, count: usize) -> Vec<OwnedEventId> {
        let mut said = Vec::with_capacity(count);
        for number in 0..count {
            said.push(self.say(by, room, &format!("message {number}")).await);
        }
        said
    }

    pub async fn topic(&self, by: &Session, room: &RoomId, topic: &str) -> OwnedEventId {
        self.try_send(by, room, state("m.room.topic", "", &json!({ "topic": topic }))).await.unwrap()
    }

    /// Reads up to `event`, in no thread.
    pub async fn read(&self, by: &Session, room: &RoomId, event: &OwnedEventId) {
        let read = Some(ReceiptMark::unthreaded(event.clone()));
        self.rooms.mark_read(by, room, &Marks { read, ..Marks::default() }).await.unwrap();
    }

    /// Reads up to `event` without telling anybody, and sets the fully read marker.
    pub async fn read_silently(&self, by: &Session, room: &RoomId, event: &OwnedEventId) {
        let private = Some(ReceiptMark::unthreaded(event.clone()));
        let marks = Marks { private, fully_read: Some(event.clone()), ..Marks::default() };
        self.rooms.mark_read(by, room, &marks).await.unwrap();
    }

    pub async fn ask(&self, by: &Session, request: SyncRequest) -> Result<Answer, SyncError> {
        let bytes = Box::pin(self.syncer.sync(by, request)).await?;
        Ok(Answer(serde_json::from_slice(&bytes).unwrap()))
    }

    /// An initial sync, or what happened since.
    pub async fn sync(&self, by: &Session, since: Option<&Answer>) -> Answer {
        self.filtered(by, since, &json!({})).await
    }

    pub async fn filtered(&self, by: &Session, since: Option<&Answer>, filter: &Value) -> Answer {
        let filter = SyncFilter::parse(&filter.to_string()).unwrap();
        self.ask(by, SyncRequest { since: since.map(Answer::next), filter, ..SyncRequest::default() }).await.unwrap()
    }

    /// With a timeline of at most `limit` events.
    pub async fn limited(&self, by: &Session, since: Option<&Answer>, limit: usize) -> Answer {
        self.filtered(by, since, &limit_filter(limit)).await
    }

    /// All events before `from`, the newest first, in pages of `limit`.
    pub async fn back(
        &self,
        by: &Session,
        room: &RoomId,
        from: String,
        to: Option<String>,
        limit: usize,
    ) -> Vec<String> {
        self.back_where(by, room, from, to, limit, &EventFilter::default()).await
    }

    /// Those that `filter` lets pass.
    pub async fn back_where(
        &self,
        by: &Session,
        room: &RoomId,
        from: String,
        to: Option<String>,
        limit: usize,
        filter: &EventFilter,
    ) -> Vec<String> {
        let mut all = Vec::new();
        let mut from = Some(from);
        while from.is_some() {
            let filter = filter.clone();
            let request = Messages { from, to: to.clone(), backwards: true, limit: Some(limit), filter };
            let page = self.rooms.messages(by, room, &request).await.unwrap();
            all.extend(page.events.iter().map(|(event, _)| event.event_id.to_string()));
            from = page.end;
        }
        all
    }

    /// Lets the tail finish what follows from the commits so far.
    pub async fn settle(&self) {
        self.store.caught_up().await.unwrap();
        for _ in 0..8 {
            tokio::task::yield_now().await;
        }
    }

    /// What `future` reads of the engine.
    pub async fn reads<T>(&self, future: impl Future<Output = T>) -> (T, Reading) {
        self.settle().await;
        let before = self.counts.read();
        let result = future.await;
        let after = self.counts.read();
        let reading = Reading {
            gets: after.gets - before.gets,
            keys: after.keys - before.keys,
            scans: after.scans - before.scans,
            groups: after.groups - before.groups,
            batches: after.batches - before.batches,
        };
        (result, reading)
    }
}

pub fn limit_filter(limit: usize) -> Value {
    json!({ "room": { "timeline": { "limit": limit } } })
}

pub fn raw(content: &Value) -> Box<RawValue> {
    serde_json::value::to_raw_value(content).unwrap()
}

pub fn message(body: &str) -> Draft {
    let content = raw(&json!({ "msgtype": "m.text", "body": body }));
    Draft { event_type: "m.room.message".to_owned(), state_key: None, content, txn_id: None }
}

pub fn state(event_type: &str, state_key: &str, content: &Value) -> Draft {
    let (event_type, state_key) = (event_type.to_owned(), Some(state_key.to_owned()));
    Draft { event_type, state_key, content: raw(content), txn_id: None }
}

/// A room that anybody may join and in which anybody may set state.
pub fn open(visibility: &str) -> NewRoom {
    let initial = |event_type: &str, content: Value| InitialState {
        event_type: event_type.to_owned(),
        state_key: String::new(),
        content: raw(&content),
    };
    NewRoom {
        public: true,
        initial_state: vec![initial("m.room.history_visibility", json!({ "history_visibility": visibility }))],
        power_level_content_override: Some(raw(&json!({ "state_default": 0, "invite": 0, "events": {} }))),
        ..NewRoom::default()
    }
}

/// The answer to a sync.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer(pub Value);

impl Answer {
    pub fn next(&self) -> String {
        self.0["next_batch"].as_str().unwrap().to_owned()
    }

    /// Without what differs between two answers that say the same.
    pub fn said(&self) -> Value {
        let mut said = self.0.clone();
        let told = said.as_object_mut().unwrap();
        told.remove("next_batch");
        // Each answer tells them.
        told.remove("device_one_time_keys_count");
        told.remove("device_unused_fallback_key_types");
        said
    }

    pub fn is_empty(&self) -> bool {
        self.said() == json!({})
    }

    pub fn joined(&self, room: &RoomId) -> Section<'_> {
        Section(&self.0["rooms"]["join"][room.as_str()])
    }

    pub fn left(&self, room: &RoomId) -> Section<'_> {
        Section(&self.0["rooms"]["leave"][room.as_str()])
    }

    pub fn invited(&self, room: &RoomId) -> Section<'_> {
        Section(&self.0["rooms"]["invite"][room.as_str()])
    }

    /// The rooms of `join`, `invite` or `leave`.
    pub fn rooms(&self, section: &str) -> Vec<String> {
        self.0["rooms"][section].as_object().map(|rooms| rooms.keys().cloned().collect()).unwrap_or_default()
    }
}

/// One room of an answer.
#[derive(Clone, Copy, Debug)]
pub struct Section<'a>(pub &'a Value);

impl<'a> Section<'a> {
    /// Receipts by type and user: the event.
    pub fn receipts(self) -> BTreeMap<(String, String), String> {
        let mut receipts = BTreeMap::new();
        for event in self.0["ephemeral"]["events"].as_array().into_iter().flatten() {
            assert_eq!(event["type"], "m.receipt");
            for (event_id, types) in event["content"].as_object().unwrap() {
                for (name, users) in types.as_object().unwrap() {
                    for user in users.as_object().unwrap().keys() {
                        receipts.insert((name.clone(), user.clone()), event_id.clone());
                    }
                }
            }
        }
        receipts
    }

    /// Account data by type.
    pub fn account_data(self) -> BTreeMap<String, Value> {
        let events = self.0["account_data"]["events"].as_array().into_iter().flatten();
        events.map(|event| (event["type"].as_str().unwrap().to_owned(), event["content"].clone())).collect()
    }

    pub fn events(self) -> &'a [Value] {
        self.0["timeline"]["events"].as_array().map_or(&[], Vec::as_slice)
    }

    pub fn state_events(self) -> &'a [Value] {
        self.0["state"]["events"].as_array().map_or(&[], Vec::as_slice)
    }

    /// `state_after`.
    pub fn after(self) -> BTreeMap<(String, String), String> {
        self.0["state_after"]["events"].as_array().unwrap().iter().map(|event| (key(event), id(event))).collect()
    }

    /// The users whose member events are told as state, in order.
    pub fn members(self) -> Vec<String> {
        let all = self.state_events().iter().chain(self.0["state_after"]["events"].as_array().into_iter().flatten());
        let members = all.filter(|event| event["type"] == "m.room.member");
        let mut members: Vec<String> =
            members.map(|event| event["state_key"].as_str().unwrap().replace(":example.org", "")).collect();
        members.sort();
        members
    }

    pub fn timeline(self) -> Vec<String> {
        self.events().iter().map(id).collect()
    }

    /// Event ids by type and state key; each once.
    pub fn state(self) -> BTreeMap<(String, String), String> {
        let mut state = BTreeMap::new();
        for event in self.state_events() {
            assert!(state.insert(key(event), id(event)).is_none(), "twice in the state: {event}");
        }
        state
    }

    /// Only the event ids of the state, in order of their keys.
    pub fn state_ids(self) -> Vec<String> {
        self.state().into_values().collect()
    }

    pub fn limited(self) -> bool {
        self.0["timeline"]["limited"].as_bool().unwrap()
    }

    pub fn prev_batch(self) -> String {
        self.0["timeline"]["prev_batch"].as_str().unwrap().to_owned()
    }
}

pub fn id(event: &Value) -> String {
    event["event_id"].as_str().unwrap().to_owned()
}

pub fn key(event: &Value) -> (String, String) {
    (event["type"].as_str().unwrap().to_owned(), event["state_key"].as_str().unwrap().to_owned())
}

/// Current state of a room, as another endpoint tells it.
pub async fn state_of(server: &Server, by: &Session, room: &RoomId) -> BTreeMap<(String, String), String> {
    let events = server.rooms.state(by, room).await.unwrap();
    let entry = |event: &wardstead_rooms::Seen| {
        ((event.event_type.to_string(), event.state_key.clone().unwrap()), event.event_id.to_string())
    };
    events.iter().map(entry).collect()
}
