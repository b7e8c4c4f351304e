//! What a filter leaves out, and what it must not.

use ruma::OwnedRoomId;
use serde_json::{Value, json};
use wardstead_accounts::Session;

use crate::support::{Answer, Server, server};

struct Talk {
    server: Server,
    anna: Session,
    ben: Session,
    room: OwnedRoomId,
    other: OwnedRoomId,
    since: Answer,
}

/// Anna says something in two rooms, Ben something in the first, and Anna sets its topic.
async fn talk() -> Talk {
    let server = server().await;
    let [anna, ben] = server.users(["anna", "ben"]).await;
    let (room, other) = (server.room(&[&anna, &ben]).await, server.room(&[&anna, &ben]).await);
    let since = server.sync(&ben, None).await;
    server.say(&anna, &room, "a").await;
    server.say(&anna, &other, "a").await;
    server.say(&ben, &room, "b").await;
    server.topic(&anna, &room, "t").await;
    Talk { server, anna, ben, room, other, since }
}

impl Talk {
    async fn ask(&self, room_filter: Value) -> Answer {
        self.server.filtered(&self.ben, Some(&self.since), &json!({ "room": room_filter })).await
    }

    fn types(&self, answer: &Answer) -> Vec<String> {
        let events = answer.joined(&self.room).events();
        events.iter().map(|event| event["type"].as_str().unwrap().replace("m.room.", "")).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn rooms_types_and_senders() {
    let talk = talk().await;
    let (room, other) = (talk.room.as_str(), talk.other.as_str());
    assert_eq!(talk.ask(json!({ "rooms": [room] })).await.rooms("join"), [room]);
    assert_eq!(talk.ask(json!({ "not_rooms": [room] })).await.rooms("join"), [other]);
    assert!(talk.ask(json!({ "rooms": [] })).await.is_empty());
    for (filter, types) in [
        (json!({}), &["message", "message", "topic"][..]),
        (json!({ "types": ["m.room.message"] }), &["message", "message"]),
        (json!({ "types": ["m.room.t*"] }), &["topic"]),
        (json!({ "not_types": ["m.room.message"] }), &["topic"]),
        (json!({ "senders": [talk.ben.user_id] }), &["message"]),
        (json!({ "not_senders": [talk.ben.user_id] }), &["message", "topic"]),
        (json!({ "types": ["m.*"], "not_types": ["*"] }), &[]),
    ] {
        let answer = talk.ask(json!({ "timeline": filter })).await;
        assert_eq!(talk.types(&answer), types, "{filter}");
        assert!(!answer.joined(&talk.room).limited(), "{filter}: what a filter hides is no gap");
    }
}

/// A state change that the timeline's filter hides is told as state; the client would never hear of it otherwise.
#[tokio::test(start_paused = true)]
async fn hidden_state_is_told_as_state() {
    let talk = talk().await;
    let newest = talk.server.topic(&talk.anna, &talk.room, "t2").await;
    let messages = json!({ "types": ["m.room.message"] });
    let answer = talk.ask(json!({ "timeline": messages })).await;
    assert_eq!(answer.joined(&talk.room).state_ids(), [newest.to_string()], "the newest of its key, once");
    let answer = talk.ask(json!({ "timeline": messages, "state": { "not_types": ["m.room.topic"] } })).await;
    assert!(answer.joined(&talk.room).state().is_empty(), "unless the filter of state hides it too");
    // In a gap the key's older event stands in the state before the timeline; the newer one takes its place.
    talk.server.say(&talk.anna, &talk.room, "later").await;
    let answer = talk.ask(json!({ "timeline": { "types": ["m.room.message"], "limit": 2 } })).await;
    assert_eq!(answer.joined(&talk.room).state_ids(), [newest.to_string()]);
    assert_eq!(talk.types(&answer), ["message"]);
    assert!(answer.joined(&talk.room).limited());
}

#[tokio::test(start_paused = true)]
async fn state_has_its_own_filter() {
    let talk = talk().await;
    let filter = json!({ "room": { "timeline": { "limit": 1 }, "state": { "types": ["m.room.create"] } } });
    let answer = talk.server.filtered(&talk.ben, None, &filter).await;
    assert_eq!(answer.joined(&talk.room).state_events().len(), 1);
    assert_eq!(talk.types(&answer), ["topic"]);
    assert_eq!(answer.joined(&talk.room).0["summary"]["m.joined_member_count"], 2, "the summary does not suffer");
}
