//! Events whose past is not here, and the past that comes later.

use ruma::{OwnedEventId, RoomVersionId};
use serde_json::json;
use wardstead_engine::{Position, ScanRange};
use wardstead_rooms::{Messages, Received, Status};

use crate::support::{Server, body, server};

use super::{
    forge::{Forge, Graph, State, incoming},
    receive::{said, ward},
};

/// Rows of a table in a room.
async fn rows(server: &Server, table: u16, room: u64) -> usize {
    use wardstead_engine::{AccessPattern, Engine, PageLimit, TableId};
    let range = ScanRange::scope(TableId::new(AccessPattern::Point, table), room);
    server.engine.scan(Position::ZERO, &range, PageLimit::default()).await.unwrap().rows.len()
}

/// A line of messages after `prev`, of which nothing is known here.
async fn line(
    graph: &Graph<'_>,
    by: &wardstead_accounts::Session,
    bodies: &[&str],
    state: &State,
) -> Vec<(OwnedEventId, Forge)> {
    let last = graph.last(by).await;
    let mut line: Vec<(OwnedEventId, Forge)> = Vec::new();
    for body in bodies {
        let mut forge = graph.event(&by.user_id, said(body), &[&last], state);
        if let Some((id, before)) = line.last() {
            forge.prev = vec![id.clone()];
            forge.depth = before.depth + 1;
        }
        line.push((forge.make(graph.server).0, forge));
    }
    line
}

/// `a` is here; `b`, `c`, `d` are made elsewhere; only `d` comes, with the state after `c`. Backfill in any order puts the
/// others between, in their order, both ways, and closes the gap.
#[tokio::test]
async fn backfill_into_a_gap_keeps_the_order() {
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        let server = server().await;
        let (ada, _, room_id) = ward(&server, &RoomVersionId::V11).await;
        let graph = Graph::new(&server, &room_id).await;
        server.say(&ada, &room_id, "a").await.unwrap();
        let state = graph.current().await;
        let line = line(&graph, &ada, &["b", "c", "c2", "d"], &state).await;
        let (id, received) = graph.receive_stated(&line[3].1, &[(&line[2].0, &state)]).await;
        assert_eq!(received.unwrap(), Received::Stored(id.clone(), Status::Timeline));
        assert!(graph.stored(&id).await.gap);
        server.say(&ada, &room_id, "e").await.unwrap();
        assert_eq!(server.bodies(&ada, &room_id).await, ["a", "d", "e"]);
        assert_eq!(
            (rows(&server, 0x054, graph.room.short).await, rows(&server, 0x055, graph.room.short).await),
            (1, 1)
        );
        let a_and_e = graph.stored(&id).await;
        assert_eq!(a_and_e.prev_events, [line[2].0.clone()]);

        let batches = server.batches();
        let events: Vec<_> = order.iter().map(|at| incoming(&line[*at].1.make(&server).1)).collect();
        let received = server.backfill(&room_id, &events).await.unwrap();
        assert!(
            received.iter().all(|received| matches!(received, Received::Stored(_, Status::Backfilled))),
            "{received:?}"
        );
        assert_eq!(server.batches() - batches, 3, "each is one batch");
        assert_eq!(
            (rows(&server, 0x054, graph.room.short).await, rows(&server, 0x055, graph.room.short).await),
            (0, 0)
        );
        for server in [&server, &server.node(2).await] {
            assert_eq!(server.bodies(&ada, &room_id).await, ["a", "b", "c", "c2", "d", "e"]);
            let mut back = Vec::new();
            let mut request = Messages { backwards: true, limit: Some(2), ..Messages::default() };
            loop {
                let page = server.messages(&ada, &room_id, &request).await.unwrap();
                back.extend(page.events.iter().filter_map(|(event, _)| body(event)));
                let Some(end) = page.end else { break };
                request.from = Some(end);
            }
            assert_eq!(back, ["e", "d", "c2", "c", "b", "a"]);
            // Nothing of it is news by position.
            assert_eq!(server.stored_event(&room_id, &line[0].0).await.unwrap().unwrap().position, Position::ZERO);
        }
        // The line is one again.
        let last = server.say(&ada, &room_id, "f").await.unwrap();
        assert_eq!(graph.stored(&last).await.prev_events.len(), 1);
    }
}

/// The past comes piece by piece: each piece has a gap of its own, and the first extremity stays until it is known to stand
/// before the rest.
#[tokio::test]
async fn a_gap_moves_back() {
    let server = server().await;
    let (ada, _, room_id) = ward(&server, &RoomVersionId::V11).await;
    let graph = Graph::new(&server, &room_id).await;
    let a = server.say(&ada, &room_id, "a").await.unwrap();
    let state = graph.current().await;
    let line = line(&graph, &ada, &["b", "c", "d"], &state).await;
    graph.receive_stated(&line[2].1, &[(&line[1].0, &state)]).await.1.unwrap();
    let mut c = incoming(&line[1].1.make(&server).1);
    let missing = server.backfill(&room_id, std::slice::from_ref(&c)).await.unwrap();
    assert!(matches!(&missing[0], Received::Missing { prev, .. } if *prev == [line[0].0.clone()]));
    c.stated =
        vec![wardstead_rooms::StatedState { after: line[0].0.clone(), events: state.values().cloned().collect() }];
    server.backfill(&room_id, std::slice::from_ref(&c)).await.unwrap();
    assert_eq!(rows(&server, 0x054, graph.room.short).await, 1, "now before c");
    let merge = server.say(&ada, &room_id, "merge").await.unwrap();
    let mut prev = graph.stored(&merge).await.prev_events.clone();
    prev.sort();
    let mut expected = vec![a, line[2].0.clone()];
    expected.sort();
    assert_eq!(prev, expected, "a is not known to stand before d");
    // The last piece comes as if it had just happened. It is told as news, and is no extremity.
    assert_eq!(graph.put(&line[0].1).await.1, Status::Timeline);
    assert_eq!(rows(&server, 0x054, graph.room.short).await, 0);
    assert_eq!(server.bodies(&ada, &room_id).await, ["a", "b", "c", "d", "merge"]);
    let last = server.say(&ada, &room_id, "last").await.unwrap();
    assert_eq!(graph.stored(&last).await.prev_events, [merge]);
}

/// Closing a gap can change the current state: the state that one of the extremities held no longer counts.
#[tokio::test]
async fn closing_a_gap_can_change_the_state() {
    let server = server().await;
    let (ada, ben, room_id) = ward(&server, &RoomVersionId::V11).await;
    let graph = Graph::new(&server, &room_id).await;
    server.set(&ada, &room_id, "org.example", json!({ "n": 1 })).await.unwrap();
    server.clock.advance_ms(1_000);
    let root = graph.last(&ada).await;
    let old = graph.current().await;
    // Elsewhere, after that: another value.
    let set = ("org.example", Some(""), json!({ "n": 2 }));
    let mut changed = graph.event(&ada.user_id, set, &[&root], &old);
    changed.ts = 1;
    let (changed_id, _) = changed.make(&server);
    let mut outlier = server.receive_outlier(&room_id, &incoming(&changed.make(&server).1)).await.unwrap();
    assert_eq!(outlier, Received::Stored(changed_id.clone(), Status::Outlier));
    let key = ("org.example".to_owned(), String::new());
    let mut state = old.clone();
    state.insert(key.clone(), changed_id.clone());
    let mut after = graph.event(&ben.user_id, said("after"), &[&root], &state);
    (after.prev, after.depth) = (vec![changed_id.clone()], root.depth + 2);
    graph.receive_stated(&after, &[(&changed_id, &state)]).await.1.unwrap();
    // Two extremities: the one with the later time wins.
    assert_eq!(graph.current().await[&key], root.event_id);
    let before = server.store.caught_up().await.unwrap();
    outlier = server.backfill(&room_id, &[incoming(&changed.make(&server).1)]).await.unwrap().remove(0);
    assert_eq!(outlier, Received::Stored(changed_id.clone(), Status::Backfilled));
    assert_eq!(graph.current().await[&key], changed_id, "one extremity, and its state");
    let now = server.store.caught_up().await.unwrap();
    assert!(now > before, "the change has a position");
    assert_eq!(server.heads(&[graph.room.short]).await.unwrap(), [now]);
    let (then, at) = server.snapshots_at(graph.room.short, before, now).await.unwrap();
    assert_ne!(then.snapshot, at.snapshot);
}

/// A redaction and a reply that came before what they are about take effect when that comes.
#[tokio::test]
async fn what_waited_for_an_event_is_done_to_it() {
    let server = server().await;
    let (ada, ben, room_id) = ward(&server, &RoomVersionId::V11).await;
    let graph = Graph::new(&server, &room_id).await;
    server.say(&ada, &room_id, "a").await.unwrap();
    let state = graph.current().await;
    let line = line(&graph, &ben, &["regretted", "d"], &state).await;
    graph.receive_stated(&line[1].1, &[(&line[0].0, &state)]).await.1.unwrap();
    let last = graph.stored(&line[1].0).await;
    let redaction = ("m.room.redaction", None, json!({ "redacts": line[0].0 }));
    let (redaction, status) = graph.put(&graph.event(&ben.user_id, redaction, &[&last], &state)).await;
    assert_eq!(status, Status::Timeline);
    server.backfill(&room_id, &[incoming(&line[0].1.make(&server).1)]).await.unwrap();
    for server in [&server, &server.node(2).await] {
        let found = server.stored_event(&room_id, &line[0].0).await.unwrap().unwrap();
        assert_eq!(found.content.get(), "{}");
        assert_eq!(found.redaction.as_ref().unwrap().event_id, redaction.event_id);
        assert_eq!(server.bodies(&ada, &room_id).await, ["a", "d"]);
    }
}
