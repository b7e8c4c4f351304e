//! Who is typing, on one node and on two.

use std::{collections::BTreeSet, time::Duration};

use ruma::RoomId;
use serde_json::json;
use tokio::time::Instant;
use wardstead_accounts::Session;
use wardstead_engine::counting::Reading;
use wardstead_limits::ephemeral as limits;
use wardstead_rooms::Membership;
use wardstead_sync::SyncRequest;

use crate::{
    nodes::{Client, moment, nodes, pass},
    support::Server,
};

const LATE: Option<Duration> = Some(Duration::from_millis(20));

async fn types(node: &Server, by: &Session, room: &RoomId, timeout_ms: u64) {
    let access = node.rooms.access(by, room).await.unwrap();
    node.syncer.typing().set(by, access.room.short, timeout_ms).await;
}

/// A node with a room of two.
async fn two_in_a_room() -> (Server, Session, Session, ruma::OwnedRoomId) {
    let node = nodes(1, LATE, false).await.remove(0);
    let [anna, ben] = node.users(["anna", "ben"]).await;
    let room = node.room(&[&anna, &ben]).await;
    (node, anna, ben, room)
}

fn least_gap(answers: &[Instant]) -> Duration {
    answers.windows(2).map(|pair| pair[1] - pair[0]).min().unwrap()
}

#[tokio::test(start_paused = true)]
async fn typing_is_seen_at_once_and_stops() {
    let (node, anna, ben, room) = two_in_a_room().await;
    let mut client = Client::new(&ben, &node).await;
    for how in ["said", "time is over"] {
        let start = moment();
        let node_too = node.clone();
        let (anna_too, room_too) = (anna.clone(), room.clone());
        let typing = tokio::spawn(async move {
            pass(3_000).await;
            types(&node_too, &anna_too, &room_too, 5_000).await;
            pass(4_000).await;
            if how == "said" {
                types(&node_too, &anna_too, &room_too, 0).await;
            }
        });
        let answer = client.sync(&node, 30_000).await;
        assert_eq!(
            answer.0["rooms"]["join"][room.as_str()],
            json!({
                "ephemeral": { "events": [{ "type": "m.typing", "content": { "user_ids": ["@anna:example.org"] } }] }
            })
        );
        assert_eq!(moment() - start, Duration::from_secs(3), "{how}");
        let answer = client.sync(&node, 30_000).await;
        assert_eq!(answer.rooms("join"), [room.as_str()]);
        assert!(client.typists().is_empty());
        let stopped = if how == "said" { 7_000 } else { 8_000 };
        assert_eq!(moment() - start, Duration::from_millis(stopped), "{how}");
        typing.await.unwrap();
        assert!(client.sync(&node, 10_000).await.is_empty(), "told once");
    }
}

/// Longer than the bound is as long as the bound; who says so again types on.
#[tokio::test(start_paused = true)]
async fn typing_is_bounded_and_renewed() {
    let (node, anna, ben, room) = two_in_a_room().await;
    let mut client = Client::new(&ben, &node).await;
    types(&node, &anna, &room, u64::MAX).await;
    client.sync(&node, 0).await;
    pass(limits::TYPING_TIMEOUT_MS - 1).await;
    assert!(client.sync(&node, 0).await.is_empty());
    types(&node, &anna, &room, 10_000).await;
    pass(5_000).await;
    assert!(client.sync(&node, 0).await.is_empty());
    assert_eq!(client.typists(), ["@anna:example.org"]);
    pass(5_000).await;
    client.sync(&node, 0).await;
    assert!(client.typists().is_empty());
}

/// Somebody who cannot make up their mind costs the others one answer a second.
#[tokio::test(start_paused = true)]
async fn answers_with_only_typing_come_a_second_apart() {
    let (node, anna, ben, room) = two_in_a_room().await;
    let mut client = Client::new(&ben, &node).await;
    let fidget = {
        let (node, anna, room) = (node.clone(), anna.clone(), room.clone());
        tokio::spawn(async move {
            for turn in 0..100 {
                types(&node, &anna, &room, if turn % 2 == 0 { 30_000 } else { 0 }).await;
                pass(130).await;
            }
        })
    };
    let answers = client.round_robin(std::slice::from_ref(&node), 10_000).await;
    assert!((3..=10).contains(&answers.len()), "{}", answers.len());
    assert!(least_gap(&answers) >= Duration::from_secs(limits::EPHEMERAL_APART_S));
    fidget.await.unwrap();
    client.round_robin(std::slice::from_ref(&node), 5_000).await;
    assert!(client.typists().is_empty());
    // A message waits for nothing, and takes the typing along.
    types(&node, &anna, &room, 30_000).await;
    client.sync(&node, 30_000).await;
    types(&node, &anna, &room, 0).await;
    node.say(&anna, &room, "hello").await;
    let start = moment();
    client.sync(&node, 30_000).await;
    assert_eq!(moment(), start);
    assert!(client.typists().is_empty());
}

/// How somebody types: which of two nodes hears what, when.
async fn session(nodes: &[Server], by: &Session, room: &RoomId, plan: &[(u64, usize, u64)]) {
    let start = moment();
    for (at_ms, node, timeout_ms) in plan {
        tokio::time::sleep_until(start + Duration::from_millis(*at_ms)).await;
        types(&nodes[*node], by, room, *timeout_ms).await;
    }
}

/// One user types for ten seconds; a client that goes from node to node gets few answers, and in the end shows nobody.
async fn count_answers(late: Option<Duration>, plan: &'static [(u64, usize, u64)]) -> usize {
    let nodes = nodes(2, late, false).await;
    let [anna, ben] = nodes[0].users(["anna", "ben"]).await;
    let room = nodes[0].room(&[&anna, &ben]).await;
    nodes[0].settle().await;
    let mut client = Client::new(&ben, &nodes[0]).await;
    // Somewhere within a second.
    pass(350).await;
    let typing = {
        let (nodes, anna, room) = (nodes.clone(), anna.clone(), room.clone());
        tokio::spawn(async move { session(&nodes, &anna, &room, plan).await })
    };
    let mut answers = client.round_robin(&nodes, 10_000).await.len();
    assert_eq!(client.typists().len(), client.typists().iter().collect::<BTreeSet<_>>().len());
    typing.await.unwrap();
    answers = answers.max(client.round_robin(&nodes, 10_000).await.len());
    client.round_robin(&nodes, 2 * limits::TYPING_TIMEOUT_MS).await;
    assert!(client.typists().is_empty(), "{plan:?}");
    answers
}

/// Time, node, timeout: a client says every four seconds that its user types still, at one node or at both in turn, and says at
/// last, to the one or the other, that they do not.
const PLANS: [&[(u64, usize, u64)]; 5] = [
    &[(500, 0, 30_000), (4_500, 0, 30_000), (8_500, 0, 0)],
    &[(500, 0, 30_000), (4_500, 1, 30_000), (8_500, 0, 0)],
    &[(500, 0, 30_000), (4_500, 1, 30_000), (8_500, 1, 30_000), (9_400, 0, 0)],
    &[(500, 1, 4_000), (3_500, 0, 4_000)],
    &[(500, 1, 30_000), (900, 0, 30_000), (1_300, 1, 30_000), (9_900, 0, 30_000)],
];

#[tokio::test(start_paused = true)]
async fn with_the_bus_a_typing_user_costs_at_most_three_answers() {
    for plan in PLANS {
        for late_ms in [0, 20, 300, 900] {
            let answers = count_answers(Some(Duration::from_millis(late_ms)), plan).await;
            assert!((1..=3).contains(&answers), "{answers} answers, {late_ms} ms late: {plan:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn with_the_bus_cut_a_typing_user_costs_at_most_ten_answers() {
    for plan in PLANS {
        let answers = count_answers(None, plan).await;
        assert!((1..=10).contains(&answers), "{answers} answers: {plan:?}");
    }
}

/// A node that never heard of it contradicts the client's token, but not at once.
#[tokio::test(start_paused = true)]
async fn a_node_that_knows_nothing_clears_what_the_client_shows() {
    let nodes = nodes(2, None, false).await;
    let [anna, ben] = nodes[0].users(["anna", "ben"]).await;
    let room = nodes[0].room(&[&anna, &ben]).await;
    nodes[0].room(&[&ben, &anna]).await;
    nodes[0].settle().await;
    let mut client = Client::new(&ben, &nodes[0]).await;
    types(&nodes[0], &anna, &room, 30_000).await;
    client.sync(&nodes[0], 30_000).await;
    assert_eq!(client.typists(), ["@anna:example.org"]);
    let start = moment();
    let answer = client.sync(&nodes[1], 0).await;
    assert!(answer.is_empty(), "{answer:?}");
    let answer = client.sync(&nodes[1], 30_000).await;
    assert_eq!(answer.rooms("join").len(), 2, "it cannot know where");
    let waited = moment() - start;
    assert!(waited >= Duration::from_secs(limits::TYPING_DOUBT_S), "{waited:?}");
    assert!(waited <= Duration::from_secs(limits::TYPING_DOUBT_S + 1), "{waited:?}");
    assert!(client.typists().is_empty());
    assert!(client.sync(&nodes[1], 20_000).await.is_empty());
}

/// A client that was away for longer than anybody remembers.
#[tokio::test(start_paused = true)]
async fn an_old_token_shows_nobody_for_long() {
    let (node, anna, ben, room) = two_in_a_room().await;
    let other = node.room(&[&anna, &ben]).await;
    let mut client = Client::new(&ben, &node).await;
    types(&node, &anna, &room, 30_000).await;
    client.sync(&node, 30_000).await;
    pass(30_000 + limits::TYPING_REMEMBERED_MS + limits::TYPING_TIMEOUT_MS).await;
    types(&node, &anna, &other, 30_000).await;
    pass(10_000).await;
    client.sync(&node, 30_000).await;
    assert_eq!(client.typing.keys().collect::<Vec<_>>(), [other.as_str()]);
}

/// A node that started after the client was told of it, and has heard since of somebody else.
#[tokio::test(start_paused = true)]
async fn a_restarted_node_clears_what_it_cannot_know() {
    let (node, anna, ben, room) = two_in_a_room().await;
    let other = node.room(&[&anna, &ben]).await;
    let mut client = Client::new(&ben, &node).await;
    types(&node, &anna, &room, 2_000).await;
    client.sync(&node, 30_000).await;
    pass(1_500).await;
    let restarted = node.beside(9).await;
    pass(1_500).await;
    types(&restarted, &anna, &other, 30_000).await;
    client.sync(&restarted, 30_000).await;
    assert_eq!(client.typing.keys().collect::<Vec<_>>(), [other.as_str()]);
}

/// The same sets are the same to every node, however they came about.
#[tokio::test(start_paused = true)]
async fn a_token_of_one_node_is_right_on_the_other() {
    let nodes = nodes(2, LATE, false).await;
    let [anna, ben, cora] = nodes[0].users(["anna", "ben", "cora"]).await;
    let room = nodes[0].room(&[&anna, &ben, &cora]).await;
    let other = nodes[0].room(&[&cora, &ben]).await;
    nodes[0].settle().await;
    types(&nodes[0], &anna, &room, 30_000).await;
    types(&nodes[1], &cora, &room, 20_000).await;
    types(&nodes[1], &cora, &other, 10_000).await;
    pass(100).await;
    let mut client = Client::new(&ben, &nodes[0]).await;
    assert_eq!(client.typing[room.as_str()].len(), 2, "an initial sync tells who types");
    assert_eq!(client.typing[other.as_str()].len(), 1);
    pass(5_000).await;
    assert!(client.sync(&nodes[1], 0).await.is_empty());
    let same = Client::new(&ben, &nodes[1]).await;
    assert_eq!(same.typing, client.typing);
}

#[tokio::test(start_paused = true)]
async fn who_has_left_types_no_more() {
    let (node, anna, ben, room) = two_in_a_room().await;
    let mut client = Client::new(&ben, &node).await;
    types(&node, &anna, &room, 30_000).await;
    client.sync(&node, 30_000).await;
    node.leave(&anna, &room).await;
    let answer = client.sync(&node, 30_000).await;
    assert_eq!(answer.joined(&room).timeline().len(), 1);
    assert!(client.typists().is_empty(), "with the news that they left");
    assert!(client.sync(&node, 40_000).await.is_empty());
    // And who has left is told nothing.
    let mut gone = Client::new(&anna, &node).await;
    types(&node, &ben, &room, 30_000).await;
    assert!(gone.sync(&node, 5_000).await.is_empty());
    // Who is removed while waiting neither.
    let cora = node.user("cora").await;
    node.member(&ben, &room, &cora, Membership::Invite).await;
    let mut invited = Client::new(&cora, &node).await;
    types(&node, &ben, &room, 0).await;
    types(&node, &ben, &room, 30_000).await;
    assert!(invited.sync(&node, 5_000).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn filters_hide_typing() {
    let (node, anna, ben, room) = two_in_a_room().await;
    let since = node.sync(&ben, None).await;
    types(&node, &anna, &room, 30_000).await;
    for filter in [
        json!({ "room": { "ephemeral": { "types": [] } } }),
        json!({ "room": { "ephemeral": { "not_types": ["m.typing"] } } }),
        json!({ "room": { "ephemeral": { "not_rooms": [room] } } }),
        json!({ "room": { "not_rooms": [room] } }),
    ] {
        assert!(node.filtered(&ben, Some(&since), &filter).await.is_empty(), "{filter}");
    }
    let shown = json!({ "room": { "ephemeral": { "types": ["m.*"] } } });
    assert!(!node.filtered(&ben, Some(&since), &shown).await.is_empty());
}

/// What cannot be read fails the request; it is not taken for nobody.
#[tokio::test(start_paused = true)]
async fn a_failed_read_is_not_nobody() {
    let (node, anna, ben, room) = two_in_a_room().await;
    let mut client = Client::new(&ben, &node).await;
    types(&node, &anna, &room, 60_000).await;
    // Which rooms each of the two is in.
    for n in [1, 2] {
        let node = node.beside(n + 5).await;
        types(&node, &anna, &room, 60_000).await;
        node.engine.faults().fail_read(n);
        let request = SyncRequest { since: Some(client.since.next()), ..SyncRequest::default() };
        assert!(node.ask(&ben, request).await.is_err(), "read {n}");
        node.engine.faults().clear();
    }
    client.sync(&node, 0).await;
    assert_eq!(client.typists(), ["@anna:example.org"]);
}

/// Who types where one is not costs nothing, and who types where one is costs nothing more than once.
#[tokio::test(start_paused = true)]
async fn typing_costs_no_reads() {
    let (node, anna, ben, room) = two_in_a_room().await;
    let elsewhere = node.room(&[&anna]).await;
    types(&node, &anna, &elsewhere, 60_000).await;
    // The first sync after a change of membership reads which rooms the user is in.
    let mut client = Client::new(&ben, &node).await;
    let (_, cost) = node.reads(client.sync(&node, 0)).await;
    assert_eq!(cost, Reading::default());
    types(&node, &anna, &room, 60_000).await;
    client.sync(&node, 0).await;
    assert_eq!(client.typists(), ["@anna:example.org"]);
    types(&node, &anna, &room, 0).await;
    pass(3_000).await;
    let (_, cost) = node.reads(client.sync(&node, 0)).await;
    assert_eq!(cost, Reading::default());
    assert!(client.typists().is_empty());
    node.say(&anna, &room, "hello").await;
    let (_, cost) = node.reads(client.sync(&node, 0)).await;
    assert_eq!(cost, Reading { gets: 2, keys: 4, scans: 2, ..Reading::default() });
}

/// Somebody types and stops between a token and its second use: the client shows them since the first.
#[tokio::test(start_paused = true)]
async fn the_end_of_typing_is_told_to_a_token_that_is_used_again() {
    let (node, anna, ben, room) = two_in_a_room().await;
    let mut client = Client::new(&ben, &node).await;
    let token = client.since.next();
    types(&node, &anna, &room, 30_000).await;
    client.sync(&node, 1_000).await;
    assert_eq!(client.typists(), ["@anna:example.org"]);
    types(&node, &anna, &room, 0).await;
    let again = |timeout_ms| SyncRequest { since: Some(token.clone()), timeout_ms, ..SyncRequest::default() };
    let start = moment();
    let answer = node.ask(&ben, again(1_000)).await.unwrap();
    assert_eq!(moment() - start, Duration::from_secs(1), "it is no reason to answer");
    let nobody = json!({ "ephemeral": { "events": [{ "type": "m.typing", "content": { "user_ids": [] } }] } });
    assert_eq!(answer.0["rooms"]["join"][room.as_str()], nobody);
    // Not to the next token, and not of what comes and goes while the request waits.
    let next = SyncRequest { since: Some(answer.next()), timeout_ms: 10_000, ..SyncRequest::default() };
    assert!(node.ask(&ben, next.clone()).await.unwrap().is_empty());
    let fidget = {
        let (node, anna, room) = (node.clone(), anna.clone(), room.clone());
        tokio::spawn(async move {
            pass(100).await;
            types(&node, &anna, &room, 30_000).await;
            types(&node, &anna, &room, 0).await;
        })
    };
    assert!(node.ask(&ben, next).await.unwrap().is_empty());
    fidget.await.unwrap();
}
