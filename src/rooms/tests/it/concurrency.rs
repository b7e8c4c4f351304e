//! Many at once in one room.

use std::collections::BTreeSet;

use futures::future::join_all;
use ruma::RoomId;
use serde_json::json;
use wardstead_accounts::Session;
use wardstead_limits::rooms::PENDING_PER_ROOM;
use wardstead_rooms::{Membership, NewRoom, Preset, RoomError};

use crate::support::{Server, kind, server};

/// Every event after the first names exactly its predecessor in the timeline, and stands one deeper.
async fn assert_linear(server: &Server, by: &Session, room: &RoomId) {
    let events = server.timeline(by, room).await;
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event.depth, number as u64 + 1);
        let expected: Vec<_> = number.checked_sub(1).map(|at| events[at].event_id.clone()).into_iter().collect();
        assert_eq!(event.prev_events, expected);
    }
}

#[tokio::test]
async fn sixty_four_senders_make_one_line() {
    let server = server().await;
    let ada = server.user("ada").await;
    let room = server.room(&[&ada]).await;
    let before = server.counts.read();
    let bodies: Vec<String> = (0..64).map(|number| number.to_string()).collect();
    let ids = join_all(bodies.iter().map(|body| server.say(&ada, &room, body))).await;
    let after = server.counts.read();
    assert_eq!(ids.iter().filter_map(|id| id.as_ref().ok()).collect::<BTreeSet<_>>().len(), 64);
    assert_eq!(after.batches - before.batches, 64, "nothing was built twice");
    assert!(after.groups - before.groups < 16, "they share fsyncs");
    assert_eq!(server.busy_rooms(), 0, "memory follows the requests in flight");
    assert_linear(&server, &ada, &room).await;
    assert_eq!(server.bodies(&ada, &room).await.into_iter().collect::<BTreeSet<_>>(), bodies.into_iter().collect());
}

/// State is built on state that is still queued.
#[tokio::test]
async fn state_and_messages_at_once() {
    let server = server().await;
    let ada = server.user("ada").await;
    let room = server.room(&[&ada]).await;
    let set =
        |number: usize| server.set(&ada, &room, ["org.example.a", "org.example.b"][number % 2], json!({ "n": number }));
    let (states, messages) =
        tokio::join!(join_all((0..200).map(set)), join_all((0..50).map(|_| server.say(&ada, &room, "hello"))));
    assert!(states.iter().chain(&messages).all(Result::is_ok));
    assert_linear(&server, &ada, &room).await;
    // The snapshots, merged several times on the way, say what the timeline says.
    let timeline = server.timeline(&ada, &room).await;
    for event_type in ["org.example.a", "org.example.b"] {
        let last = timeline.iter().rfind(|event| event.event_type.to_string() == event_type).unwrap();
        assert_eq!(server.state_event(&ada, &room, event_type, "").await.unwrap().event_id, last.event_id);
    }
}

/// One user's changes that follow one another while the first is queued.
#[tokio::test]
async fn joins_and_leaves_of_many() {
    let server = server().await;
    let ada = server.user("ada").await;
    let new = NewRoom { preset: Some(Preset::PublicChat), ..NewRoom::default() };
    let room = server.room_of(&[&ada], new).await;
    let mut users = Vec::new();
    for number in 0..24 {
        users.push(server.user(&format!("u{number}")).await);
    }
    join_all(users.iter().map(async |user| {
        for _ in 0..3 {
            server.become_(user, &room, user, Membership::Join).await.unwrap();
            server.say(user, &room, "hello").await.unwrap();
            server.become_(user, &room, user, Membership::Leave).await.unwrap();
        }
        server.become_(user, &room, user, Membership::Join).await.unwrap();
    }))
    .await;
    assert_linear(&server, &ada, &room).await;
    let short = server.rooms.room(&room).await.unwrap().unwrap().short;
    assert_eq!(server.joined_users(short).await.unwrap().len(), 25);
    let at = server.store.caught_up().await.unwrap();
    let state = server.snapshot_at(short, at).await.unwrap();
    assert_eq!((state.joined, state.invited), (25, 0));
}

/// A refusal that follows from a queued event holds only if that event does.
#[tokio::test]
async fn a_refusal_waits_for_what_it_follows_from() {
    let server = server().await;
    let (ada, ben) = (server.user("ada").await, server.user("ben").await);
    let room = server.room(&[&ada, &ben]).await;
    let faults = server.engine.faults();
    faults.fail_commit(1, wardstead_engine_memory::CommitFault::Unavailable);
    let (banned, said) =
        tokio::join!(server.become_(&ada, &room, &ben, Membership::Ban), server.say(&ben, &room, "hello"));
    assert_eq!(kind(banned), "store");
    assert_eq!(kind(said), "ok", "the ban never happened");
    let (banned, said) =
        tokio::join!(server.become_(&ada, &room, &ben, Membership::Ban), server.say(&ben, &room, "hello"));
    assert_eq!((kind(banned), kind(said)), ("ok", "forbidden"));
}

/// Two nodes in one room: what loses is built again on what won.
#[tokio::test]
async fn two_nodes_interleave() {
    let server = server().await;
    let node = server.node(2).await;
    let ada = server.user("ada").await;
    let room = server.room(&[&ada]).await;
    let sends = async |server: &Server, name: &str| {
        let mut sent = BTreeSet::new();
        for round in 0..10 {
            let bodies: Vec<String> = (0..4).map(|number| format!("{name}{round}-{number}")).collect();
            join_all(bodies.iter().map(async |body| {
                // As a client does that is told to come back.
                loop {
                    match server.say_once(&ada, &room, body, body).await {
                        Ok(_) => break,
                        Err(RoomError::Busy(_)) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            }))
            .await;
            sent.extend(bodies);
        }
        sent
    };
    let (a, b) = tokio::join!(sends(&server, "a"), sends(&node, "b"));
    let sent: BTreeSet<String> = a.union(&b).cloned().collect();
    let found = server.bodies(&ada, &room).await;
    assert_eq!(found.len(), 80, "nothing twice");
    assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), sent);
    assert_linear(&server, &ada, &room).await;
    assert_linear(&node, &ada, &room).await;
    let short = server.rooms.room(&room).await.unwrap().unwrap().short;
    assert_eq!(server.heads(&[short]).await.unwrap(), node.heads(&[short]).await.unwrap());
}

/// What one node does, the other judges by, at once.
#[tokio::test]
async fn no_stale_verdicts_on_another_node() {
    let server = server().await;
    let node = server.node(2).await;
    let (ada, ben) = (server.user("ada").await, server.user("ben").await);
    let room = server.room(&[&ada]).await;
    assert_eq!(kind(node.become_(&ben, &room, &ben, Membership::Join).await), "forbidden");
    server.become_(&ada, &room, &ben, Membership::Invite).await.unwrap();
    node.become_(&ben, &room, &ben, Membership::Join).await.unwrap();
    server.say(&ben, &room, "hello").await.unwrap();
    node.become_(&ada, &room, &ben, Membership::Ban).await.unwrap();
    assert_eq!(kind(server.say(&ben, &room, "hello").await), "forbidden");
}

/// While nothing is committed, a room takes as many events as it may hold and refuses the rest before anything is promised.
#[tokio::test]
async fn a_room_takes_only_so_many() {
    use futures::{StreamExt, stream::FuturesUnordered};

    let server = server().await;
    let ada = server.user("ada").await;
    let room = server.room(&[&ada]).await;
    server.engine.faults().stall_commits();
    let mut sends: FuturesUnordered<_> = (0..PENDING_PER_ROOM + 10).map(|_| server.say(&ada, &room, "hello")).collect();
    for _ in 0..10 {
        assert_eq!(kind(sends.next().await.unwrap()), "busy");
    }
    server.engine.faults().release_commits();
    while let Some(sent) = sends.next().await {
        assert_eq!(kind(sent), "ok");
    }
    assert_eq!(server.bodies(&ada, &room).await.len(), PENDING_PER_ROOM);
    assert_eq!(server.busy_rooms(), 0);
}
