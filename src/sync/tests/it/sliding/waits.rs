//! Long-polls.

use std::{pin::pin, time::Duration};

use futures::poll;

use super::{list, request, slide, try_slide};
use crate::support::server;
use wardstead_sync::SlidingRequest;

/// It ends when something happens in a room that is shown, and not for one that is not; that one is told later.
#[tokio::test(start_paused = true)]
async fn woken_by_what_is_shown() {
    let server = server().await;
    let [anna, ben] = server.users(["anna", "ben"]).await;
    let [a, b] = [server.room(&[&anna, &ben]).await, server.room(&[&anna, &ben]).await];
    let wide = slide(&server, &anna, &list(0, 9, 10), None).await;
    let body = serde_json::json!({ "room_subscriptions": { b.as_str(): { "timeline_limit": 5 } } });
    let first = slide(&server, &anna, &body, Some(&wide)).await;
    let waiting = SlidingRequest { timeout_ms: 30_000, ..request(&body, Some(&first)) };
    let mut waiting = pin!(try_slide(&server, &anna, waiting));
    assert!(poll!(&mut waiting).is_pending());
    let unseen = server.say(&ben, &a, "unseen").await;
    server.settle().await;
    for _ in 0..20 {
        assert!(poll!(&mut waiting).is_pending());
        tokio::task::yield_now().await;
    }
    let said = server.say(&ben, &b, "seen").await;
    let answer = waiting.await.unwrap();
    assert_eq!(answer.rooms(), [b.as_str()]);
    assert_eq!(answer.timeline(&b), [said.to_string()]);
    let last = slide(&server, &anna, &list(0, 9, 10), Some(&answer)).await;
    assert_eq!(last.timeline(&a), [unseen.to_string()]);
}

/// Nothing happens: the answer comes when it was asked for, and its token goes on.
#[tokio::test(start_paused = true)]
async fn nothing_happens() {
    let server = server().await;
    let anna = server.user("anna").await;
    let room = server.room(&[&anna]).await;
    let first = slide(&server, &anna, &list(0, 9, 10), None).await;
    let waiting = SlidingRequest { timeout_ms: 30_000, ..request(&list(0, 9, 10), Some(&first)) };
    let waited = tokio::time::timeout(Duration::from_secs(31), try_slide(&server, &anna, waiting)).await;
    let nothing = waited.unwrap().unwrap();
    assert_eq!(nothing.rooms(), [""; 0]);
    let said = server.say(&anna, &room, "a").await;
    let next = slide(&server, &anna, &list(0, 9, 10), Some(&nothing)).await;
    assert_eq!(next.timeline(&room), [said.to_string()]);
}
