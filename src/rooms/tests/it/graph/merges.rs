//! Several extremities: local events merge them, nodes race, batches are one.

use std::sync::Arc;

use futures::future::join_all;
use ruma::RoomVersionId;
use serde_json::json;
use wardstead_limits::rooms::PREV_EVENTS;
use wardstead_rooms::{Membership, Status, StoredEvent};

use crate::support::{Server, body, server};

use super::{
    forge::{Forge, Graph},
    receive::{said, ward},
};

/// Forks in which each sets another state; a local event names both, and its state before is their resolution.
#[tokio::test]
async fn a_local_event_merges_a_fork() {
    let server = server().await;
    for version in [RoomVersionId::V6, RoomVersionId::V11, RoomVersionId::V12] {
        let node = server.node(version.as_str().parse().unwrap()).await;
        let (ada, room_id) = {
            let ada = node.user(&format!("ada{version}")).await;
            let new = wardstead_rooms::NewRoom { version: Some(version.clone()), ..Default::default() };
            let room = node.room_of(&[&ada], new).await;
            (ada, room)
        };
        let graph = Graph::new(&node, &room_id).await;
        let root = graph.last(&ada).await;
        let state = graph.current().await;
        let local = node.set(&ada, &room_id, "m.room.topic", json!({ "topic": "here" })).await.unwrap();
        let name = ("m.room.name", Some(""), json!({ "name": "there" }));
        let (forked, status) = graph.put(&graph.event(&ada.user_id, name, &[&root], &state)).await;
        assert_eq!(status, Status::Timeline);
        let mut expected = state.clone();
        expected.insert(("m.room.topic".to_owned(), String::new()), local.clone());
        expected.insert(("m.room.name".to_owned(), String::new()), forked.event_id.clone());
        assert_eq!(graph.current().await, expected, "{version}");
        let before = node.batches();
        let merge = node.say(&ada, &room_id, "merge").await.unwrap();
        assert_eq!(node.batches() - before, 1);
        let merge = graph.stored(&merge).await;
        let mut prev = merge.prev_events.clone();
        prev.sort();
        let mut both = vec![local, forked.event_id.clone()];
        both.sort();
        assert_eq!(prev, both, "{version}");
        assert_eq!(graph.before(&merge.event_id).await, expected);
        let after = node.say(&ada, &room_id, "after").await.unwrap();
        assert_eq!(graph.stored(&after).await.prev_events, std::slice::from_ref(&merge.event_id));
    }
}

/// An event names at most ten; the others stay extremities, and the current state is the resolution of all of them.
#[tokio::test]
async fn more_extremities_than_one_event_names() {
    let server = server().await;
    let (ada, ben, room_id) = ward(&server, &RoomVersionId::V11).await;
    let graph = Graph::new(&server, &room_id).await;
    let root = graph.last(&ada).await;
    let state = graph.current().await;
    for number in 0..PREV_EVENTS + 3 {
        let says = ("org.example", Some(["a", "b", "c"][number % 3]), json!({ "n": number }));
        graph.put(&graph.event(&ada.user_id, says, &[&root], &state)).await;
    }
    let current = graph.current().await;
    // Refusals and repetitions are told as ever.
    let refused = server.set(&ben, &room_id, "m.room.name", json!({ "name": "x" })).await;
    assert_eq!(crate::support::kind(refused), "forbidden");
    let first = server.say_once(&ada, &room_id, "merge", "t").await.unwrap();
    assert_eq!(server.say_once(&ada, &room_id, "merge", "t").await.unwrap(), first);
    let first = graph.stored(&first).await;
    assert_eq!(first.prev_events.len(), PREV_EVENTS);
    assert_eq!(graph.current().await, current, "a message changes no state");
    let second = server.say(&ada, &room_id, "rest").await.unwrap();
    let second = graph.stored(&second).await;
    assert_eq!(second.prev_events.len(), 4);
    assert_eq!(graph.before(&second.event_id).await, current);
    let third = server.say(&ada, &room_id, "one").await.unwrap();
    assert_eq!(graph.stored(&third).await.prev_events, std::slice::from_ref(&second.event_id));
    assert_eq!(server.bodies(&ben, &room_id).await, ["merge", "rest", "one"]);
}

/// Received and local events at once, on two nodes: nothing is lost, nothing is twice, every event has its place.
#[tokio::test]
async fn at_once_on_two_nodes() {
    let server = server().await;
    let other = server.node(2).await;
    let (ada, ben, room_id) = ward(&server, &RoomVersionId::V11).await;
    let graph = Graph::new(&server, &room_id).await;
    let elsewhere = Graph::new(&other, &room_id).await;
    let root = graph.last(&ada).await;
    let state = graph.current().await;
    let forges: Vec<_> =
        (0..8).map(|number| graph.event(&ben.user_id, said(&format!("f{number}")), &[&root], &state)).collect();
    let bodies: Vec<_> = (0..16).map(|number| format!("l{number}")).collect();
    let (received, again, sent) = tokio::join!(
        join_all(forges.iter().map(|forge| graph.put(forge))),
        join_all(forges.iter().map(|forge| elsewhere.put(forge))),
        join_all(bodies.iter().map(|body| server.say(&ada, &room_id, body))),
    );
    assert!(received.iter().chain(&again).all(|(_, status)| *status == Status::Timeline));
    assert!(sent.iter().all(Result::is_ok));
    let mut all = server.bodies(&ada, &room_id).await;
    all.sort();
    let mut expected: Vec<_> = (0..8).map(|number| format!("f{number}")).chain(bodies).collect();
    expected.sort();
    assert_eq!(all, expected);
    let merge = server.say(&ada, &room_id, "merge").await.unwrap();
    let last = server.say(&ada, &room_id, "last").await.unwrap();
    assert_eq!(graph.stored(&last).await.prev_events, [merge]);
    // No event of the timeline stands above one that it follows.
    let timeline = server.timeline(&ada, &room_id).await;
    for (at, event) in timeline.iter().enumerate() {
        let above = &timeline[..at];
        assert!(
            event.prev_events.iter().all(|prev| above.iter().any(|event| event.event_id == *prev)),
            "{:?}",
            body(event)
        );
    }
}

/// One batch with all rows, also where a merge flips memberships without an event that says so.
#[tokio::test]
async fn a_merge_that_flips_a_ban_is_one_batch() {
    let server = server().await;
    for version in [RoomVersionId::V11, RoomVersionId::V12] {
        let node = server.node(version.as_str().parse().unwrap()).await;
        let names = ["ada", "mod", "ute"].map(|name| format!("{name}{version}"));
        let (ada, moderator, ute) =
            (node.user(&names[0]).await, node.user(&names[1]).await, node.user(&names[2]).await);
        let new = wardstead_rooms::NewRoom {
            version: Some(version.clone()),
            preset: Some(wardstead_rooms::Preset::PublicChat),
            power_level_content_override: Some(crate::support::raw(&json!({
                "users": if version == RoomVersionId::V12 {
                    json!({ moderator.user_id.as_str(): 50 })
                } else {
                    json!({ moderator.user_id.as_str(): 50, ada.user_id.as_str(): 100 })
                }
            }))),
            ..Default::default()
        };
        let room_id = node.room_of(&[&ada, &moderator, &ute], new).await;
        let graph = Graph::new(&node, &room_id).await;
        let root = graph.last(&ada).await;
        let state = graph.current().await;
        // The moderator bans, and elsewhere leaves; the leaving came here first.
        let left = node.become_(&moderator, &room_id, &moderator, Membership::Leave).await.unwrap();
        let ban = ("m.room.member", Some(ute.user_id.as_str()), json!({ "membership": "ban" }));
        let (ban, status) = graph.put(&graph.event(&moderator.user_id, ban, &[&root], &state)).await;
        assert_eq!(status, Status::SoftFailed);
        assert!(node.joined_rooms(&ute).await.unwrap().contains(&room_id), "not banned yet");
        let left = graph.stored(&left).await;
        let before = (node.batches(), node.store.caught_up().await.unwrap());
        let (merge, status) = graph.put(&graph.event(&ada.user_id, said("merge"), &[&ban, &left], &state)).await;
        assert_eq!((status, node.batches() - before.0), (Status::Timeline, 1));
        assert!(merge.state_key.is_none());
        assert!(!node.joined_rooms(&ute).await.unwrap().contains(&room_id));
        for node in [&node, &node.node(99).await] {
            let now = node.store.caught_up().await.unwrap();
            let moves = node.membership_changes(ute.user, before.1, now).await.unwrap();
            let told: Vec<_> = moves.iter().map(|change| (change.room.membership, change.previous)).collect();
            assert_eq!(told, [(Membership::Ban, Some(Membership::Join))]);
            assert_eq!(moves[0].room.position, merge.position);
            assert_eq!(moves[0].room.event_id, ban.event_id);
            assert_eq!(node.joined_users(graph.room.short).await.unwrap(), [ada.user]);
            assert_eq!(node.snapshot_at(graph.room.short, now).await.unwrap().joined, 1);
            assert_eq!(crate::support::kind(node.say(&ute, &room_id, "still here").await), "forbidden");
        }
    }
}

/// A room in which a merge flips a ban, and the merge, which has not come yet.
pub async fn before_a_merge(server: &Server) -> (ruma::OwnedRoomId, Forge, [Arc<StoredEvent>; 2]) {
    let (ada, ben, room_id) = ward(server, &RoomVersionId::V11).await;
    let cy = server.user("cy").await;
    server.become_(&cy, &room_id, &cy, Membership::Join).await.unwrap();
    let levels = json!({ "users": { "@ada:example.org": 100, "@ben:example.org": 50 } });
    server.set(&ada, &room_id, "m.room.power_levels", levels).await.unwrap();
    let graph = Graph::new(server, &room_id).await;
    let root = graph.last(&ada).await;
    let state = graph.current().await;
    let left = server.become_(&ben, &room_id, &ben, Membership::Leave).await.unwrap();
    let ban = ("m.room.member", Some(cy.user_id.as_str()), json!({ "membership": "ban" }));
    let (ban, _) = graph.put(&graph.event(&ben.user_id, ban, &[&root], &state)).await;
    let merge = graph.event(&ada.user_id, said("merge"), &[&ban, &*graph.stored(&left).await], &state);
    (room_id, merge, [root, ban])
}

/// Each read of a merge fails once, on a node that has nothing in memory: an error and nothing stored, or the same as without.
#[tokio::test]
async fn each_read_of_a_merge_fails_once() {
    let mut expected = None;
    for n in 0.. {
        assert!(n < 200, "there is no end of reads");
        let server = server().await;
        let (room_id, merge, [_, ban]) = before_a_merge(&server).await;
        let node = server.node(2).await;
        let graph = Graph::new(&node, &room_id).await;
        let before = graph.current().await;
        let node = server.node(3).await;
        let graph = Graph::new(&node, &room_id).await;
        let faults = server.engine.faults();
        let reads = faults.reads();
        if n > 0 {
            faults.fail_read(n);
        }
        let (id, received) = graph.receive(&merge).await;
        let happened = n > 0 && faults.reads() >= reads + n;
        faults.clear();
        if let Err(error) = received {
            assert!(happened && error.retryable(), "read {n}: {error}");
            assert_eq!(graph.current().await, before, "read {n}");
            assert!(node.stored_event(&room_id, &id).await.unwrap().is_none(), "read {n}");
            assert_eq!(graph.put(&merge).await.1, Status::Timeline, "read {n}");
        }
        let key = ("m.room.member".to_owned(), "@cy:example.org".to_owned());
        assert_eq!(graph.current().await[&key], ban.event_id, "read {n}");
        let keys: Vec<_> = graph.current().await.into_keys().collect();
        assert_eq!(*expected.get_or_insert_with(|| keys.clone()), keys, "read {n}");
        if n > 0 && !happened {
            return;
        }
    }
}

/// What the resolution would silently leave out fails it: an event of the auth chain that cannot be read.
#[tokio::test]
async fn an_auth_event_that_cannot_be_read_fails_the_merge() {
    let server = server().await;
    let (room_id, merge, [_, ban]) = before_a_merge(&server).await;
    let short = server.rooms.room(&room_id).await.unwrap().unwrap().short;
    // Table 0x043, point: events by id. The join of the banned one, which only the auth chains name.
    let table = wardstead_engine::TableId::new(wardstead_engine::AccessPattern::Point, 0x043);
    let graph = Graph::new(&server, &room_id).await;
    let mut left = 0;
    for id in &ban.auth_events {
        let key = wardstead_engine::Key::build(table, short).text(id.as_str()).key();
        assert!(server.engine.faults().flip_bit(&key, 400));
        let node = server.node(2).await;
        let (id, received) = Graph::new(&node, &room_id).await.receive(&merge).await;
        assert_eq!(crate::support::kind(received), "store");
        assert!(graph.server.stored_event(&room_id, &id).await.unwrap().is_none());
        assert!(server.engine.faults().flip_bit(&key, 400));
        left += 1;
    }
    assert_eq!(left, ban.auth_events.len());
    assert_eq!(graph.put(&merge).await.1, Status::Timeline);
}
