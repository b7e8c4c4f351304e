//! Which rooms are told, and when.

use serde_json::json;
use wardstead_rooms::Membership;

use super::{list, slide};
use crate::support::server;

/// The room in which something happened last stands first; a list tells how many it has, and those in its range alone.
#[tokio::test(start_paused = true)]
async fn a_window_of_the_order() {
    let server = server().await;
    let anna = server.user("anna").await;
    let [a, b, c] = [server.room(&[&anna]).await, server.room(&[&anna]).await, server.room(&[&anna]).await];
    server.say(&anna, &a, "last").await;
    let first = slide(&server, &anna, &list(0, 1, 10), None).await;
    assert_eq!(first.count("all"), 3);
    let mut expected = [a.as_str(), c.as_str()];
    expected.sort_unstable();
    assert_eq!(first.rooms(), expected);
    assert!(first.is_initial(&a));
    assert_eq!(first.room(&a)["num_live"], 0, "nothing is live for a client that begins");
    assert!(first.room(&a)["bump_stamp"].as_u64() > first.room(&c)["bump_stamp"].as_u64());
    // Nothing happened.
    let second = slide(&server, &anna, &list(0, 1, 10), Some(&first)).await;
    assert_eq!(second.rooms(), [""; 0]);
    // The range grows: what was not sent comes, and nothing else.
    let third = slide(&server, &anna, &list(0, 2, 10), Some(&second)).await;
    assert_eq!(third.rooms(), [b.as_str()]);
    assert!(third.is_initial(&b));
    let said = server.say(&anna, &b, "more").await;
    let fourth = slide(&server, &anna, &list(0, 2, 10), Some(&third)).await;
    assert_eq!(fourth.rooms(), [b.as_str()]);
    assert_eq!(fourth.timeline(&b), [said.to_string()]);
    assert!(!fourth.is_initial(&b));
    assert_eq!(fourth.room(&b)["num_live"], 1);
    assert_eq!(fourth.room(&b)["limited"], json!(null));
}

/// What happened in a room while no list showed it is told, all of it, once one does.
#[tokio::test(start_paused = true)]
async fn a_room_that_comes_back_into_view() {
    let server = server().await;
    let anna = server.user("anna").await;
    let [a, b] = [server.room(&[&anna]).await, server.room(&[&anna]).await];
    let all = slide(&server, &anna, &list(0, 9, 10), None).await;
    assert_eq!(all.rooms().len(), 2);
    // Only a subscription to `b` from here on.
    let only_b = json!({ "room_subscriptions": { b.as_str(): { "timeline_limit": 10, "required_state": [] } } });
    let one = server.say(&anna, &a, "one").await;
    let narrow = slide(&server, &anna, &only_b, Some(&all)).await;
    assert_eq!(narrow.rooms(), [""; 0]);
    let two = server.say(&anna, &a, "two").await;
    let other = server.say(&anna, &b, "other").await;
    let narrow = slide(&server, &anna, &only_b, Some(&narrow)).await;
    assert_eq!(narrow.timeline(&b), [other.to_string()]);
    let wide = slide(&server, &anna, &list(0, 9, 10), Some(&narrow)).await;
    assert_eq!(wide.timeline(&a), [one.to_string(), two.to_string()]);
    assert!(!wide.is_initial(&a));
    assert_eq!(wide.rooms(), [a.as_str()]);
}

/// An invitation shows its stripped state; who accepts it is told the room from the start; who leaves is told that, once.
#[tokio::test(start_paused = true)]
async fn memberships() {
    let server = server().await;
    let [anna, ben] = server.users(["anna", "ben"]).await;
    let room = server.room(&[&anna]).await;
    server.say(&anna, &room, "before").await;
    let begun = slide(&server, &ben, &list(0, 9, 10), None).await;
    assert_eq!(begun.count("all"), 0);
    server.member(&anna, &room, &ben, Membership::Invite).await;
    let invited = slide(&server, &ben, &list(0, 9, 10), Some(&begun)).await;
    assert!(invited.is_initial(&room));
    assert!(!invited.room(&room)["invite_state"].as_array().unwrap().is_empty());
    assert_eq!(invited.timeline(&room), [""; 0]);
    assert_eq!(invited.room(&room)["joined_count"], json!(null), "who is not in the room learns nothing of it");
    let joined = server.join(&ben, &room).await;
    let there = slide(&server, &ben, &list(0, 9, 10), Some(&invited)).await;
    assert!(there.is_initial(&room));
    assert_eq!(there.timeline(&room).last(), Some(&joined.to_string()));
    assert_eq!(there.room(&room)["joined_count"], 2);
    let kicked = server.member(&anna, &room, &ben, Membership::Leave).await;
    let gone = slide(&server, &ben, &list(0, 9, 10), Some(&there)).await;
    assert_eq!(gone.timeline(&room).last(), Some(&kicked.to_string()));
    assert_eq!(gone.state(&room), ["m.room.member @ben"]);
    assert_eq!(gone.count("all"), 0);
    let after = slide(&server, &ben, &list(0, 9, 10), Some(&gone)).await;
    assert_eq!(after.rooms(), [""; 0]);
    server.member(&anna, &room, &ben, Membership::Ban).await;
    let banned = slide(&server, &ben, &list(0, 9, 10), Some(&after)).await;
    assert_eq!(banned.rooms(), [room.as_str()]);
    let after = slide(&server, &ben, &list(0, 9, 10), Some(&banned)).await;
    assert_eq!(after.rooms(), [""; 0]);
}
