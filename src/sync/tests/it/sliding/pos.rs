//! What the token of an answer is worth: again, on another node, and after a kill.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use wardstead_engine::LocalBus;
use wardstead_limits::store::SOON_MS;
use wardstead_sync::SyncError;

use super::{list, request, slide, try_slide};
use crate::support::{Server, Setting, on, server};

/// Until what nobody waits for is written.
async fn written() {
    tokio::time::sleep(Duration::from_millis(2 * SOON_MS)).await;
}

async fn is_unknown(server: &Server, by: &wardstead_accounts::Session, pos: &super::Slid) -> bool {
    matches!(try_slide(server, by, request(&list(0, 9, 10), Some(pos))).await, Err(SyncError::UnknownPos))
}

/// An answer that was lost is given again, with what came since; of the one that reached nobody nothing is taken as told.
#[tokio::test(start_paused = true)]
async fn the_same_token_again() {
    let server = server().await;
    let anna = server.user("anna").await;
    let [a, b] = [server.room(&[&anna]).await, server.room(&[&anna]).await];
    let first = slide(&server, &anna, &list(0, 0, 10), None).await;
    assert_eq!(first.rooms(), [b.as_str()]);
    let one = server.say(&anna, &b, "one").await;
    let lost = slide(&server, &anna, &list(0, 1, 10), Some(&first)).await;
    assert_eq!(lost.rooms().len(), 2);
    let two = server.say(&anna, &b, "two").await;
    let again = slide(&server, &anna, &list(0, 1, 10), Some(&first)).await;
    assert_eq!(again.timeline(&b), [one.to_string(), two.to_string()]);
    assert!(again.is_initial(&a) && !again.is_initial(&b));
    // The lost one, with another body: what only it told is told by the next.
    let lost = slide(&server, &anna, &list(0, 1, 10), Some(&again)).await;
    assert_eq!(lost.rooms(), [""; 0]);
    let none = json!({ "lists": {} });
    let narrow = slide(&server, &anna, &none, Some(&again)).await;
    let wide = slide(&server, &anna, &list(0, 1, 10), Some(&narrow)).await;
    assert_eq!(wide.rooms(), [""; 0]);
}

/// Another node that reads what was written goes on as if it had given the answer itself.
#[tokio::test(start_paused = true)]
async fn another_node_goes_on() {
    let one = server().await;
    let anna = one.user("anna").await;
    let [a, b] = [one.room(&[&anna]).await, one.room(&[&anna]).await];
    let first = slide(&one, &anna, &list(0, 9, 10), None).await;
    written().await;
    let two = one.node(2).await;
    let said = two.say(&anna, &a, "here").await;
    let second = slide(&two, &anna, &list(0, 9, 10), Some(&first)).await;
    assert_eq!(second.rooms(), [a.as_str()], "and not {b}");
    assert_eq!(second.timeline(&a), [said.to_string()]);
    assert!(!second.is_initial(&a));
    written().await;
    // And back.
    one.settle().await;
    let said = one.say(&anna, &b, "there").await;
    let third = slide(&one, &anna, &list(0, 9, 10), Some(&second)).await;
    assert_eq!(third.rooms(), [b.as_str()]);
    assert_eq!(third.timeline(&b), [said.to_string()]);
    // After a kill: a node with an empty memory.
    written().await;
    let after = one.node(3).await;
    let fourth = slide(&after, &anna, &list(0, 9, 10), Some(&third)).await;
    assert_eq!(fourth.rooms(), [""; 0]);
}

/// At once, before the answer's state is written: what was sent since the last one that was comes again, from the start, and nothing
/// else; no message is lost, whichever node writes first.
#[tokio::test(start_paused = true)]
async fn another_node_at_once() {
    let one = server().await;
    let anna = one.user("anna").await;
    let [a, b, c] = [one.room(&[&anna]).await, one.room(&[&anna]).await, one.room(&[&anna]).await];
    let first = slide(&one, &anna, &list(0, 9, 10), None).await;
    written().await;
    let second = slide(&one, &anna, &list(0, 9, 10), Some(&first)).await;
    written().await;
    let two = one.node(2).await;
    // By the other node, and before: a write of its own would take this one's along.
    let said = two.say(&anna, &a, "sent a moment ago").await;
    one.settle().await;
    two.settle().await;
    let third = slide(&one, &anna, &list(0, 9, 10), Some(&second)).await;
    assert_eq!(third.timeline(&a), [said.to_string()]);
    let fourth = slide(&two, &anna, &list(0, 9, 10), Some(&third)).await;
    assert!(fourth.is_initial(&a), "{:?}", fourth.0);
    assert!(fourth.timeline(&a).contains(&said.to_string()));
    assert_eq!((fourth.room(&b), fourth.room(&c)), (&json!(null), &json!(null)), "nothing was sent of them");
    // Both write now, in some order; either node goes on.
    written().await;
    for (number, node) in [&one, &two, &one.node(3).await].into_iter().enumerate() {
        node.settle().await;
        let said = node.say(&anna, &c, &format!("{number}")).await;
        let next = slide(node, &anna, &list(0, 9, 10), Some(&fourth)).await;
        assert!(next.timeline(&c).contains(&said.to_string()), "node {number}");
    }
}

/// The very first answer of a connection is not written yet either.
#[tokio::test(start_paused = true)]
async fn a_connection_of_a_moment_ago() {
    let one = server().await;
    let anna = one.user("anna").await;
    let room = one.room(&[&anna]).await;
    let two = one.node(2).await;
    let first = slide(&one, &anna, &list(0, 9, 10), None).await;
    let said = two.say(&anna, &room, "here").await;
    let second = slide(&two, &anna, &list(0, 9, 10), Some(&first)).await;
    assert!(second.is_initial(&room));
    assert!(second.timeline(&room).contains(&said.to_string()));
    let third = slide(&two, &anna, &list(0, 9, 10), Some(&second)).await;
    assert_eq!(third.rooms(), [""; 0]);
}

/// Connections of different names have nothing in common, and one that begins anew ends what it was.
#[tokio::test(start_paused = true)]
async fn connections_by_name() {
    let server = server().await;
    let [anna, ben] = server.users(["anna", "ben"]).await;
    let room = server.room(&[&anna, &ben]).await;
    let mut other = list(0, 9, 10);
    other["conn_id"] = json!("other");
    let first = slide(&server, &anna, &list(0, 9, 10), None).await;
    let second = slide(&server, &anna, &other, None).await;
    assert!(second.is_initial(&room));
    server.say(&anna, &room, "one").await;
    let next = slide(&server, &anna, &list(0, 9, 10), Some(&first)).await;
    assert_eq!(next.timeline(&room).len(), 1);
    let next_of_other = slide(&server, &anna, &other, Some(&second)).await;
    assert_eq!(next_of_other.timeline(&room).len(), 1);
    written().await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(is_unknown(&server, &ben, &next).await, "somebody else's");
    let anew = slide(&server, &anna, &list(0, 9, 10), None).await;
    assert!(anew.is_initial(&room));
    let after = slide(&server, &anna, &other, Some(&next_of_other)).await;
    assert_eq!(after.rooms(), [""; 0]);
}

/// With the device its connections go, in the same commit.
#[tokio::test(start_paused = true)]
async fn a_device_that_is_removed_leaves_nothing() {
    let server = server().await;
    let anna = server.user("anna").await;
    server.room(&[&anna]).await;
    let other = server.device(&anna).await;
    for by in [&anna, &other] {
        let first = slide(&server, by, &list(0, 9, 10), None).await;
        slide(&server, by, &list(0, 9, 10), Some(&first)).await;
    }
    written().await;
    let rows = |server: &Server| {
        let all = server.engine.rows();
        all.keys().filter(|key| [0x90, 0x91].contains(&(key.table().stored() & 0xfff))).count()
    };
    assert_eq!(rows(&server), 4);
    server.accounts.logout(&other).await.unwrap();
    assert_eq!(rows(&server), 2);
}

/// A device has so many connections; the one that was not used for the longest time makes place.
#[tokio::test(start_paused = true)]
async fn connections_are_bounded() {
    let (engine, clock) = wardstead_store::testing::engine();
    let setting = Setting { clock: Arc::new(clock.clone()), bus: Arc::new(LocalBus::new()), presence: false };
    let server = on(engine, setting, 1).await;
    let anna = server.user("anna").await;
    server.room(&[&anna]).await;
    let body = |number: usize| {
        let mut body = list(0, 9, 10);
        body["conn_id"] = json!(number.to_string());
        body
    };
    let first = slide(&server, &anna, &body(0), None).await;
    written().await;
    for number in 1..=wardstead_limits::sliding::DEVICE_CONNECTIONS {
        // Longer than an answer is of a moment ago.
        clock.advance_ms(10_000);
        slide(&server, &anna, &body(number), None).await;
        written().await;
    }
    let heads =
        |server: &Server| server.engine.rows().keys().filter(|key| key.table().stored() & 0xfff == 0x90).count();
    assert_eq!(heads(&server), wardstead_limits::sliding::DEVICE_CONNECTIONS);
    let after = server.node(2).await;
    let outcome = try_slide(&after, &anna, request(&body(0), Some(&first))).await;
    assert!(matches!(outcome, Err(SyncError::UnknownPos)), "the first one made place");
    let newest = slide(&after, &anna, &body(1), None).await;
    assert_eq!(newest.rooms().len(), 1);
}
