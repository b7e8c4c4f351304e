//! How much of a room is told: events of its timeline, and which of its state.

use serde_json::{Value, json};

use super::{list, slide};
use crate::support::server;

fn wanting(limit: u64, state: &Value) -> Value {
    json!({ "lists": { "all": { "ranges": [[0, 9]], "timeline_limit": limit, "required_state": state } } })
}

/// The proposal's own example: more events are wanted than were sent, and they are sent at once; the same number again is not.
#[tokio::test(start_paused = true)]
async fn a_timeline_that_grows() {
    let server = server().await;
    let anna = server.user("anna").await;
    let room = server.room(&[&anna]).await;
    let said: Vec<String> = server.say_many(&anna, &room, 6).await.iter().map(ToString::to_string).collect();
    let first = slide(&server, &anna, &list(0, 9, 1), None).await;
    assert_eq!(first.timeline(&room), said[5..]);
    assert_eq!(first.room(&room)["limited"], true);
    let more = slide(&server, &anna, &list(0, 9, 4), Some(&first)).await;
    assert_eq!(more.timeline(&room), said[2..]);
    assert_eq!(more.room(&room)["unstable_expanded_timeline"], true);
    assert_eq!(more.room(&room)["num_live"], 0);
    assert!(!more.is_initial(&room));
    let fewer = slide(&server, &anna, &list(0, 9, 2), Some(&more)).await;
    assert_eq!(fewer.rooms(), [""; 0]);
    let as_many = slide(&server, &anna, &list(0, 9, 4), Some(&fewer)).await;
    assert_eq!(as_many.rooms(), [""; 0], "it has them");
    // A subscription of the same room: the larger counts.
    let mut both = list(0, 9, 1);
    both["room_subscriptions"] = json!({ room.as_str(): { "timeline_limit": 6, "required_state": [] } });
    let subscribed = slide(&server, &anna, &both, Some(&as_many)).await;
    assert_eq!(subscribed.timeline(&room), said);
    // A gap: the last two alone, and then it does not have four.
    let later = server.say_many(&anna, &room, 3).await;
    let gap = slide(&server, &anna, &list(0, 9, 2), Some(&subscribed)).await;
    assert_eq!(gap.timeline(&room), [later[1].to_string(), later[2].to_string()]);
    assert_eq!(gap.room(&room)["limited"], true);
    assert_eq!(gap.room(&room)["num_live"], 2);
    let filled = slide(&server, &anna, &list(0, 9, 4), Some(&gap)).await;
    assert_eq!(filled.timeline(&room).len(), 4);
}

#[tokio::test(start_paused = true)]
async fn which_state() {
    let server = server().await;
    let [anna, ben] = server.users(["anna", "ben"]).await;
    let room = server.room(&[&anna, &ben]).await;
    server.topic(&anna, &room, "wards").await;
    let all = server.rooms.state(&anna, &room).await.unwrap().len();
    for (wanted, expected) in [
        (json!([]), vec![]),
        (json!([["m.room.topic", ""]]), vec!["m.room.topic "]),
        (json!([["m.room.member", "$ME"]]), vec!["m.room.member @anna"]),
        (json!([["m.room.member", "@ben:example.org"]]), vec!["m.room.member @ben"]),
        (json!([["m.room.member", "*"]]), vec!["m.room.member @anna", "m.room.member @ben"]),
        (json!([["*", "@ben:example.org"]]), vec!["m.room.member @ben"]),
        // Who said what is shown: the topic.
        (json!([["m.room.member", "$LAZY"]]), vec!["m.room.member @anna"]),
        (json!({ "include": [{ "type": "m.room.topic" }] }), vec!["m.room.topic "]),
        (json!({ "include": [{ "type": "m.room.topic" }], "exclude": [{ "state_key": "" }] }), vec![]),
    ] {
        let first = slide(&server, &anna, &wanting(1, &wanted), None).await;
        let mut state = first.state(&room);
        if wanted == json!([["m.room.member", "$LAZY"]]) {
            // Heroes may be told, too.
            state.retain(|key| key != "m.room.member @ben");
        }
        assert_eq!(state, expected, "{wanted}");
    }
    let everything = slide(&server, &anna, &wanting(1, &json!([["*", "*"]])), None).await;
    assert_eq!(everything.state(&room).len(), all);
    let lazily = json!({ "include": [{}], "lazy_members": true });
    let without_ben = slide(&server, &anna, &wanting(1, &lazily), None).await;
    assert!(without_ben.state(&room).len() >= all - 1);
}

/// What changes of it is told; what is wanted newly is told at once, and nothing twice.
#[tokio::test(start_paused = true)]
async fn state_that_changes_and_state_that_is_wanted_later() {
    let server = server().await;
    let [anna, ben] = server.users(["anna", "ben"]).await;
    let room = server.room(&[&anna]).await;
    let topic = json!([["m.room.topic", ""]]);
    let first = slide(&server, &anna, &wanting(1, &topic), None).await;
    assert_eq!(first.state(&room), [""; 0]);
    server.topic(&anna, &room, "wards").await;
    server.say(&anna, &room, "a").await;
    let second = slide(&server, &anna, &wanting(1, &topic), Some(&first)).await;
    assert_eq!(second.state(&room), ["m.room.topic "]);
    server.say(&anna, &room, "b").await;
    let third = slide(&server, &anna, &wanting(1, &topic), Some(&second)).await;
    assert_eq!(third.state(&room), [""; 0]);
    let both = json!([["m.room.topic", ""], ["m.room.create", ""]]);
    let fourth = slide(&server, &anna, &wanting(1, &both), Some(&third)).await;
    assert_eq!(fourth.state(&room), ["m.room.create ", "m.room.topic "]);
    assert!(!fourth.is_initial(&room));
    assert_eq!(fourth.timeline(&room), [""; 0]);
    let fifth = slide(&server, &anna, &wanting(1, &both), Some(&fourth)).await;
    assert_eq!(fifth.rooms(), [""; 0]);
    // Members, where they are wanted lazily: who comes is told.
    let lazy = json!([["m.room.member", "$LAZY"]]);
    let sixth = slide(&server, &anna, &wanting(1, &lazy), Some(&fifth)).await;
    server.member(&anna, &room, &ben, wardstead_rooms::Membership::Invite).await;
    server.join(&ben, &room).await;
    let seventh = slide(&server, &anna, &wanting(1, &lazy), Some(&sixth)).await;
    assert!(seventh.state(&room).contains(&"m.room.member @ben".to_owned()));
    assert_eq!(seventh.room(&room)["joined_count"], 2);
}

/// What a room is called, and by whom it is called where it has no name.
#[tokio::test(start_paused = true)]
async fn names_and_heroes() {
    let server = server().await;
    let [anna, ben] = server.users(["anna", "ben"]).await;
    let room = server.room(&[&anna, &ben]).await;
    let name = |name: &str| crate::support::state("m.room.name", "", &json!({ "name": name }));
    let first = slide(&server, &anna, &list(0, 9, 5), None).await;
    assert_eq!(first.room(&room)["name"], json!(null));
    assert_eq!(first.room(&room)["heroes"], json!([{ "user_id": "@ben:example.org" }]));
    server.try_send(&anna, &room, name("Ward 3")).await.unwrap();
    let second = slide(&server, &anna, &list(0, 9, 5), Some(&first)).await;
    assert_eq!(second.room(&room)["name"], "Ward 3");
    assert_eq!(second.room(&room)["heroes"], json!(null));
    server.say(&anna, &room, "a").await;
    let third = slide(&server, &anna, &list(0, 9, 5), Some(&second)).await;
    assert!(third.room(&room).get("name").is_none(), "it is the same");
    server.try_send(&anna, &room, name("")).await.unwrap();
    let fourth = slide(&server, &anna, &list(0, 9, 5), Some(&third)).await;
    assert_eq!(fourth.room(&room).get("name"), Some(&json!(null)));
    assert_eq!(fourth.room(&room)["heroes"][0]["user_id"], "@ben:example.org");
}
