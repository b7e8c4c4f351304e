//! Whom a stored event notifies, asked afterwards.

use ruma::OwnedRoomId;
use serde_json::json;
use wardstead_accounts::Session;
use wardstead_engine::Position;
use wardstead_push::{Notice, default_rules};
use wardstead_rooms::Membership;
use wardstead_store::testing;

use crate::support::{self, Server};

/// A node, and one that counts nothing.
async fn nodes(seed: u64) -> (Server, Server) {
    let (engine, clock) = testing::engine();
    let first = support::over(engine.clone(), clock.clone(), seed).await;
    (first, support::over(engine, clock, seed + 100).await)
}

/// To whom the event at `position` is due, and how.
async fn told(node: &Server, room: &OwnedRoomId, position: Position) -> Vec<(u64, Notice)> {
    let Some(event) = node.push.notified(node.short(room).await, room, position).await.unwrap() else {
        return Vec::new();
    };
    let mut users = event.users();
    users.sort_unstable();
    node.push.due(&event, &users).await.unwrap()
}

/// Everybody, with what is told of the event.
fn of<'a>(told: &'a [(u64, Notice)], who: &Session) -> Option<&'a Notice> {
    told.iter().find(|(user, _)| *user == who.user).map(|(_, notice)| notice)
}

#[tokio::test]
async fn an_event_tells_each_member_once_how_it_notifies() {
    let (server, node) = nodes(1).await;
    let [anna, bert, carl, dora] =
        [server.user("anna").await, server.user("bert").await, server.user("carl").await, server.user("dora").await];
    let room = server.room(&[&anna, &bert, &carl, &dora]).await;
    let mut rules = serde_json::to_value(default_rules(&carl.user_id)).unwrap();
    rules["content"] = json!([{ "rule_id": "w", "pattern": "sepsis", "default": false, "enabled": true,
        "actions": ["notify", { "set_tweak": "sound", "value": "siren" }, { "set_tweak": "light", "value": 7 }] }]);
    server.set_rules(&carl, &serde_json::from_value(rules).unwrap()).await;
    server.ignore(&dora, &[&anna]).await;
    server.say(&anna, &room, "bert, is it sepsis?").await;
    let at = server.store.caught_up().await.unwrap();
    let told = told(&node, &room, at).await;
    assert_eq!(told.len(), 2, "neither who said it nor who ignores that: {told:?}");
    let to_bert = of(&told, &bert).unwrap();
    assert!(to_bert.highlight);
    assert_eq!(json!(to_bert.tweaks()), json!({ "sound": "default", "highlight": true }));
    let to_carl = of(&told, &carl).unwrap();
    assert!(!to_carl.highlight);
    assert_eq!(json!(to_carl.tweaks()), json!({ "sound": "siren", "light": 7 }), "the same count, another sound");
    let (by_classes, by_users) = server.counter.evaluations();
    assert!(by_classes > 0 && by_users > 0);
}

#[tokio::test]
async fn what_was_read_muted_or_came_before_the_join_is_due_to_nobody() {
    let (server, node) = nodes(2).await;
    let [anna, bert, carl] = [server.user("anna").await, server.user("bert").await, server.user("carl").await];
    let room = server.room(&[&anna, &bert]).await;
    let event = server.say(&anna, &room, "good morning").await;
    let at = server.store.caught_up().await.unwrap();
    server.become_(&carl, &room, Membership::Join).await;
    let due = told(&node, &room, at).await;
    assert_eq!(due.iter().map(|(user, _)| *user).collect::<Vec<_>>(), [bert.user], "carl came later");
    assert_eq!(json!(due[0].1.tweaks()), json!({ "sound": "default" }), "two were in the room");
    server.say(&anna, &room, "bed 4").await;
    server.read(&bert, &room, &event, None).await;
    assert!(told(&node, &room, at).await.is_empty(), "it was read");
    let later = server.store.caught_up().await.unwrap();
    let second = told(&node, &room, Position(later.0 - 1)).await;
    assert_eq!(second.len(), 2, "the second one was not: {second:?}");
    let mut rules = serde_json::to_value(default_rules(&carl.user_id)).unwrap();
    rules["room"] = json!([{ "rule_id": room, "default": false, "enabled": true, "actions": [] }]);
    server.set_rules(&carl, &serde_json::from_value(rules).unwrap()).await;
    server.say(&anna, &room, "bed 5").await;
    let last = server.store.caught_up().await.unwrap();
    assert!(of(&told(&node, &room, last).await, &carl).is_none(), "carl has muted the room");
}

#[tokio::test]
async fn an_invitation_notifies_who_is_invited_and_counts_for_nobody() {
    let (server, node) = nodes(3).await;
    let [anna, bert, carl] = [server.user("anna").await, server.user("bert").await, server.user("carl").await];
    let room = server.room(&[&anna, &carl]).await;
    let before = server.store.caught_up().await.unwrap();
    server.rooms.set_membership(&anna, &room, &bert.user_id, Membership::Invite, None).await.unwrap();
    // The first entry is the event's, the second the user's.
    let at = before.next();
    let due = told(&node, &room, at).await;
    assert_eq!(due.len(), 1, "{due:?}");
    assert_eq!(json!(of(&due, &bert).unwrap().tweaks()), json!({ "sound": "default" }));
    server.become_(&bert, &room, Membership::Join).await;
    assert!(told(&node, &room, at).await.is_empty(), "has come in");
    assert_eq!(server.counts(&bert, &room).await, (0, 0));
    server.say(&carl, &room, "hello").await;
    assert_eq!(server.counts(&bert, &room).await, (1, 0));
}
