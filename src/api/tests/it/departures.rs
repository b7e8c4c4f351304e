//! Who may be in a room no more is in none in the end: whatever was on its way, whatever is killed, whatever a merge brings.

use std::{collections::BTreeMap, sync::Arc};

use ruma::{
    CanonicalJsonObject, EventId, OwnedEventId, RoomId, RoomVersionId,
    signatures::{hash_and_sign_event, reference_hash},
};
use serde_json::{Value, json};
use wardstead_engine::{AccessPattern, TableId};
use wardstead_rooms::{Incoming, Membership, Received, Status, StoredEvent, rules};

use crate::{
    account::{OLD, account, at, credentials, guest, membership, room, until_outside},
    server::{Options, Server, encoded},
};

const HELD: &str = "(held back)";

async fn deactivate(server: &Server, token: &str, name: &str) {
    let asked = json!({ "auth": credentials(name, OLD) });
    server.post(&at("account/deactivate"), token, &asked).await.ok();
}

/// Until nobody is to leave a room any more. Time passes only where everybody waits; leases end by the engine's clock.
async fn until_all_left(server: &Server) {
    let queues = [0x084, 0x085].map(|number| TableId::new(AccessPattern::Churn, number));
    for _ in 0..10_000 {
        if !server.rows().keys().any(|key| queues.contains(&key.table())) {
            return;
        }
        server.clock.advance_ms(100);
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("somebody is still to leave a room");
}

/// In how many rooms somebody is, is invited, or knocks.
async fn present(server: &Server, name: &str) -> usize {
    let user_id = ruma::UserId::parse(format!("@{name}:example.org")).unwrap();
    let user = server.accounts.user_short_id(&user_id).await.unwrap().unwrap();
    let rooms = server.rooms.user_rooms(user).await.unwrap();
    let is_in = |membership| matches!(membership, Membership::Join | Membership::Invite | Membership::Knock);
    rooms.iter().filter(|room| is_in(room.membership)).count()
}

/// Somebody's account ends on one node while another has made an event that brings them into a room, and not committed it.
#[tokio::test(start_paused = true)]
async fn what_was_on_its_way_does_not_outlive_the_account() {
    let server = Server::with(Options { departures: false, ..Options::default() }).await;
    let another = server.another_with(2, Options::default()).await;
    let anna = account(&server, "anna").await;
    let rule =
        |rule: &str| json!({ "initial_state": [{ "type": "m.room.join_rules", "content": { "join_rule": rule } }] });
    for (number, (act, how)) in [
        ("join", rule("public")),
        ("knock", rule("knock")),
        ("accept", rule("invite")),
        ("state", rule("public")),
        ("create", rule("public")),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("bert{number}");
        let bert = account(&server, &name).await;
        let user_id = format!("@{name}:example.org");
        let room = room(&server, &anna, &how).await;
        if act == "accept" {
            server.post(&at(&format!("{room}/invite")), &anna, &json!({ "user_id": user_id })).await.ok();
        }
        server.held.back(HELD, 0);
        let reason = json!({ "reason": HELD });
        let acting = async {
            match act {
                "join" | "accept" => server.post(&at(&format!("{room}/join")), &bert, &reason).await,
                "knock" => server.post(&at(&room.replace("rooms", "knock")), &bert, &reason).await,
                "state" => {
                    let path = at(&format!("{room}/state/m.room.member/{}", encoded(&user_id)));
                    server.put(&path, &bert, &json!({ "membership": "join", "reason": HELD })).await
                }
                _ => server.post(&at("createRoom"), &bert, &json!({ "name": HELD })).await,
            }
        };
        let ending = async {
            server.held.arrived().await;
            deactivate(&another, &bert, &name).await;
            until_all_left(&another).await;
            server.held.release();
        };
        let (answer, ()) = tokio::join!(acting, ending);
        assert!(answer.status.is_client_error(), "{act}: {answer:?}");
        until_all_left(&another).await;
        assert_eq!(present(&another, &name).await, 0, "{act}");
    }
}

/// An invitation is on its way, too, and whoever invites later is told that nobody will come.
#[tokio::test(start_paused = true)]
async fn whose_account_has_ended_is_not_invited() {
    let server = Server::with(Options { departures: false, ..Options::default() }).await;
    let another = server.another_with(2, Options::default()).await;
    let (anna, bert) = (account(&server, "anna").await, account(&server, "bert").await);
    let room = room(&server, &anna, &json!({})).await;
    let invite = json!({ "user_id": "@bert:example.org", "reason": HELD });
    server.held.back(HELD, 0);
    let ending = async {
        server.held.arrived().await;
        deactivate(&another, &bert, "bert").await;
        until_all_left(&another).await;
        server.held.release();
    };
    let path = at(&format!("{room}/invite"));
    let (answer, ()) = tokio::join!(server.post(&path, &anna, &invite), ending);
    answer.expect_error(403, "M_FORBIDDEN");
    assert_eq!(present(&another, "bert").await, 0);
    server.post(&path, &anna, &invite).await.expect_error(403, "M_FORBIDDEN");
    let with_bert = json!({ "invite": ["@bert:example.org"] });
    server.post(&at("createRoom"), &anna, &with_bert).await.expect_error(400, "M_INVALID_ROOM_STATE");
}

/// The only node is killed between the end of an account and the end of its memberships: before the first, and before the second.
#[test]
fn a_node_that_starts_again_goes_on() {
    for left in [0, 1] {
        let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        let first = runtime();
        let (engine, clock, anna, rooms) = first.block_on(async {
            let server = Server::new().await;
            let (anna, bert) = (account(&server, "anna").await, account(&server, "bert").await);
            let mut rooms = Vec::new();
            for _ in 0..3 {
                let room = room(&server, &anna, &json!({ "preset": "public_chat" })).await;
                server.post(&at(&format!("{room}/join")), &bert, &json!({})).await.ok();
                rooms.push(room);
            }
            server.held.back("\"leave\"", left);
            deactivate(&server, &bert, "bert").await;
            server.held.arrived().await;
            assert_eq!(present(&server, "bert").await, 3 - left);
            (Arc::clone(&server.engine), server.clock.clone(), anna, rooms)
        });
        // With everything that it was doing and all that it remembered; nothing is handed over.
        drop(first);
        runtime().block_on(async {
            let again = Server::over(engine, clock, 2, Options::default()).await;
            until_all_left(&again).await;
            for room in &rooms {
                assert_eq!(membership(&again, &anna, room, "@bert:example.org").await, "leave");
            }
        });
    }
}

/// A room with events that no request made.
struct Graph<'a> {
    server: &'a Server,
    room_id: ruma::OwnedRoomId,
    /// The state by type and key, and the newest event, when this was looked at.
    state: BTreeMap<(String, String), OwnedEventId>,
    newest: Arc<StoredEvent>,
}

impl<'a> Graph<'a> {
    async fn new(server: &'a Server, room_id: &RoomId, token: &str) -> Self {
        let state = server.rooms.state_now(room_id).await.unwrap();
        let name = |event: &StoredEvent| (event.event_type.to_string(), event.state_key.clone().unwrap());
        let state = state.iter().map(|event| (name(event), event.event_id.clone())).collect();
        let path = at(&format!("rooms/{}/messages?dir=b&limit=1", encoded(room_id.as_str())));
        let newest = server.get(&path, token).await.ok()["chunk"][0]["event_id"].as_str().unwrap().to_owned();
        let newest = Self::stored(server, room_id, &EventId::parse(newest).unwrap()).await;
        Self { server, room_id: room_id.to_owned(), state, newest }
    }

    async fn stored(server: &Server, room_id: &RoomId, event_id: &EventId) -> Arc<StoredEvent> {
        server.rooms.stored_event(room_id, event_id).await.unwrap().unwrap()
    }

    /// An event of `sender` at `ts` that follows `prev`, in the state that was looked at; what it became.
    async fn put(
        &self,
        sender: &str,
        (event_type, state_key, content): (&str, Option<&str>, Value),
        prev: &[&StoredEvent],
        ts: u64,
    ) -> (Arc<StoredEvent>, Status) {
        let mut auth = vec![("m.room.create", ""), ("m.room.power_levels", ""), ("m.room.member", sender)];
        if event_type == "m.room.member" {
            auth.push(("m.room.join_rules", ""));
        }
        let auth: Vec<_> =
            auth.iter().filter_map(|(name, key)| self.state.get(&((*name).into(), (*key).into()))).collect();
        let ids: Vec<_> = prev.iter().map(|event| &event.event_id).collect();
        let depth = prev.iter().map(|event| event.depth).max().unwrap() + 1;
        let mut event = json!({
            "room_id": self.room_id, "sender": sender, "type": event_type, "content": content,
            "prev_events": ids, "auth_events": auth, "depth": depth, "origin_server_ts": ts,
        });
        if let Some(state_key) = state_key {
            event["state_key"] = json!(state_key);
        }
        let rules = rules(&RoomVersionId::V11).unwrap();
        let mut object: CanonicalJsonObject = serde_json::from_value(event).unwrap();
        let key = self.server.rooms.signing_key();
        hash_and_sign_event("example.org", &*key, &mut object, &rules.redaction).unwrap();
        let id = EventId::parse(format!("${}", reference_hash(&object, &rules).unwrap())).unwrap();
        let pdu = serde_json::value::to_raw_value(&object).unwrap();
        let incoming = Incoming { pdu, signed: true, stated: Vec::new() };
        let received = self.server.rooms.receive(&self.room_id, &incoming).await.unwrap();
        let Received::Stored(_, status) = received else { panic!("not stored: {received:?}") };
        (Self::stored(self.server, &self.room_id, &id).await, status)
    }
}

/// A room of Anna's that is open to guests, in which Bert may change that.
async fn open_room(server: &Server, anna: &str) -> (String, ruma::OwnedRoomId) {
    let how = json!({
        "preset": "public_chat", "room_version": "11",
        "power_level_content_override": { "users": { "@anna:example.org": 100, "@bert:example.org": 50 } },
        "initial_state": [{ "type": "m.room.guest_access", "content": { "guest_access": "can_join" } }],
    });
    let made = server.post(&at("createRoom"), anna, &how).await.ok();
    let room_id = made["room_id"].as_str().unwrap();
    (format!("rooms/{}", encoded(room_id)), RoomId::parse(room_id).unwrap())
}

fn access(word: &str) -> (&'static str, Option<&'static str>, Value) {
    ("m.room.guest_access", Some(""), json!({ "guest_access": word }))
}

/// Bert closes the room to guests where his leaving was not known yet; a merge of the two closes it, without an event that says so.
#[tokio::test(start_paused = true)]
async fn guests_leave_a_room_that_a_merge_closes() {
    let server = Server::new().await;
    let (anna, bert) = (account(&server, "anna").await, account(&server, "bert").await);
    let (guest_id, guest) = guest(&server).await;
    let (room, room_id) = open_room(&server, &anna).await;
    for token in [&bert, &guest] {
        server.post(&at(&format!("{room}/join")), token, &json!({})).await.ok();
    }
    let before = Graph::new(&server, &room_id, &anna).await;
    let then = server.store.clock().now_ms();
    server.clock.advance_ms(1_000);
    server.post(&at(&format!("{room}/leave")), &bert, &json!({})).await.ok();
    let left = Graph::new(&server, &room_id, &anna).await.newest;
    let (closed, status) = before.put("@bert:example.org", access("forbidden"), &[&before.newest], then).await;
    assert_eq!(status, Status::SoftFailed);
    until_all_left(&server).await;
    assert_eq!(membership(&server, &anna, &room, &guest_id).await, "join", "the room is open");

    let said = ("m.room.message", None, json!({ "body": "merge" }));
    let (_, status) = before.put("@anna:example.org", said, &[&closed, &left], then + 2_000).await;
    assert_eq!(status, Status::Timeline);
    let now = server.get(&at(&format!("{room}/state/m.room.guest_access")), &anna).await.ok();
    assert_eq!(now["guest_access"], "forbidden");
    // Whichever node does it.
    let another = server.another(2).await;
    until_outside(&another, &anna, &room, &guest_id).await;
    assert_eq!(membership(&another, &anna, &room, "@anna:example.org").await, "join");
}

/// A closing that loses against another event closes nothing: no guest is removed.
/// A redaction leaves nothing of `guest_access`, and what is not said lets nobody in. One of what is not so any more removes nobody.
#[tokio::test(start_paused = true)]
async fn guests_leave_when_what_let_them_in_is_redacted() {
    let server = Server::new().await;
    let anna = account(&server, "anna").await;
    let room = room(&server, &anna, &json!({ "preset": "public_chat" })).await;
    let access = at(&format!("{room}/state/m.room.guest_access"));
    let mut opened = Vec::new();
    for number in 0..2 {
        let stated = json!({ "guest_access": "can_join", "number": number });
        let stated = server.put(&access, &anna, &stated).await.ok();
        opened.push(stated["event_id"].as_str().unwrap().to_owned());
    }
    let (user_id, token) = guest(&server).await;
    server.post(&at(&format!("{room}/join")), &token, &json!({})).await.ok();
    for (number, (event, expected)) in opened.iter().zip(["join", "leave"]).enumerate() {
        let path = at(&format!("{room}/redact/{}/{number}", encoded(event)));
        server.put(&path, &anna, &json!({})).await.ok();
        until_all_left(&server).await;
        assert_eq!(membership(&server, &anna, &room, &user_id).await, expected);
    }
    assert_eq!(membership(&server, &anna, &room, "@anna:example.org").await, "join");
    let again = server.post(&at(&format!("{room}/join")), &token, &json!({})).await;
    again.expect_error(403, "M_GUEST_ACCESS_FORBIDDEN");
}

#[tokio::test(start_paused = true)]
async fn guests_stay_where_the_room_stays_open() {
    let server = Server::new().await;
    let (anna, (guest_id, guest)) = (account(&server, "anna").await, guest(&server).await);
    let (room, room_id) = open_room(&server, &anna).await;
    server.post(&at(&format!("{room}/join")), &guest, &json!({})).await.ok();
    let before = Graph::new(&server, &room_id, &anna).await;
    let then = server.store.clock().now_ms();
    server.clock.advance_ms(1_000);
    let again = json!({ "guest_access": "can_join", "org.example": 1 });
    server.put(&at(&format!("{room}/state/m.room.guest_access")), &anna, &again).await.ok();
    before.put("@anna:example.org", access("forbidden"), &[&before.newest], then).await;
    let now = server.get(&at(&format!("{room}/state/m.room.guest_access")), &anna).await.ok();
    assert_eq!(now, again);
    until_all_left(&server).await;
    assert_eq!(membership(&server, &anna, &room, &guest_id).await, "join");
}

/// What happened elsewhere, before that was known, brings in a guest whom the room does not let in, and somebody whose account has ended.
#[tokio::test(start_paused = true)]
async fn whom_a_merge_brings_in_leaves_again() {
    let server = Server::new().await;
    let (anna, bert) = (account(&server, "anna").await, account(&server, "bert").await);
    let (guest_id, _) = guest(&server).await;
    let (room, room_id) = open_room(&server, &anna).await;
    server.post(&at(&format!("{room}/join")), &bert, &json!({})).await.ok();
    let before = Graph::new(&server, &room_id, &anna).await;
    server.clock.advance_ms(1_000);
    server.put(&at(&format!("{room}/state/m.room.guest_access")), &anna, &access("forbidden").2).await.ok();
    deactivate(&server, &bert, "bert").await;
    until_outside(&server, &anna, &room, "@bert:example.org").await;
    until_all_left(&server).await;
    for user in [&*guest_id, "@bert:example.org"] {
        server.clock.advance_ms(1_000);
        let joins = ("m.room.member", Some(user), json!({ "membership": "join", "displayname": "B" }));
        let now = server.store.clock().now_ms();
        let (event, status) = before.put(user, joins, &[&before.newest], now).await;
        assert_eq!(status, Status::Timeline, "{user}");
        assert_ne!(event.position, wardstead_engine::Position::ZERO);
        let rows = server.rows();
        until_outside(&server, &anna, &room, user).await;
        until_all_left(&server).await;
        assert_ne!(rows.len(), server.rows().len(), "{user} was in the room");
    }
}
