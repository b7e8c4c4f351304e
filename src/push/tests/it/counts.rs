//! What single things come to.

use serde_json::json;
use wardstead_rooms::Membership;

use crate::support::server;

#[tokio::test]
async fn what_was_said_before_a_join_and_by_oneself_is_not_counted() {
    let server = server(1).await;
    let (anna, bert) = (server.user("anna").await, server.user("bert").await);
    let room = server.room(&[&anna]).await;
    server.say(&anna, &room, "before").await;
    server.become_(&bert, &room, Membership::Join).await;
    assert_eq!(server.counts(&bert, &room).await, (0, 0));
    server.say(&bert, &room, "my own").await;
    let event = server.say(&anna, &room, "hello bert").await;
    assert_eq!(server.counts(&bert, &room).await, (1, 1));
    assert_eq!(server.counts(&anna, &room).await, (0, 0), "who answers has read");
    server.read(&bert, &room, &event, None).await;
    assert_eq!(server.counts(&bert, &room).await, (0, 0));
    server.say(&anna, &room, "unread").await;
    server.become_(&bert, &room, Membership::Leave).await;
    server.say(&anna, &room, "he is gone").await;
    server.become_(&bert, &room, Membership::Join).await;
    assert_eq!(server.counts(&bert, &room).await, (0, 0), "counted from the join");
}

#[tokio::test]
async fn threads_are_counted_and_read_for_themselves() {
    let server = server(2).await;
    let (anna, bert) = (server.user("anna").await, server.user("bert").await);
    let room = server.room(&[&anna, &bert]).await;
    let opening = server.say(&anna, &room, "root").await;
    let reply = json!({ "msgtype": "m.text", "body": "reply",
        "m.relates_to": { "rel_type": "m.thread", "event_id": opening } });
    let first = server.event(&anna, &room, "m.room.message", None, &reply).await.unwrap();
    server.event(&anna, &room, "m.room.message", None, &reply).await.unwrap();
    let later = server.say(&anna, &room, "later").await;
    assert_eq!(server.counts(&bert, &room).await, (4, 0));
    let counts = server.unread(&bert, &room, true).await;
    assert_eq!((counts.room.notifications, counts.threads[opening.as_str()].notifications), (2, 2));
    server.read(&bert, &room, &opening, Some("main")).await;
    server.read(&bert, &room, &first, Some(opening.as_str())).await;
    let counts = server.unread(&bert, &room, true).await;
    assert_eq!((counts.room.notifications, counts.threads[opening.as_str()].notifications), (1, 1));
    server.read(&bert, &room, &later, None).await;
    let counts = server.unread(&bert, &room, true).await;
    assert_eq!((counts.room.notifications, counts.threads.len()), (0, 0), "an unthreaded receipt covers all threads");
}

/// Whether others are shown a receipt is no matter for the count.
#[tokio::test]
async fn a_private_receipt_counts_as_much_as_another() {
    let server = server(3).await;
    let (anna, bert) = (server.user("anna").await, server.user("bert").await);
    let room = server.room(&[&anna, &bert]).await;
    let first = server.say(&anna, &room, "bert, come").await;
    let second = server.say(&anna, &room, "bert, now").await;
    assert_eq!(server.counts(&bert, &room).await, (2, 2));
    server.read_silently(&bert, &room, &first, None).await;
    assert_eq!(server.counts(&bert, &room).await, (1, 1));
    server.read_silently(&bert, &room, &second, Some("main")).await;
    assert_eq!(server.counts(&bert, &room).await, (0, 0));
}

/// A receipt for one thread leaves what stands in others, and in the main timeline, before it and after it.
#[tokio::test]
async fn a_receipt_for_a_thread_is_one_for_no_other() {
    let server = server(4).await;
    let (anna, bert) = (server.user("anna").await, server.user("bert").await);
    let room = server.room(&[&anna, &bert]).await;
    let (one, other) = (server.say(&anna, &room, "one").await, server.say(&anna, &room, "other").await);
    let reply = async |root: &ruma::EventId| {
        let content = json!({ "msgtype": "m.text", "body": "reply",
            "m.relates_to": { "rel_type": "m.thread", "event_id": root } });
        server.event(&anna, &room, "m.room.message", None, &content).await.unwrap()
    };
    reply(&other).await;
    let last = reply(&one).await;
    reply(&other).await;
    let unread = async || {
        let counts = server.unread(&bert, &room, true).await;
        let of = |root: &ruma::EventId| counts.threads.get(root.as_str()).map_or(0, |count| count.notifications);
        (counts.room.notifications, of(&one), of(&other))
    };
    assert_eq!(unread().await, (2, 1, 2));
    for again in 0..2 {
        server.read(&bert, &room, &last, Some(one.as_str())).await;
        server.read_silently(&bert, &room, &last, Some(one.as_str())).await;
        assert_eq!(unread().await, (2, 0, 2), "{again}");
    }
    server.read(&bert, &room, &other, Some("main")).await;
    assert_eq!(unread().await, (0, 0, 2));
}

/// Who answers has read what was said before, in the thread of the answer and nowhere else; state, and what is taken back, answers nothing.
#[tokio::test]
async fn who_speaks_has_read() {
    let server = server(11).await;
    let (anna, bert) = (server.user("anna").await, server.user("bert").await);
    let room = server.room(&[&anna, &bert]).await;
    let opening = server.say(&anna, &room, "root").await;
    let reply = json!({ "msgtype": "m.text", "body": "reply",
        "m.relates_to": { "rel_type": "m.thread", "event_id": opening } });
    server.event(&anna, &room, "m.room.message", None, &reply).await.unwrap();
    let called = server.say(&anna, &room, "bert, come").await;
    let of_threads = async || {
        let counts = server.unread(&bert, &room, true).await;
        (counts.room.notifications, counts.threads.get(opening.as_str()).copied().unwrap_or_default().notifications)
    };
    assert_eq!((of_threads().await, server.counts(&bert, &room).await), ((2, 1), (3, 1)));
    server.say(&bert, &room, "coming").await;
    assert_eq!((of_threads().await, server.counts(&bert, &room).await), ((0, 1), (1, 0)), "the thread is another");
    server.event(&anna, &room, "m.room.topic", Some(""), &json!({ "topic": "ward" })).await.unwrap();
    server.rooms.redact(&anna, &room, &called, None, "take-back".into()).await.unwrap();
    assert_eq!(server.counts(&anna, &room).await, (1, 0), "she has not answered");
    assert_eq!(server.counts(&bert, &room).await, (1, 0), "what was read is not taken out again");
    server.say(&anna, &room, "and bring tea").await;
    assert_eq!(of_threads().await, (1, 1));
    server.event(&bert, &room, "m.room.message", None, &reply).await.unwrap();
    assert_eq!(of_threads().await, (1, 0));
    let reaction = json!({ "m.relates_to": { "rel_type": "m.annotation", "event_id": called, "key": "+" } });
    server.event(&bert, &room, "m.reaction", None, &reaction).await.unwrap();
    assert_eq!(server.counts(&bert, &room).await, (0, 0));
}

/// However many threads there are: what was read by speaking there is not taken out a second time.
#[tokio::test]
async fn what_was_read_in_a_thread_long_ago_takes_nothing_from_others_when_it_is_redacted() {
    let server = server(12).await;
    let (anna, bert) = (server.user("anna").await, server.user("bert").await);
    let room = server.room(&[&anna, &bert]).await;
    let opening = server.say(&anna, &room, "root").await;
    let reply = |root: &ruma::EventId| {
        json!({ "msgtype": "m.text", "body": "reply",
            "m.relates_to": { "rel_type": "m.thread", "event_id": root } })
    };
    let mut first = None;
    for number in 0..40 {
        let start = if number == 0 { opening.clone() } else { server.say(&anna, &room, "root").await };
        let said = server.event(&anna, &room, "m.room.message", None, &reply(&start)).await.unwrap();
        server.event(&bert, &room, "m.room.message", None, &reply(&start)).await.unwrap();
        first.get_or_insert(said);
    }
    server.say(&bert, &room, "I have seen all").await;
    server.event(&anna, &room, "m.room.message", None, &reply(&opening)).await.unwrap();
    let last = server.say(&anna, &room, "one more").await;
    // The user's row is written anew with what is unread in the first thread.
    server.read(&bert, &room, &last, Some("main")).await;
    server.say(&anna, &room, "and another").await;
    assert_eq!(server.counts(&bert, &room).await, (2, 0));
    server.rooms.redact(&anna, &room, &first.unwrap(), None, "take-back".into()).await.unwrap();
    assert_eq!(server.counts(&bert, &room).await, (2, 0));
    assert_eq!(server.unread(&bert, &room, true).await.threads[opening.as_str()].notifications, 1);
}
