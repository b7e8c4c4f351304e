//! A server that counts, and short ways to use it.

use std::{ops::Deref, sync::Arc};

use ruma::{OwnedEventId, OwnedRoomId, RoomId, RoomVersionId, push::Ruleset, server_name};
use serde_json::{Value, json, value::RawValue};
use wardstead_accounts::{AccountChange, AccountHooks, Accounts, NewAccount, Session};
use wardstead_engine::{Batch, Engine};
use wardstead_limits::ManualClock;
use wardstead_push::{Counter, GatewayPolicy, Push, PusherKeeper, Pushers, RuleKeeper, UnreadCounts};
use wardstead_rooms::{
    Draft, Hooks, Marks, Membership, NewRoom, Preset, ReceiptMark, RoomChange, RoomError, Rooms, signing,
};
use wardstead_store::{CommitContributor, Contributors, Store, testing};

pub struct Server {
    pub push: Push,
    pub pushers: Pushers,
    pub counter: Counter,
    pub rooms: Rooms,
    pub store: Store,
    pub accounts: Accounts,
    pub clock: ManualClock,
}

impl Deref for Server {
    type Target = Rooms;

    fn deref(&self) -> &Rooms {
        &self.rooms
    }
}

pub async fn server(seed: u64) -> Server {
    let (engine, clock) = testing::engine();
    over(engine, clock, seed).await
}

/// A node on `engine`, with nothing in memory.
pub async fn over(engine: Arc<dyn Engine>, clock: ManualClock, seed: u64) -> Server {
    server_with(engine, clock, seed, true).await
}

/// The same, whose rooms are counted or not.
pub async fn server_with(engine: Arc<dyn Engine>, clock: ManualClock, seed: u64, counting: bool) -> Server {
    let store = testing::over(engine, "example.org", clock.clone(), seed).await.unwrap();
    let server_name = server_name!("example.org").to_owned();
    let followers: Vec<Arc<dyn CommitContributor<AccountChange>>> = vec![Arc::new(RuleKeeper), Arc::new(PusherKeeper)];
    let hooks = AccountHooks { contributors: Arc::new(Contributors::new(followers)), ..AccountHooks::default() };
    let accounts = Accounts::with_hooks(store.clone(), server_name.clone(), hooks);
    let key = signing::load_or_create(&store, store.rng().as_ref()).await.unwrap();
    let counter = Counter::new(store.clone(), accounts.clone());
    let contributors: Vec<Arc<dyn CommitContributor<RoomChange>>> =
        if counting { vec![Arc::new(counter.clone())] } else { Vec::new() };
    let hooks = Hooks { contributors: Arc::new(Contributors::new(contributors)), policy: None };
    let rooms = Rooms::with_hooks(store.clone(), accounts.clone(), server_name, key, RoomVersionId::V11, hooks);
    store.set_audience(Arc::new(rooms.clone()));
    let push = Push::new(&counter);
    let pushers = Pushers::new(&push, GatewayPolicy::default());
    Server { push, pushers, counter, rooms, store, accounts, clock }
}

impl Server {
    pub async fn user(&self, name: &str) -> Session {
        let new = NewAccount { username: Some(name.to_owned()), ..NewAccount::default() };
        self.accounts.register(new, Batch::new()).await.unwrap().session
    }

    /// A room of `members`, made by the first.
    pub async fn room(&self, members: &[&Session]) -> OwnedRoomId {
        self.clock.advance_ms(5);
        let new = NewRoom { preset: Some(Preset::PublicChat), ..NewRoom::default() };
        let room = self.rooms.create(members[0], new).await.unwrap();
        for member in &members[1..] {
            self.become_(member, &room, Membership::Join).await;
        }
        room
    }

    pub async fn become_(&self, who: &Session, room: &RoomId, membership: Membership) {
        self.clock.advance_ms(5);
        self.rooms.set_membership(who, room, &who.user_id, membership, None).await.unwrap();
    }

    pub async fn event(
        &self,
        by: &Session,
        room: &RoomId,
        event_type: &str,
        state_key: Option<&str>,
        content: &Value,
    ) -> Result<OwnedEventId, RoomError> {
        self.clock.advance_ms(5);
        let (event_type, state_key) = (event_type.to_owned(), state_key.map(str::to_owned));
        self.rooms.send(by, room, Draft { event_type, state_key, content: raw(content), txn_id: None }).await
    }

    pub async fn say(&self, by: &Session, room: &RoomId, body: &str) -> OwnedEventId {
        let content = json!({ "msgtype": "m.text", "body": body });
        self.event(by, room, "m.room.message", None, &content).await.unwrap()
    }

    pub async fn read(&self, by: &Session, room: &RoomId, event: &OwnedEventId, thread: Option<&str>) {
        let mark = ReceiptMark { event_id: event.clone(), thread: thread.map(str::to_owned) };
        self.rooms.mark_read(by, room, &Marks { read: Some(mark), ..Marks::default() }).await.unwrap();
    }

    pub async fn read_silently(&self, by: &Session, room: &RoomId, event: &OwnedEventId, thread: Option<&str>) {
        let mark = ReceiptMark { event_id: event.clone(), thread: thread.map(str::to_owned) };
        self.rooms.mark_read(by, room, &Marks { private: Some(mark), ..Marks::default() }).await.unwrap();
    }

    pub async fn set_rules(&self, by: &Session, rules: &Ruleset) {
        self.push.set_rules(&self.rooms, by.user, &by.user_id, rules).await.unwrap();
    }

    /// The change alone, which no room follows yet.
    pub async fn change_rules(&self, by: &Session, rules: &Ruleset) {
        let change = |now: &mut Ruleset| {
            now.clone_from(rules);
            Ok(())
        };
        self.push.change_rules(by.user, &by.user_id, change).await.unwrap();
    }

    /// Has rooms follow what changed.
    pub async fn refresh(&self, by: &Session) {
        self.push.refresh(&self.rooms, by.user, &by.user_id).await.unwrap();
    }

    /// The change alone, which no room follows yet.
    pub async fn change_ignored(&self, by: &Session, whom: &[&Session]) {
        let users: serde_json::Map<String, Value> =
            whom.iter().map(|user| (user.user_id.to_string(), json!({}))).collect();
        let content = raw(&json!({ "ignored_users": users }));
        self.accounts.set_account_data(by.user, 0, "m.ignored_user_list", &content).await.unwrap();
    }

    pub async fn ignore(&self, by: &Session, whom: &[&Session]) {
        self.change_ignored(by, whom).await;
        self.refresh(by).await;
    }

    pub async fn short(&self, room: &RoomId) -> u64 {
        self.rooms.room(room).await.unwrap().unwrap().short
    }

    /// What `by` has not read now.
    pub async fn unread(&self, by: &Session, room: &RoomId, threads: bool) -> UnreadCounts {
        let upto = self.store.caught_up().await.unwrap();
        self.push.unread(self.short(room).await, by.user, upto, threads).await.unwrap().unwrap().counts
    }

    /// Notifications and highlights of a whole room.
    pub async fn counts(&self, by: &Session, room: &RoomId) -> (u64, u64) {
        let counts = self.unread(by, room, false).await.room;
        (counts.notifications, counts.highlights)
    }
}

pub fn raw(value: &Value) -> Box<RawValue> {
    serde_json::value::to_raw_value(value).unwrap()
}
