//! `/sync` over HTTP.

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
async fn malformed_questions() {
    let server = Server::new().await;
    let (anna, bert) = (server.token("anna").await, server.token("bert").await);
    for query in ["since=nonsense", "since=", "timeout=-1", "timeout=soon", "full_state=1", "since=a&since=b"] {
        server.get(&format!("{V3}/sync?{query}"), &anna).await.expect_error(400, "M_INVALID_PARAM");
    }
    let theirs = server.get(&format!("{V3}/sync"), &bert).await.ok()["next_batch"].as_str().unwrap().to_owned();
    server.get(&format!("{V3}/sync?since={theirs}"), &anna).await.expect_error(400, "M_INVALID_PARAM");
    // Presence is not kept; saying what one's own is does no harm.
    server.get(&format!("{V3}/sync?set_presence=offline"), &anna).await.ok();
}
