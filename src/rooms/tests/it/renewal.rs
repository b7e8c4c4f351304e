//! A new name comes into five hundred rooms, whatever happens meanwhile.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use parking_lot::Mutex;
use ruma::{OwnedRoomId, RoomId};
use serde_json::{Value, json};
use wardstead_accounts::{Accounts, NamesFollower as _, Session};
use wardstead_engine::{
    Engine,
    faulty::{Crash, FaultyEngine},
};
use wardstead_limits::store as store_limits;
use wardstead_rooms::{Hooks, Membership, NewRoom, Preset, Proposed, RoomError, RoomPolicy, Verdict};

use crate::support::{Server, content, hooked, server, through};

/// As many as a busy clinician is in.
const ROOMS: usize = 500;

impl Server {
    async fn rename(&self, user: &Session, name: &str) {
        self.accounts.set_profile_field(&user.user_id, "displayname", &json!(name)).await.unwrap();
    }

    async fn rooms_of(&self, user: &Session, number: usize) -> Vec<OwnedRoomId> {
        let mut rooms = Vec::with_capacity(number);
        for _ in 0..number {
            rooms.push(self.room(&[user]).await);
        }
        rooms
    }

    /// What the member events of `user` in the room said one after another: membership and name.
    async fn said(&self, by: &Session, room: &RoomId, user: &Session) -> Vec<(String, Option<String>)> {
        let events = self.timeline(by, room).await;
        let own = events.iter().filter(|event| event.state_key.as_deref() == Some(user.user_id.as_str()));
        let text = |value: &Value| value.as_str().map(str::to_owned);
        own.map(|event| content(event))
            .map(|said| (text(&said["membership"]).unwrap(), text(&said["displayname"])))
            .collect()
    }

    /// The names alone.
    async fn names_said(&self, by: &Session, room: &RoomId, user: &Session) -> Vec<String> {
        self.said(by, room, user).await.into_iter().filter_map(|(_, name)| name).collect()
    }

    async fn shows(&self, room: &RoomId, user: &Session, field: &str, value: &str) -> bool {
        let event = self.state_event(user, room, "m.room.member", user.user_id.as_str()).await.unwrap();
        content(&event)[field] == value
    }

    /// Waits, on the test's clock, until each of `rooms` shows `user` so.
    async fn until_all_show(&self, rooms: &[OwnedRoomId], user: &Session, field: &str, value: &str) {
        for room in rooms {
            let mut patience = 2_000;
            while !self.shows(room, user, field, value).await {
                patience -= 1;
                assert!(patience > 0, "{room} does not show {value}");
                tokio::time::sleep(Duration::from_millis(10)).await;
                self.clock.advance_ms(10);
            }
        }
    }

    fn tell(&self) {
        self.accounts.follow_names(Arc::new(self.rooms.clone()));
    }
}

/// A node dies in the middle of telling; the name changes again; two nodes share what is left, one of which hands over. Each room ends with
/// the last name and heard no name twice. Who was muted in a room is shown there too: a name is no message. A room that was left says
/// nothing more.
#[tokio::test(start_paused = true)]
async fn five_hundred_rooms_hear_each_name_at_most_once() {
    let first = server().await;
    let (anna, bert) = (first.user("anna").await, first.user("bert").await);
    let mut rooms = first.rooms_of(&anna, ROOMS).await;
    let muted = first.room(&[&bert, &anna]).await;
    let levels = json!({ "users_default": -10, "events_default": 50, "state_default": 50 });
    first.set(&bert, &muted, "m.room.power_levels", levels).await.unwrap();
    let left = first.room(&[&bert, &anna]).await;
    rooms.push(muted.clone());
    first.rename(&anna, "Anna").await;
    first.become_(&anna, &left, &anna, Membership::Leave).await.unwrap();

    let engine = Arc::clone(&first.engine);
    let (faulty, _, crash) = FaultyEngine::new(Arc::clone(&engine) as Arc<dyn Engine>);
    let dying = through(Arc::new(faulty), engine, first.clock.clone(), 2).await;
    crash.crash_at(30, Crash::After);
    dying.tell();
    crash.crashed().await;
    first.rename(&anna, "Anna B.").await;
    let mut told = 0;
    for room in &rooms {
        told += usize::from(!first.names_said(&anna, room, &anna).await.is_empty());
    }
    assert!((10..ROOMS - 10).contains(&told), "it died in the middle: {told}");

    let (third, fourth) = (first.node(3).await, first.node(4).await);
    // Nobody gave the lease back.
    first.clock.advance_ms(store_limits::LEASE_TTL_MS);
    third.tell();
    fourth.tell();
    third.until_all_show(&rooms[..ROOMS / 2], &anna, "displayname", "Anna B.").await;
    third.store.close().await;
    fourth.until_all_show(&rooms, &anna, "displayname", "Anna B.").await;
    let mut both = 0;
    for room in &rooms {
        let names = fourth.names_said(&anna, room, &anna).await;
        assert!(names == ["Anna B."] || names == ["Anna", "Anna B."], "{names:?}");
        both += usize::from(names.len() == 2);
    }
    assert!(both >= told, "what the dead node had told is not taken back");
    assert_eq!(fourth.names_said(&bert, &left, &anna).await, Vec::<String>::new());
}

/// Two nodes that both believe that the work is theirs do it at the same time: each room hears the name once. What it costs grows with
/// the rooms and with nothing else.
#[tokio::test(start_paused = true)]
async fn two_nodes_at_once_tell_each_room_once() {
    let one = server().await;
    let anna = one.user("anna").await;
    let rooms = one.rooms_of(&anna, ROOMS).await;
    one.rename(&anna, "Anna").await;
    let two = one.node(2).await;
    let before = [one.counts.read(), two.counts.read()];
    let told = tokio::join!(
        one.rooms.names_changed(anna.user, &anna.user_id),
        two.rooms.names_changed(anna.user, &anna.user_id),
    );
    assert_eq!(told, (Ok(true), Ok(true)));
    for room in &rooms {
        assert_eq!(one.names_said(&anna, room, &anna).await, ["Anna"]);
    }
    let after = [one.counts.read(), two.counts.read()];
    for (before, after) in before.iter().zip(after) {
        assert!(after.batches - before.batches <= 2 * ROOMS as u64, "{before:?} {after:?}");
    }

    // Alone, in a second change: one batch a room (and now and then one of the node's own), and a few reads.
    one.rename(&anna, "Anna B.").await;
    let before = one.counts.read();
    assert_eq!(one.rooms.names_changed(anna.user, &anna.user_id).await, Ok(true));
    let told = one.counts.read();
    assert!((ROOMS as u64..ROOMS as u64 + 5).contains(&(told.batches - before.batches)), "{before:?} {told:?}");
    assert!(told.gets - before.gets <= 12 * ROOMS as u64, "{before:?} {told:?}");
    assert!(told.scans - before.scans <= 4 * ROOMS as u64, "{before:?} {told:?}");
    // Once more: nothing is told.
    assert_eq!(one.rooms.names_changed(anna.user, &anna.user_id).await, Ok(true));
    assert!(one.counts.read().batches - told.batches < 5);
}

/// Does something to `user` once, while the first room is told of a new name.
#[derive(Default)]
struct Meanwhile(Mutex<Option<(Accounts, Session, &'static str)>>);

#[async_trait]
impl RoomPolicy for Meanwhile {
    async fn judge(&self, proposed: &Proposed<'_>) -> Result<Verdict, RoomError> {
        let content = proposed.event.content.get();
        if !content.contains("Anna") {
            return Ok(Verdict::Allowed);
        }
        let then = self.0.lock().take();
        if let Some((accounts, user, picture)) = then {
            accounts.set_profile_field(&user.user_id, "avatar_url", &json!(picture)).await.unwrap();
        }
        Ok(Verdict::Allowed)
    }
}

/// The picture changes while rooms are being told of the name: rooms that were told after that show both, whichever change they were told
/// of, and so do those that were told before.
#[tokio::test(start_paused = true)]
async fn a_picture_that_changes_while_a_name_is_told_comes_everywhere() {
    let policy = Arc::new(Meanwhile::default());
    let server = hooked(None, 1, Hooks { policy: Some(policy.clone()), ..Hooks::default() }).await;
    let anna = server.user("anna").await;
    let rooms = server.rooms_of(&anna, 100).await;
    *policy.0.lock() = Some((server.accounts.clone(), anna.clone(), "mxc://example.org/new"));
    server.rename(&anna, "Anna").await;
    server.tell();
    server.until_all_show(&rooms, &anna, "avatar_url", "mxc://example.org/new").await;
    server.until_all_show(&rooms, &anna, "displayname", "Anna").await;
    for room in &rooms {
        let events = server.timeline(&anna, room).await;
        let own = events.iter().filter(|event| event.state_key.as_deref() == Some(anna.user_id.as_str()));
        let shown: Vec<Value> = own.map(|event| content(event)).collect();
        assert!(shown.len() <= 3 && shown.windows(2).all(|pair| pair[0] != pair[1]), "{shown:?}");
    }
}

/// Who is removed from a room just before it is told is not named there, and the others are told.
#[tokio::test(start_paused = true)]
async fn a_room_that_is_left_while_it_is_told_holds_up_nobody() {
    let leaver = Arc::new(Leaver::default());
    let server = hooked(None, 1, Hooks { policy: Some(leaver.clone()), ..Hooks::default() }).await;
    let (anna, bert) = (server.user("anna").await, server.user("bert").await);
    let new = || NewRoom { preset: Some(Preset::PublicChat), invite: vec![anna.user_id.clone()], ..NewRoom::default() };
    let mut rooms = Vec::new();
    for _ in 0..20 {
        let room = server.create(&bert, new()).await.unwrap();
        server.become_(&anna, &room, &anna, Membership::Join).await.unwrap();
        rooms.push(room);
    }
    *leaver.0.lock() = Some((server.node(2).await.rooms.clone(), bert.clone(), anna.clone()));
    server.rename(&anna, "Anna").await;
    server.tell();
    let mut patience = 2_000;
    loop {
        let mut said = Vec::new();
        for room in &rooms {
            said.push(server.said(&bert, room, &anna).await.pop().unwrap());
        }
        let named = said.iter().filter(|(membership, name)| membership == "join" && name.as_deref() == Some("Anna"));
        if named.count() == 19 {
            break;
        }
        patience -= 1;
        assert!(patience > 0, "{said:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let mut gone = Vec::new();
    for room in &rooms {
        let said = server.said(&bert, room, &anna).await;
        gone.extend(said.iter().any(|(membership, _)| membership == "leave").then_some(said));
    }
    let memberships = [("invite", None), ("join", None), ("leave", None)];
    assert_eq!(gone, [memberships.map(|(membership, name)| (membership.to_owned(), name))]);
}

/// Has one user remove another, on another node, from the first room that is told of the other's name, between the building of the event
/// and its commit.
#[derive(Default)]
struct Leaver(Mutex<Option<(wardstead_rooms::Rooms, Session, Session)>>);

#[async_trait]
impl RoomPolicy for Leaver {
    async fn judge(&self, proposed: &Proposed<'_>) -> Result<Verdict, RoomError> {
        if !proposed.event.content.get().contains("\"Anna\"") {
            return Ok(Verdict::Allowed);
        }
        let then = self.0.lock().take();
        if let Some((rooms, by, whom)) = then {
            let room = proposed.event.room_id.clone();
            rooms.set_membership(&by, &room, &whom.user_id, Membership::Leave, None).await?;
        }
        Ok(Verdict::Allowed)
    }
}
