//! Names and pictures in member events, and how a new one comes into the rooms.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use parking_lot::Mutex;
use ruma::RoomId;
use serde_json::{Value, json, value::RawValue};
use wardstead_accounts::{Accounts, Session};
use wardstead_limits::rooms as limits;
use wardstead_rooms::{Hooks, Membership, NewRoom, Preset, Proposed, RoomError, RoomPolicy, Verdict};

use crate::support::{Server, content, hooked, raw, server, state};

impl Server {
    async fn set_name(&self, user: &Session, name: &str) {
        self.accounts.set_profile_field(&user.user_id, "displayname", &json!(name)).await.unwrap();
    }

    /// What the member event of `of` says of name and picture.
    async fn shown(&self, by: &Session, room: &RoomId, of: &Session) -> Value {
        let event = self.state_event(by, room, "m.room.member", of.user_id.as_str()).await.unwrap();
        let content = content(&event);
        json!([content["membership"], content["displayname"], content["avatar_url"]])
    }

    /// Member events of `of` in the timeline that `by` sees.
    async fn told(&self, by: &Session, room: &RoomId, of: &Session) -> Vec<Value> {
        let events = self.timeline(by, room).await;
        let own = events.iter().filter(|event| event.state_key.as_deref() == Some(of.user_id.as_str()));
        own.map(|event| content(event)["displayname"].clone()).collect()
    }

    /// Tells rooms of new names from now on.
    fn follow(&self) {
        self.accounts.follow_names(Arc::new(self.rooms.clone()));
    }

    /// Waits, on the test's clock, until `of` is shown as `name` in `room`.
    async fn until_shown(&self, room: &RoomId, of: &Session, name: &str) {
        for _ in 0..1_000 {
            if self.shown(of, room, of).await[1] == name {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(self.shown(of, room, of).await[1], name);
    }
}

#[tokio::test]
async fn joins_invitations_and_knocks_show_the_profile() {
    let server = server().await;
    let [anna, bert, carl] = [server.user("anna").await, server.user("bert").await, server.user("carl").await];
    let dora = server.user("dora").await;
    for user in [&anna, &bert, &carl] {
        server.set_name(user, user.user_id.localpart()).await;
    }
    server.accounts.set_profile_field(&bert.user_id, "avatar_url", &json!("mxc://example.org/b")).await.unwrap();
    let new = NewRoom { invite: vec![bert.user_id.clone(), dora.user_id.clone()], ..NewRoom::default() };
    let room = server.create(&anna, new).await.unwrap();
    assert_eq!(server.shown(&anna, &room, &anna).await, json!(["join", "anna", null]));
    assert_eq!(server.shown(&anna, &room, &bert).await, json!(["invite", "bert", "mxc://example.org/b"]));
    assert_eq!(server.shown(&anna, &room, &dora).await, json!(["invite", null, null]));

    // What the client says stays.
    let given = RawValue::from_string(r#"{"displayname":"Dr Bert"}"#.to_owned()).unwrap();
    server.join(&bert, &room, &given).await.unwrap();
    assert_eq!(server.shown(&anna, &room, &bert).await, json!(["join", "Dr Bert", "mxc://example.org/b"]));
    let own = json!({ "membership": "join", "displayname": "B", "avatar_url": null });
    server.send(&bert, &room, state("m.room.member", bert.user_id.as_str(), own)).await.unwrap();
    assert_eq!(server.shown(&anna, &room, &bert).await, json!(["join", "B", null]));

    server.set(&anna, &room, "m.room.join_rules", json!({ "join_rule": "knock" })).await.unwrap();
    server.become_(&carl, &room, &carl, Membership::Knock).await.unwrap();
    assert_eq!(server.shown(&anna, &room, &carl).await, json!(["knock", "carl", null]));
    server.become_(&anna, &room, &carl, Membership::Leave).await.unwrap();
    assert_eq!(server.shown(&anna, &room, &carl).await, json!(["leave", null, null]));
}

/// The change is answered before any room is told. When the server is gone before it told them, the next one does; several changes are
/// told as one.
#[tokio::test(start_paused = true)]
async fn rooms_are_told_by_whoever_runs_next() {
    let first = server().await;
    let (anna, bert) = (first.user("anna").await, first.user("bert").await);
    let mut rooms = Vec::new();
    for _ in 0..70 {
        rooms.push(first.room(&[&bert, &anna]).await);
    }
    let left = first.room(&[&bert, &anna]).await;
    first.become_(&anna, &left, &anna, Membership::Leave).await.unwrap();
    let batches = first.batches();
    for name in ["Anna", "Anne", "Anna B."] {
        first.set_name(&anna, name).await;
    }
    assert_eq!(first.batches() - batches, 3, "the answer waits for no room");
    let second = first.node(2).await;
    drop(first);
    second.follow();
    for room in &rooms {
        second.until_shown(room, &anna, "Anna B.").await;
        assert_eq!(second.told(&bert, room, &anna).await, [json!(null), json!(null), json!("Anna B.")]);
    }
    assert_eq!(second.told(&bert, &left, &anna).await.len(), 3, "nobody is shown where they are not");
    // Nobody tells twice what is told.
    let third = second.node(3).await;
    drop(second);
    third.follow();
    third.set_name(&bert, "Bert").await;
    third.until_shown(&rooms[0], &bert, "Bert").await;
    assert_eq!(third.told(&bert, &rooms[0], &anna).await.len(), 3);
}

/// Of name and picture only what changed is told: a new picture takes no name away that the user chose for one room. A new name is
/// shown everywhere, but for a room where the user said something else after it.
#[tokio::test(start_paused = true)]
async fn what_did_not_change_stays_as_it_is_in_the_room() {
    let server = server().await;
    let anna = server.user("anna").await;
    server.set_name(&anna, "Anna").await;
    let room = server.room(&[&anna]).await;
    let own = json!({ "membership": "join", "displayname": "Freddy", "reason": "fun", "org.example.a": 1 });
    server.send(&anna, &room, state("m.room.member", anna.user_id.as_str(), own)).await.unwrap();
    server.follow();
    server.accounts.set_profile_field(&anna.user_id, "avatar_url", &json!("mxc://example.org/a")).await.unwrap();
    let elsewhere = server.room(&[&anna]).await;
    for _ in 0..1_000 {
        if server.shown(&anna, &room, &anna).await[2] != Value::Null {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let event = server.state_event(&anna, &room, "m.room.member", anna.user_id.as_str()).await.unwrap();
    let kept = json!({ "membership": "join", "displayname": "Freddy", "avatar_url": "mxc://example.org/a", "org.example.a": 1 });
    assert_eq!(content(&event), kept);
    server.set_name(&anna, "Anna B.").await;
    server.until_shown(&room, &anna, "Anna B.").await;
    server.until_shown(&elsewhere, &anna, "Anna B.").await;
    server.accounts.remove_profile_field(&anna.user_id, "displayname").await.unwrap();
    for _ in 0..1_000 {
        if server.shown(&anna, &room, &anna).await[1] == Value::Null {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(server.shown(&anna, &room, &anna).await[1], Value::Null);
}

/// Changes the profile of `user` once, between the building of a member event and its commit.
#[derive(Default)]
struct Meddler {
    with: Mutex<Option<(Accounts, Session)>>,
    refused: AtomicUsize,
}

#[async_trait]
impl RoomPolicy for Meddler {
    async fn judge(&self, proposed: &Proposed<'_>) -> Result<Verdict, RoomError> {
        if proposed.event.event_type.to_string() != "m.room.member" {
            return Ok(Verdict::Allowed);
        }
        if proposed.event.content.get().contains("Refused") {
            self.refused.fetch_add(1, Ordering::SeqCst);
            return Ok(Verdict::Refused("no names".to_owned()));
        }
        let with = self.with.lock().take();
        if let Some((accounts, user)) = with {
            accounts.set_profile_field(&user.user_id, "displayname", &json!("Newest")).await.unwrap();
        }
        Ok(Verdict::Allowed)
    }
}

/// Nobody shows a name that was replaced before they committed: neither a join, nor whoever tells rooms of an older change.
#[tokio::test(start_paused = true)]
async fn an_older_name_is_never_committed_after_a_newer_one() {
    let meddler = Arc::new(Meddler::default());
    let server = hooked(None, 1, Hooks { policy: Some(meddler.clone()), ..Hooks::default() }).await;
    let [anna, bert, carl] = [server.user("anna").await, server.user("bert").await, server.user("carl").await];
    let new = NewRoom { preset: Some(Preset::PublicChat), ..NewRoom::default() };
    let room = server.create(&anna, new).await.unwrap();
    server.set_name(&bert, "Old").await;
    *meddler.with.lock() = Some((server.accounts.clone(), bert.clone()));
    server.join(&bert, &room, &raw(&json!({}))).await.unwrap();
    assert_eq!(server.told(&anna, &room, &bert).await, [json!("Newest")]);

    server.join(&carl, &room, &raw(&json!({}))).await.unwrap();
    *meddler.with.lock() = Some((server.accounts.clone(), carl.clone()));
    server.set_name(&carl, "Old").await;
    server.follow();
    server.until_shown(&room, &carl, "Newest").await;
    assert_eq!(server.told(&anna, &room, &carl).await, [json!(null), json!("Newest")]);

    // Where the user may not say it, it is not said, and the rest goes on.
    server.set_name(&carl, "Refused").await;
    while meddler.refused.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    server.set_name(&bert, "Bert").await;
    server.until_shown(&room, &bert, "Bert").await;
    assert_eq!(server.shown(&anna, &room, &carl).await[1], "Newest");
}

/// All rooms come once, in pages, and a token is good for the list that it was made for alone.
#[tokio::test]
async fn pages_of_mutual_rooms() {
    let server = server().await;
    let [anna, bert, carl] = [server.user("anna").await, server.user("bert").await, server.user("carl").await];
    let mut rooms = Vec::new();
    for _ in 0..=limits::MUTUAL_ROOMS_PAGE {
        rooms.push(server.room(&[&anna, &bert]).await);
    }
    let first = server.mutual_rooms(&bert, &anna.user_id, None).await.unwrap();
    assert_eq!((first.count, first.joined.len()), (rooms.len(), limits::MUTUAL_ROOMS_PAGE));
    let token = first.next_batch.unwrap();
    for (by, other) in [(&bert, &carl), (&anna, &bert)] {
        let refused = server.mutual_rooms(by, &other.user_id, Some(&token)).await;
        assert!(matches!(refused, Err(RoomError::InvalidParam(_))), "{refused:?}");
    }
    let second = server.mutual_rooms(&bert, &anna.user_id, Some(&token)).await.unwrap();
    assert_eq!((second.count, second.next_batch), (rooms.len(), None));
    assert_eq!([first.joined, second.joined].concat(), rooms);
    // Rooms that one of them has left, or is invited to, are none.
    server.become_(&anna, &rooms[0], &anna, Membership::Leave).await.unwrap();
    server.become_(&bert, &rooms[1], &bert, Membership::Leave).await.unwrap();
    server.become_(&anna, &rooms[1], &bert, Membership::Invite).await.unwrap();
    for (by, other) in [(&anna, &bert), (&bert, &anna)] {
        let mutual = server.mutual_rooms(by, &other.user_id, None).await.unwrap();
        assert_eq!((mutual.count, &mutual.joined[..]), (rooms.len() - 2, &rooms[2..]));
    }
}
