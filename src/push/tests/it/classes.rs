//! Classes are asked once for an event, whoever many have them; who has rules like nobody else's is still counted right.

use futures::{StreamExt, stream};
use ruma::push::Ruleset;
use serde_json::json;
use wardstead_accounts::Session;
use wardstead_limits::push as limits;
use wardstead_push::default_rules;
use wardstead_rooms::Membership;

use crate::support::server;

fn muting(user: &Session, field: &str, number: usize) -> Ruleset {
    let mut rules = serde_json::to_value(default_rules(&user.user_id)).unwrap();
    let rule = json!({ "rule_id": "own", "actions": [], "default": false, "enabled": true, "conditions": [
        { "kind": "event_match", "key": field, "pattern": format!("silent{number}") }] });
    rules["override"].as_array_mut().unwrap().insert(1, rule);
    serde_json::from_value(rules).unwrap()
}

#[tokio::test]
async fn each_class_is_asked_once_for_an_event() {
    let server = server(1).await;
    let mut users = Vec::new();
    for number in 0..12 {
        users.push(server.user(&format!("user{number}")).await);
    }
    let room = server.room(&users.iter().collect::<Vec<_>>()).await;
    let before = server.counter.evaluations();
    server.say(&users[0], &room, "to twelve").await;
    let after = server.counter.evaluations();
    assert_eq!((after.0 - before.0, after.1 - before.1), (1, 0), "one class, nobody for himself");
    for user in &users[8..] {
        server.set_rules(user, &muting(user, "content.msgtype", 1)).await;
    }
    let before = server.counter.evaluations();
    server.say(&users[0], &room, "to two classes").await;
    let after = server.counter.evaluations();
    assert_eq!((after.0 - before.0, after.1 - before.1), (2, 0));
    server.say(&users[0], &room, "and user3 is called").await;
    assert_eq!(server.counter.evaluations().1 - after.1, 1, "who is named is looked at");
    assert_eq!(server.counts(&users[3], &room).await, (3, 1));
    assert_eq!(server.counts(&users[9], &room).await, (3, 0));
}

#[tokio::test]
async fn a_message_to_ten_thousand_asks_each_class_once() {
    const MEMBERS: usize = 10_000;
    let server = server(3).await;
    let anna = server.user("anna").await;
    let room = server.room(&[&anna]).await;
    let members: Vec<Session> = stream::iter(0..MEMBERS)
        .map(|number| {
            let (server, room) = (&server, &room);
            async move {
                let member = server.user(&format!("member-{number}")).await;
                server.set_membership(&member, room, &member.user_id, Membership::Join, None).await.unwrap();
                member
            }
        })
        .buffer_unordered(64)
        .collect()
        .await;
    for member in &members[..3] {
        server.set_rules(member, &muting(member, "content.msgtype", 1)).await;
    }
    // The first one reads who is in the room.
    server.say(&anna, &room, "hello").await;
    let before = server.counter.evaluations();
    server.say(&anna, &room, "hello, all of you").await;
    let after = server.counter.evaluations();
    assert_eq!((after.0 - before.0, after.1 - before.1), (2, 0), "classes, members alone");
    for member in [&members[0], &members[3], &members[MEMBERS - 1]] {
        assert_eq!(server.counts(member, &room).await, (2, 0));
    }
}

#[tokio::test]
async fn beyond_the_bound_of_classes_members_are_counted_one_by_one() {
    let server = server(2).await;
    let mut users = Vec::new();
    for number in 0..limits::ROOM_CLASS_ENTRIES + 4 {
        users.push(server.user(&format!("user{number}")).await);
    }
    let room = server.room(&users.iter().collect::<Vec<_>>()).await;
    for (number, user) in users.iter().enumerate().skip(1) {
        server.set_rules(user, &muting(user, "content.tag", number)).await;
    }
    let before = server.counter.evaluations();
    for number in [1, limits::ROOM_CLASS_ENTRIES + 2] {
        let content = json!({ "msgtype": "m.text", "body": "tagged", "tag": format!("silent{number}") });
        server.event(&users[0], &room, "m.room.message", None, &content).await.unwrap();
    }
    let after = server.counter.evaluations();
    assert_eq!(after.0 - before.0, 2 * (1 + limits::ROOM_CLASS_ENTRIES as u64));
    for (number, user) in users.iter().enumerate().skip(1) {
        let silent = number == 1 || number == limits::ROOM_CLASS_ENTRIES + 2;
        assert_eq!(server.counts(user, &room).await, (if silent { 1 } else { 2 }, 0), "{number}");
    }
    // Who leaves makes place.
    server.become_(&users[1], &room, Membership::Leave).await;
    let last = users.last().unwrap();
    server.push.refresh(&server.rooms, last.user, &last.user_id).await.unwrap();
    server.say(&users[0], &room, "once more").await;
    assert_eq!(server.counts(last, &room).await, (3, 0));
}

/// Polls (MSC3930): started and ended they notify everybody, a vote nobody; each is judged by the class, once.
#[tokio::test]
async fn polls_notify_by_the_class() {
    let server = server(5).await;
    let [anna, bert, carl] = [server.user("anna").await, server.user("bert").await, server.user("carl").await];
    let (two, three) = (server.room(&[&anna, &bert]).await, server.room(&[&anna, &bert, &carl]).await);
    for (room, sound) in [(&two, true), (&three, false)] {
        for (event, counts) in [("start", (1, 0)), ("response", (1, 0)), ("end", (2, 0))] {
            let before = server.counter.evaluations();
            let content = json!({ "org.matrix.msc3381.poll": {}, "m.mentions": {} });
            let event = format!("org.matrix.msc3381.poll.{event}");
            server.event(&anna, room, &event, None, &content).await.unwrap();
            let after = server.counter.evaluations();
            assert_eq!((after.0 - before.0, after.1 - before.1), (1, 0), "{event}: one class, nobody alone");
            assert_eq!(server.counts(&bert, room).await, counts, "{event}");
        }
        let at = server.store.caught_up().await.unwrap();
        let ended = server.push.notified(server.short(room).await, room, at).await.unwrap().unwrap();
        let due = server.push.due(&ended, &[bert.user]).await.unwrap();
        assert_eq!(due[0].1.tweaks().contains_key("sound"), sound);
    }
}

/// A room that is muted, by a rule for the room or by one above all, counts and notifies nobody; one that is turned to mentions alone does
/// so for these.
#[tokio::test]
async fn a_muted_room_is_silent() {
    let server = server(6).await;
    let [anna, bert, carl] = [server.user("anna").await, server.user("bert").await, server.user("carl").await];
    let room = server.room(&[&anna, &bert, &carl]).await;
    for (user, kind) in [(&bert, "override"), (&carl, "room")] {
        let mut rules = serde_json::to_value(default_rules(&user.user_id)).unwrap();
        let mut rule = json!({ "rule_id": room, "actions": [], "default": false, "enabled": true });
        if kind == "override" {
            rule["conditions"] = json!([{ "kind": "event_match", "key": "room_id", "pattern": room }]);
            rules[kind].as_array_mut().unwrap().insert(1, rule);
        } else {
            rules[kind] = json!([rule]);
        }
        server.set_rules(user, &serde_json::from_value(rules).unwrap()).await;
    }
    server.say(&anna, &room, "good morning").await;
    let content = json!({ "msgtype": "m.text", "body": "come",
        "m.mentions": { "user_ids": [bert.user_id, carl.user_id] } });
    server.event(&anna, &room, "m.room.message", None, &content).await.unwrap();
    assert_eq!(server.counts(&bert, &room).await, (0, 0), "not even when he is mentioned");
    assert_eq!(server.counts(&carl, &room).await, (1, 1), "mentions alone");
    let at = server.store.caught_up().await.unwrap();
    let event = server.push.notified(server.short(&room).await, &room, at).await.unwrap().unwrap();
    let due = server.push.due(&event, &[bert.user, carl.user]).await.unwrap();
    assert_eq!(due.iter().map(|(user, _)| *user).collect::<Vec<_>>(), [carl.user]);
}
