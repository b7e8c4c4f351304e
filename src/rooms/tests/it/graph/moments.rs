//! The event nearest to a time, where times do not follow the order of the timeline.

use ruma::{OwnedEventId, RoomId, RoomVersionId};
use serde_json::json;
use wardstead_accounts::Session;
use wardstead_limits::{Rng, SeededRng};
use wardstead_rooms::{Membership, RoomError, Seen, Status};

use crate::support::{Server, server};

use super::{
    forge::{Graph, incoming},
    receive::{said, ward},
};

const HOUR_MS: u64 = 60 * 60 * 1_000;

/// A line of messages with these dates after the last event, as they come from elsewhere.
async fn dated(graph: &Graph<'_>, by: &Session, dates: &[u64]) -> Vec<OwnedEventId> {
    let (last, state) = (graph.last(by).await, graph.current().await);
    let mut line: Vec<(OwnedEventId, u64)> = vec![(last.event_id.clone(), last.depth)];
    for (number, ts) in dates.iter().enumerate() {
        let mut forge = graph.event(&by.user_id, said(&number.to_string()), &[&last], &state);
        let (prev, depth) = line.last().unwrap().clone();
        (forge.prev, forge.depth, forge.ts) = (vec![prev], depth + 1, *ts);
        let (event, status) = graph.put(&forge).await;
        assert_eq!(status, Status::Timeline);
        line.push((event.event_id.clone(), depth + 1));
    }
    line.into_iter().skip(1).map(|(id, _)| id).collect()
}

/// As the documentation of `event_near` says, by looking at everything.
fn naive(timeline: &[Seen], at_ms: u64, backwards: bool) -> Option<OwnedEventId> {
    let away = |event: &&Seen| event.origin_server_ts.abs_diff(at_ms);
    let found = if backwards {
        // Of several, `min_by_key` takes the first.
        timeline.iter().rev().filter(|event| event.origin_server_ts <= at_ms).min_by_key(away)
    } else {
        timeline.iter().filter(|event| event.origin_server_ts >= at_ms).min_by_key(away)
    };
    found.map(|event| event.event_id.clone())
}

async fn near(server: &Server, by: &Session, room: &RoomId, at_ms: u64, backwards: bool) -> Option<OwnedEventId> {
    match server.event_near(by, room, at_ms, backwards).await {
        Ok(event) => Some(event.event_id.clone()),
        Err(RoomError::NotFound(_)) => None,
        error => Some(error.unwrap().event_id.clone()),
    }
}

/// Dates at random over ten years, many in one hour, some at the ends of what a date can be: each time asked for, both ways, gives what
/// looking at everything gives, to a member of old and to one who came late and sees the end alone.
#[tokio::test]
async fn dates_in_any_order_are_found() {
    for seed in 0..4 {
        let random = SeededRng::new(seed);
        let server = server().await;
        let (ada, _, room_id) = ward(&server, &RoomVersionId::V11).await;
        let hidden = json!({ "history_visibility": "joined" });
        server.set(&ada, &room_id, "m.room.history_visibility", hidden).await.unwrap();
        let graph = Graph::new(&server, &room_id).await;
        let date = || match random.next_u64() % 10 {
            0 => 0,
            1 => (1 << 53) - 1,
            2..6 => 500_000 * HOUR_MS + random.next_u64() % HOUR_MS,
            _ => (480_000 + random.next_u64() % 90_000) * HOUR_MS,
        };
        let mut dates: Vec<u64> = (0..400).map(|_| date()).collect();
        dated(&graph, &ada, &dates[..200]).await;
        let cleo = server.user("cleo").await;
        server.become_(&cleo, &room_id, &cleo, Membership::Join).await.unwrap();
        dated(&graph, &ada, &dates[200..]).await;
        dates.extend((0..100).map(|_| date()));
        for by in [&ada, &cleo] {
            let timeline = server.timeline(by, &room_id).await;
            assert!(timeline.len() > 190, "{}", timeline.len());
            for at_ms in dates.iter().flat_map(|date| [date.saturating_sub(1), *date, date + 1]) {
                for backwards in [false, true] {
                    let expected = naive(&timeline, at_ms, backwards);
                    let found = near(&server, by, &room_id, at_ms, backwards).await;
                    assert_eq!(found, expected, "seed {seed}, at {at_ms}, backwards: {backwards}");
                }
            }
        }
    }
}

/// What is fetched later is found by its date as well.
#[tokio::test]
async fn what_was_fetched_later_is_found() {
    let server = server().await;
    let (ada, _, room_id) = ward(&server, &RoomVersionId::V11).await;
    let graph = Graph::new(&server, &room_id).await;
    let (last, state) = (graph.last(&ada).await, graph.current().await);
    let mut old = graph.event(&ada.user_id, said("old"), &[&last], &state);
    old.ts = HOUR_MS;
    let (old_id, pdu) = old.make(&server);
    let mut new = graph.event(&ada.user_id, said("new"), &[&last], &state);
    (new.prev, new.depth) = (vec![old_id.clone()], last.depth + 2);
    graph.receive_stated(&new, &[(&old_id, &state)]).await.1.unwrap();
    assert_ne!(near(&server, &ada, &room_id, HOUR_MS, false).await.as_ref(), Some(&old_id));
    server.backfill(&room_id, &[incoming(&pdu)]).await.unwrap();
    for server in [&server, &server.node(2).await] {
        assert_eq!(near(server, &ada, &room_id, HOUR_MS - 1, false).await.as_ref(), Some(&old_id));
        assert_eq!(near(server, &ada, &room_id, HOUR_MS + 1, true).await.as_ref(), Some(&old_id));
    }
}
