//! What becomes of an event that somebody else made.

use std::sync::Arc;

use ruma::{EventId, RoomVersionId, user_id};
use serde_json::{Value, json};
use wardstead_accounts::Session;
use wardstead_engine::Position;
use wardstead_rooms::{Membership, Messages, NewRoom, Preset, Received, RoomError, Status, StoredEvent};

use crate::support::{Server, body, kind, server};

use super::forge::{Forge, Graph, incoming};

pub async fn ward(server: &Server, version: &RoomVersionId) -> (Session, Session, ruma::OwnedRoomId) {
    let (ada, ben) = (server.user("ada").await, server.user("ben").await);
    let new = NewRoom { version: Some(version.clone()), preset: Some(Preset::PublicChat), ..NewRoom::default() };
    let room = server.room_of(&[&ada, &ben], new).await;
    (ada, ben, room)
}

pub fn said(body: &str) -> (&'static str, Option<&'static str>, Value) {
    ("m.room.message", None, json!({ "body": body }))
}

fn missing(received: Result<Received, RoomError>) -> (usize, usize) {
    match received.unwrap() {
        Received::Missing { prev, auth, .. } => (prev.len(), auth.len()),
        Received::Stored(..) => (0, 0),
    }
}

impl Graph<'_> {
    pub async fn last(&self, by: &Session) -> Arc<StoredEvent> {
        Arc::clone(self.server.timeline(by, &self.room.room_id).await.pop().unwrap().event())
    }

    /// An event of `sender` after `prev`, in the current state.
    pub async fn now(&self, sender: &ruma::UserId, says: (&str, Option<&str>, Value), prev: &[&StoredEvent]) -> Forge {
        self.event(sender, says, prev, &self.current().await)
    }
}

#[tokio::test]
async fn what_is_no_event_of_the_room_is_dropped() {
    for version in [RoomVersionId::V3, RoomVersionId::V11, RoomVersionId::V12] {
        let server = server().await;
        let (ada, _, room_id) = ward(&server, &version).await;
        let graph = Graph::new(&server, &room_id).await;
        let last = graph.last(&ada).await;
        let good = graph.now(&ada.user_id, said("hello"), &[&last]).await;
        let (_, pdu) = good.make(&server);
        let receive = async |pdu: &Value| kind(server.receive(&room_id, &incoming(pdu)).await);
        let mut unsigned = incoming(&pdu);
        unsigned.signed = false;
        assert_eq!(kind(server.receive(&room_id, &unsigned).await), "forbidden");
        for (field, value) in [
            ("room_id", json!("!other:example.org")),
            ("room_id", Value::Null),
            ("type", json!(1)),
            ("sender", json!("nobody")),
            ("content", json!([])),
            ("depth", json!(-1)),
            ("depth", json!(1.5)),
            ("prev_events", json!("$x")),
            ("prev_events", json!(["x"])),
            ("prev_events", json!(vec!["$x"; 21])),
            ("auth_events", json!(vec!["$x"; 11])),
            ("origin_server_ts", json!("now")),
            ("state_key", json!("k".repeat(256))),
        ] {
            let mut bad = pdu.clone();
            bad[field] = value.clone();
            assert_eq!(receive(&bad).await, "bad json", "{field}: {value}");
        }
        let mut large = pdu.clone();
        large["signatures"]["elsewhere.org"] = json!({ "ed25519:1": "x".repeat(65_536) });
        assert_eq!(receive(&large).await, "too large");
        assert_eq!(kind(server.receive(ruma::room_id!("!none:example.org"), &incoming(&pdu)).await), "not found");
        // A second beginning.
        let create = Forge { auth: vec![], prev: vec![], event_type: "m.room.create".into(), ..good.clone() };
        let create = Forge { state_key: Some(String::new()), content: json!({ "creator": ada.user_id }), ..create };
        assert_eq!(kind(graph.receive(&create).await.1), "bad json");
        assert_eq!(receive(&pdu).await, "ok", "{version}");
    }
}

/// What is not as it was hashed is kept without its content; what somebody else put beside it is not kept at all.
#[tokio::test]
async fn a_content_that_was_not_hashed_is_redacted() {
    let server = server().await;
    let (ada, _, room_id) = ward(&server, &RoomVersionId::V11).await;
    let graph = Graph::new(&server, &room_id).await;
    let last = graph.last(&ada).await;
    let (id, mut pdu) = graph.now(&ada.user_id, said("hello"), &[&last]).await.make(&server);
    pdu["content"]["body"] = json!("forged");
    pdu["unsigned"] = json!({ "prev_content": { "a": 1 } });
    let received = server.receive(&room_id, &incoming(&pdu)).await.unwrap();
    assert_eq!(received, Received::Stored(id.clone(), Status::Timeline));
    let (event, _) = server.event(&ada, &room_id, &id).await.unwrap();
    assert_eq!(event.content.get(), "{}");
    assert!(!server.client_json(&event, &ada, None).to_json().contains("prev_content"));
}

#[tokio::test]
async fn what_others_name_has_to_be_here() {
    let server = server().await;
    let (ada, _, room_id) = ward(&server, &RoomVersionId::V11).await;
    let graph = Graph::new(&server, &room_id).await;
    let last = graph.last(&ada).await;
    let nothing = EventId::parse("$nothing").unwrap();
    let mut forge = graph.now(&ada.user_id, said("hello"), &[&last]).await;
    forge.prev.push(nothing.clone());
    let (id, received) = graph.receive(&forge).await;
    assert_eq!(missing(received), (1, 0));
    assert!(server.stored_event(&room_id, &id).await.unwrap().is_none(), "not stored");
    forge.prev.pop();
    forge.auth.push(nothing);
    assert_eq!(missing(graph.receive(&forge).await.1), (0, 1));
    // An outlier is no event to stand on.
    forge.auth.pop();
    let (first, pdu) = forge.make(&server);
    let outlier = server.receive_outlier(&room_id, &incoming(&pdu)).await.unwrap();
    assert_eq!(outlier, Received::Stored(first.clone(), Status::Outlier));
    let mut second = graph.now(&ada.user_id, said("again"), &[&last]).await;
    second.prev = vec![first.clone()];
    assert_eq!(missing(graph.receive(&second).await.1), (1, 0));
    assert_eq!(kind(server.event(&ada, &room_id, &first).await), "not found", "outliers are shown to nobody");
    // With its place it becomes an event of the timeline, in one batch.
    let before = server.batches();
    let (stored, status) = graph.put(&forge).await;
    assert_eq!((status, server.batches() - before), (Status::Timeline, 1));
    assert!(stored.position > Position::ZERO);
    assert_eq!(graph.put(&second).await.1, Status::Timeline);
    assert_eq!(server.bodies(&ada, &room_id).await, ["hello", "again"]);
    // The same again changes nothing.
    let before = (server.batches(), server.store.caught_up().await.unwrap());
    assert_eq!(graph.put(&forge).await.1, Status::Timeline);
    assert_eq!((server.batches(), server.store.caught_up().await.unwrap()), before);
}

/// A rejected event is in no timeline, is no extremity, and changes no state after it.
#[tokio::test]
async fn rejected() {
    let server = server().await;
    let (ada, ben, room_id) = ward(&server, &RoomVersionId::V11).await;
    let graph = Graph::new(&server, &room_id).await;
    let last = graph.last(&ada).await;
    let state = graph.current().await;
    let name = ("m.room.name", Some(""), json!({ "name": "of ben" }));
    let (rejected, status) = graph.put(&graph.now(&ben.user_id, name, &[&last]).await).await;
    assert_eq!(status, Status::Rejected);
    assert_eq!(graph.current().await, state);
    assert_eq!(kind(server.event(&ada, &room_id, &rejected.event_id).await), "not found");
    assert!(!server.timeline(&ada, &room_id).await.iter().any(|event| event.event_id == rejected.event_id));
    let own = server.say(&ada, &room_id, "next").await.unwrap();
    assert_eq!(graph.stored(&own).await.prev_events, std::slice::from_ref(&last.event_id), "no extremity");
    // What stands on it is judged by the state before it, and covers what stands before it.
    let (child, status) = graph.put(&graph.event(&ada.user_id, said("child"), &[&rejected], &state)).await;
    assert_eq!(status, Status::Timeline);
    assert_eq!(graph.before(&child.event_id).await, state);
    // As an auth event it rejects what names it.
    let mut heir = graph.event(&ada.user_id, said("heir"), &[&child], &state);
    heir.auth.push(rejected.event_id.clone());
    assert_eq!(graph.put(&heir).await.1, Status::Rejected);
    assert_eq!(server.bodies(&ada, &room_id).await, ["next", "child"], "it stands below what it follows");
}

/// What was rejected by a stated state counts once its own past is known and allows it.
#[tokio::test]
async fn a_rejected_event_can_pass_later() {
    let server = server().await;
    let (ada, ben, room_id) = ward(&server, &RoomVersionId::V11).await;
    let graph = Graph::new(&server, &room_id).await;
    let last = graph.last(&ada).await;
    let state = graph.current().await;
    let prev = graph.event(&ada.user_id, said("before"), &[&last], &state);
    let (prev_id, _) = prev.make(&server);
    let mut forge = graph.event(&ben.user_id, said("late"), &[&last], &state);
    forge.prev = vec![prev_id.clone()];
    forge.depth += 1;
    // A state in which ben never was.
    let mut wrong = state.clone();
    wrong.remove(&("m.room.member".to_owned(), ben.user_id.to_string()));
    let (id, received) = graph.receive_stated(&forge, &[(&prev_id, &wrong)]).await;
    assert_eq!(received.unwrap(), Received::Stored(id.clone(), Status::Rejected));
    assert_eq!(graph.put(&prev).await.1, Status::Timeline);
    assert_eq!(graph.put(&forge).await.1, Status::Timeline);
    assert_eq!(server.bodies(&ada, &room_id).await, ["before", "late"]);
}

/// Allowed where it was made, but not by the current state: kept, never shown, never an extremity.
#[tokio::test]
async fn soft_failed() {
    let server = server().await;
    let (ada, ben, room_id) = ward(&server, &RoomVersionId::V11).await;
    let graph = Graph::new(&server, &room_id).await;
    let before = graph.last(&ada).await;
    let state = graph.current().await;
    let ban = server.become_(&ada, &room_id, &ben, Membership::Ban).await.unwrap();
    let (late, status) = graph.put(&graph.event(&ben.user_id, said("evading"), &[&before], &state)).await;
    assert_eq!(status, Status::SoftFailed);
    assert_eq!(late.position, Position::ZERO);
    assert!(server.bodies(&ada, &room_id).await.is_empty());
    assert_eq!(kind(server.event(&ada, &room_id, &late.event_id).await), "not found");
    let own = server.say(&ada, &room_id, "next").await.unwrap();
    assert_eq!(graph.stored(&own).await.prev_events, [ban]);
    // What stands on it counts, if it is allowed itself. The fork did not change the ban.
    let child = graph.event(&ada.user_id, said("child"), &[&late], &state);
    assert_eq!(graph.put(&child).await.1, Status::Timeline);
    assert!(server.members(&ada, &room_id).await.unwrap().iter().any(|event| event.content.get().contains("ban")));
    assert!(server.bodies(&ada, &room_id).await.contains(&"child".to_owned()));
}

/// An event that states the largest depth stands at most a bound below what it follows, and one that states too small a depth
/// does not stand above it.
#[tokio::test]
async fn depths_are_clipped_for_order() {
    let server = server().await;
    let (ada, _, room_id) = ward(&server, &RoomVersionId::V11).await;
    let graph = Graph::new(&server, &room_id).await;
    let last = graph.last(&ada).await;
    let deepest = wardstead_limits::rooms::DEPTH_MAX;
    let mut deep = graph.now(&ada.user_id, said("deep"), &[&last]).await;
    deep.depth = deepest;
    let (deep, _) = graph.put(&deep).await;
    assert_eq!(deep.timeline_key.depth, last.depth + wardstead_limits::rooms::DEPTH_JUMP);
    server.say(&ada, &room_id, "after").await.unwrap();
    let mut shallow = graph.now(&ada.user_id, said("shallow"), &[&deep]).await;
    shallow.depth = 1;
    graph.put(&shallow).await;
    let after = server.say(&ada, &room_id, "last").await.unwrap();
    assert!(graph.stored(&after).await.depth <= deepest);
    // The same for a node that has made none of it, and by paging back.
    for server in [&server, &server.node(2).await] {
        assert_eq!(server.bodies(&ada, &room_id).await, ["deep", "shallow", "after", "last"]);
        let back = Messages { backwards: true, limit: Some(50), ..Messages::default() };
        let page = server.messages(&ada, &room_id, &back).await.unwrap();
        let back: Vec<_> = page.events.iter().filter_map(|(event, _)| body(event)).collect();
        assert_eq!(back, ["last", "after", "shallow", "deep"]);
    }
}

/// A user of another server: counted and listed, woken by nobody here.
#[tokio::test]
async fn members_of_other_servers() {
    let server = server().await;
    let (ada, ben, room_id) = ward(&server, &RoomVersionId::V11).await;
    let graph = Graph::new(&server, &room_id).await;
    let eve = user_id!("@eve:elsewhere.org");
    let join = ("m.room.member", Some(eve.as_str()), json!({ "membership": "join" }));
    let (joined, status) = graph.put(&graph.now(eve, join, &[&*graph.last(&ada).await]).await).await;
    assert_eq!(status, Status::Timeline);
    assert_eq!(graph.put(&graph.now(eve, said("hello"), &[&joined]).await).await.1, Status::Timeline);
    for server in [&server, &server.node(2).await] {
        assert_eq!(server.bodies(&ada, &room_id).await, ["hello"]);
        assert_eq!(server.members(&ada, &room_id).await.unwrap().len(), 3);
        let state = server.state_event(&ada, &room_id, "m.room.member", eve.as_str()).await.unwrap();
        assert_eq!(state.event_id, joined.event_id);
        let at = server.snapshot_at(graph.room.short, Position(u64::MAX - 1)).await.unwrap();
        assert_eq!(at.joined, 3);
        let mut here = server.joined_users(graph.room.short).await.unwrap();
        here.sort_unstable();
        let mut expected = vec![ada.user, ben.user];
        expected.sort_unstable();
        assert_eq!(here, expected);
        let summary = server.summary(&graph.room, &at, ada.user, Position(u64::MAX)).await.unwrap();
        assert!(summary.heroes.iter().any(|hero| hero == eve), "{:?}", summary.heroes);
    }
    // What is done to them here.
    let ban = ("m.room.member", Some(eve.as_str()), json!({ "membership": "ban" }));
    let last = graph.last(&ada).await;
    assert_eq!(graph.put(&graph.now(&ada.user_id, ban, &[&last]).await).await.1, Status::Timeline);
    let at = server.snapshot_at(graph.room.short, Position(u64::MAX - 1)).await.unwrap();
    assert_eq!(at.joined, 2);
}
