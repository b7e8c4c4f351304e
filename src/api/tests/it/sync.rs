//! `/sync` over HTTP.

use std::{pin::pin, time::Duration};

use serde_json::{Value, json};

use crate::server::{Server, encoded};

const V3: &str = "/_matrix/client/v3";

async fn room_with_a_message(server: &Server, token: &str) -> String {
    let room = server.post(&format!("{V3}/createRoom"), token, &json!({})).await.ok();
    let room = room["room_id"].as_str().unwrap().to_owned();
    say(server, token, &room, "1").await;
    room
}

async fn say(server: &Server, token: &str, room: &str, txn_id: &str) {
    let path = format!("{V3}/rooms/{}/send/m.room.message/{txn_id}", encoded(room));
    server.put(&path, token, &json!({ "msgtype": "m.text", "body": txn_id })).await.ok();
}

fn bodies(sync: &Value, room: &str) -> Vec<String> {
    let events = sync["rooms"]["join"][room]["timeline"]["events"].as_array().cloned().unwrap_or_default();
    let messages = events.iter().filter(|event| event["type"] == "m.room.message");
    messages.map(|event| event["content"]["body"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn initial_then_incremental() {
    let server = Server::new().await;
    let token = server.token("anna").await;
    let room = room_with_a_message(&server, &token).await;
    let first = server.get(&format!("{V3}/sync"), &token).await.ok();
    assert_eq!(bodies(&first, &room), ["1"]);
    let since = first["next_batch"].as_str().unwrap();
    let nothing = server.get(&format!("{V3}/sync?since={}&timeout=0", encoded(since)), &token).await.ok();
    assert_eq!(bodies(&nothing, &room), [""; 0]);
    say(&server, &token, &room, "2").await;
    let second = server.get(&format!("{V3}/sync?since={}&timeout=30000", encoded(since)), &token).await.ok();
    assert_eq!(bodies(&second, &room), ["2"]);
}

/// A long-poll ends when something happens, and not before: what was said after it began is what it tells.
#[tokio::test]
async fn a_long_poll_is_woken_by_a_message() {
    let server = Server::new().await;
    let token = server.token("anna").await;
    let room = room_with_a_message(&server, &token).await;
    let first = server.get(&format!("{V3}/sync"), &token).await.ok();
    let since = encoded(first["next_batch"].as_str().unwrap());
    let path = format!("{V3}/sync?since={since}&timeout=20000");
    let mut waiting = pin!(server.get(&path, &token));
    assert!(futures::poll!(&mut waiting).is_pending());
    say(&server, &token, &room, "2").await;
    assert_eq!(bodies(&waiting.await.ok(), &room), ["2"]);
}

/// A server that shuts down answers who waits; the token that it gives loses nothing.
#[tokio::test]
async fn a_long_poll_ends_with_the_server() {
    let server = Server::new().await;
    let token = server.token("anna").await;
    let room = room_with_a_message(&server, &token).await;
    let first = server.get(&format!("{V3}/sync"), &token).await.ok();
    let since = encoded(first["next_batch"].as_str().unwrap());
    let path = format!("{V3}/sync?since={since}&timeout=20000");
    let mut waiting = pin!(server.get(&path, &token));
    // Again and again: the wait that is to be ended may not have begun.
    let answer = loop {
        tokio::select! {
            answer = &mut waiting => break answer,
            () = tokio::time::sleep(Duration::from_millis(1)) => server.store.end_waits(),
        }
    };
    let since = encoded(answer.ok()["next_batch"].as_str().unwrap());
    say(&server, &token, &room, "2").await;
    let next = server.another(2).await.get(&format!("{V3}/sync?since={since}"), &token).await.ok();
    assert_eq!(bodies(&next, &room), ["2"]);
}

#[tokio::test]
async fn invitations_and_departures() {
    let server = Server::new().await;
    let (anna, bert) = (server.token("anna").await, server.token("bert").await);
    let room = room_with_a_message(&server, &anna).await;
    let path = |rest: &str| format!("{V3}/rooms/{}/{rest}", encoded(&room));
    let mut since = String::new();
    let mut sync = async || {
        let json = server.get(&format!("{V3}/sync?{since}"), &bert).await.ok();
        since = format!("since={}", encoded(json["next_batch"].as_str().unwrap()));
        json["rooms"].clone()
    };
    assert_eq!(sync().await, Value::Null);
    server.post(&path("invite"), &anna, &json!({ "user_id": "@bert:example.org" })).await.ok();
    assert!(sync().await["invite"][&room]["invite_state"]["events"].is_array());
    server.post(&path("join"), &bert, &json!({})).await.ok();
    assert!(sync().await["join"][&room]["timeline"]["prev_batch"].is_string());
    server.post(&path("leave"), &bert, &json!({})).await.ok();
    assert!(sync().await["leave"][&room]["timeline"]["events"].is_array());
    assert_eq!(sync().await, Value::Null);
}

/// Inline, by id, and what is neither.
#[tokio::test]
async fn filters_are_taken_inline_and_by_id() {
    let server = Server::new().await;
    let token = server.token("anna").await;
    let room = room_with_a_message(&server, &token).await;
    let filter = json!({ "room": { "timeline": { "types": ["org.example.none"] } } });
    let id = server.post(&format!("{V3}/user/@anna:example.org/filter"), &token, &filter).await.ok();
    let id = id["filter_id"].as_str().unwrap().to_owned();
    for filter in [filter.to_string(), id] {
        let sync = server.get(&format!("{V3}/sync?filter={}", encoded(&filter)), &token).await.ok();
        assert_eq!(bodies(&sync, &room), [""; 0]);
    }
    for filter in ["{", r#"{"room":1}"#, "unknown", "[]"] {
        let answer = server.get(&format!("{V3}/sync?filter={}", encoded(filter)), &token).await;
        answer.expect_error(400, "M_INVALID_PARAM");
    }
}

#[tokio::test]
async fn the_state_at_the_end_by_both_names() {
    let server = Server::new().await;
    let token = server.token("anna").await;
    let room = room_with_a_message(&server, &token).await;
    for (query, name) in [
        ("", "state"),
        ("use_state_after=false", "state"),
        ("use_state_after=true", "state_after"),
        ("org.matrix.msc4222.use_state_after=true", "org.matrix.msc4222.state_after"),
        ("use_state_after=true&org.matrix.msc4222.use_state_after=true", "state_after"),
    ] {
        let sync = server.get(&format!("{V3}/sync?{query}"), &token).await.ok();
        let joined = &sync["rooms"]["join"][&room];
        let told: Vec<&String> = joined.as_object().unwrap().keys().filter(|name| name.contains("state")).collect();
        assert_eq!(told, [name], "{query}");
        assert!(joined[name]["events"].is_array(), "{query}");
    }
    server.get(&format!("{V3}/sync?use_state_after=1"), &token).await.expect_error(400, "M_INVALID_PARAM");
}

#[tokio::test]
async fn malformed_questions() {
    let server = Server::new().await;
    let (anna, bert) = (server.token("anna").await, server.token("bert").await);
    for query in ["since=nonsense", "since=", "timeout=-1", "timeout=soon", "full_state=1", "since=a&since=b"] {
        server.get(&format!("{V3}/sync?{query}"), &anna).await.expect_error(400, "M_INVALID_PARAM");
    }
    let theirs = server.get(&format!("{V3}/sync"), &bert).await.ok()["next_batch"].as_str().unwrap().to_owned();
    let answer = server.get(&format!("{V3}/sync?since={theirs}"), &anna).await.ok();
    assert_ne!(answer["next_batch"], theirs, "a token of another user is answered as to a new client, with one's own");
    server.get(&format!("{V3}/sync?set_presence=asleep"), &anna).await.expect_error(400, "M_INVALID_PARAM");
}
