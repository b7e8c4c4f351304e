//! What a filter leaves out, and what it must not.

use ruma::OwnedRoomId;
use serde_json::{Value, json};
use wardstead_accounts::Session;

use crate::support::{Answer, Server, raw, server};

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
    let answer = talk.ask(json!({ "timeline": { "types": ["m.room.message"], "limit": 1 } })).await;
    assert_eq!(answer.joined(&talk.room).state_ids(), [newest.to_string()]);
    assert_eq!(talk.types(&answer), ["message"]);
    assert!(answer.joined(&talk.room).limited());
}

/// What a filter leaves out takes no place.
#[tokio::test(start_paused = true)]
async fn the_limit_counts_what_is_wanted() {
    let talk = talk().await;
    let Talk { server, anna, ben, room, since, .. } = &talk;
    server.say_many(anna, room, 40).await;
    let ask = async |limit: usize, since: Option<&Answer>| {
        let timeline = json!({ "senders": [ben.user_id], "limit": limit });
        server.filtered(ben, since, &json!({ "room": { "timeline": timeline } })).await
    };
    let answer = ask(1, Some(since)).await;
    assert_eq!((talk.types(&answer), answer.joined(room).limited()), (vec!["message".to_owned()], false));
    server.say(ben, room, "b2").await;
    server.say_many(anna, room, 3).await;
    let answer = ask(1, Some(since)).await;
    assert_eq!((talk.types(&answer).len(), answer.joined(room).limited()), (1, true), "another one is wanted");
    let page = server.back(ben, room, answer.joined(room).prev_batch(), Some(since.next()), 100).await;
    assert_eq!(page.len(), 43, "all that was said before it, whoever said it");
    let answer = ask(2, Some(since)).await;
    assert_eq!((talk.types(&answer).len(), answer.joined(room).limited()), (2, false));
    assert_eq!(talk.types(&ask(10, None).await), ["member", "message", "message"]);
    // A client that wants state alone pages back from the end.
    let answer = ask(0, Some(since)).await;
    assert!(answer.joined(room).limited() && answer.joined(room).events().is_empty());
    let newest = server.back(ben, room, answer.joined(room).prev_batch(), None, 100).await;
    assert_eq!(newest[..4], server.back(ben, room, server.sync(ben, None).await.next(), None, 4).await[..4]);
}

/// Who comes into a room and filters its timeline is not told that it begins there.
#[tokio::test(start_paused = true)]
async fn a_filtered_room_that_is_new() {
    let server = server().await;
    let [anna, ben] = server.users(["anna", "ben"]).await;
    let room = server.open_room(&anna, "shared").await;
    server.say_many(&anna, &room, 3).await;
    let since = server.sync(&ben, None).await;
    server.join(&ben, &room).await;
    let filter = json!({ "room": { "timeline": { "types": ["m.room.message"] }, "state": { "types": [] } } });
    let answer = server.filtered(&ben, Some(&since), &filter).await;
    assert_eq!((answer.joined(&room).events().len(), answer.joined(&room).limited()), (3, true));
    let answer = server.sync(&ben, Some(&since)).await;
    assert!(!answer.joined(&room).limited(), "the whole room");
}

/// A timeline of which nothing is wanted is no gap.
#[tokio::test(start_paused = true)]
async fn no_timeline_at_all() {
    let talk = talk().await;
    for filter in [json!({ "types": [] }), json!({ "not_rooms": [talk.room] }), json!({ "not_types": ["*"] })] {
        let answer = talk.ask(json!({ "timeline": filter })).await;
        let joined = answer.joined(&talk.room);
        assert!(joined.events().is_empty() && !joined.limited(), "{filter}");
        assert_eq!(joined.state_events().len(), 1, "{filter}: the topic");
    }
}

#[tokio::test(start_paused = true)]
async fn fields_and_form_of_events() {
    let talk = talk().await;
    let Talk { server, anna, ben, room, since, .. } = &talk;
    let secret = server.say(anna, room, "a secret").await;
    server.rooms.redact(anna, room, &secret, None, "t1".into()).await.unwrap();
    let mut filter = json!({ "event_fields": ["content.body", "type"], "room": { "timeline": { "limit": 50 } } });
    let answer = server.filtered(ben, Some(since), &filter).await;
    assert_eq!(answer.joined(room).events()[0], json!({ "content": { "body": "a" }, "type": "m.room.message" }));
    filter["event_fields"].take();
    filter["event_format"] = "federation".into();
    for since in [Some(since), None] {
        let answer = server.filtered(ben, since, &filter).await;
        for event in answer.joined(room).events() {
            for name in ["auth_events", "prev_events", "hashes", "signatures", "depth", "event_id", "unsigned"] {
                assert!(event.get(name).is_some(), "{name} of {event}");
            }
        }
        assert!(!answer.0.to_string().contains("a secret"), "what was redacted stays hidden");
    }
}

/// Receipts of some, account data of a type.
#[tokio::test(start_paused = true)]
async fn receipts_by_sender() {
    let talk = talk().await;
    let Talk { server, anna, ben, room, since, .. } = &talk;
    let said = server.say(anna, room, "read this").await;
    server.read(anna, room, &said).await;
    server.read(ben, room, &said).await;
    let readers = async |ephemeral: Value| {
        let answer = server.filtered(ben, Some(since), &json!({ "room": { "ephemeral": ephemeral } })).await;
        answer.joined(room).receipts().into_keys().map(|(_, user)| user).collect::<Vec<_>>()
    };
    assert_eq!(readers(json!({})).await.len(), 2);
    assert_eq!(readers(json!({ "not_senders": [ben.user_id] })).await, [anna.user_id.as_str()]);
    assert_eq!(readers(json!({ "senders": [ben.user_id] })).await, [ben.user_id.as_str()]);
    assert_eq!(readers(json!({ "types": ["m.typing"] })).await.len(), 0);
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

/// A limit of a section that cannot be paged leaves nothing out: neither of a first answer nor of a later one.
#[tokio::test(start_paused = true)]
async fn limits_of_other_sections_leave_nothing_out() {
    let server = server().await;
    let [anna, bert, carl] = server.users(["anna", "bert", "carl"]).await;
    let room = server.room(&[&anna, &bert, &carl]).await;
    let short = server.rooms.user_rooms(anna.user).await.unwrap()[0].room;
    let one = json!({ "limit": 1 });
    let room_filter = json!({ "state": one, "ephemeral": one, "account_data": one });
    let filter = json!({ "presence": one, "account_data": one, "room": room_filter });
    let mut since = None;
    for round in 0..2 {
        for event_type in ["org.a", "org.b"] {
            let content = raw(&json!({ "round": round }));
            server.accounts.set_account_data(anna.user, 0, event_type, &content).await.unwrap();
            server.accounts.set_account_data(anna.user, short, event_type, &content).await.unwrap();
        }
        server.topic(&anna, &room, &format!("topic {round}")).await;
        let said = server.say_many(&anna, &room, 30).await;
        for reader in [&bert, &carl] {
            server.read(reader, &room, &said[0]).await;
        }
        let all = server.sync(&anna, since.as_ref()).await;
        let limited = server.filtered(&anna, since.as_ref(), &filter).await;
        assert_eq!(limited.said(), all.said());
        let told = &all.0["rooms"]["join"][room.as_str()];
        let receipts = &told["ephemeral"]["events"][0]["content"][said[0].as_str()]["m.read"];
        assert_eq!(receipts.as_object().unwrap().len(), 2, "{told}");
        assert_eq!(told["account_data"]["events"].as_array().unwrap().len(), 2);
        since = Some(all);
    }
}
