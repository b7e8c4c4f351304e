//! Typing and presence over HTTP.

use std::pin::pin;

use serde_json::{Value, json};
use wardstead_limits::ephemeral as limits;

use crate::server::{Server, encoded};

const V3: &str = "/_matrix/client/v3";

/// A room of two, with their tokens.
async fn two_in_a_room(server: &Server) -> (String, String, String) {
    let (anna, bert) = (server.token("anna").await, server.token("bert").await);
    let room = server.post(&format!("{V3}/createRoom"), &anna, &json!({ "preset": "public_chat" })).await.ok();
    let room = room["room_id"].as_str().unwrap().to_owned();
    server.post(&format!("{V3}/rooms/{}/join", encoded(&room)), &bert, &json!({})).await.ok();
    (room, anna, bert)
}

fn typing(room: &str, user: &str) -> String {
    format!("{V3}/rooms/{}/typing/{}", encoded(room), encoded(user))
}

fn status(user: &str) -> String {
    format!("{V3}/presence/{}/status", encoded(user))
}

async fn sync(server: &Server, token: &str, since: &Value, rest: &str) -> Value {
    let since = since["next_batch"].as_str().map(|since| format!("since={}&", encoded(since))).unwrap_or_default();
    server.get(&format!("{V3}/sync?{since}{rest}"), token).await.ok()
}

#[tokio::test]
async fn typing_is_seen_and_stops() {
    let server = Server::without_presence().await;
    let (room, anna, bert) = two_in_a_room(&server).await;
    let first = sync(&server, &bert, &Value::Null, "").await;
    let started = json!({ "typing": true, "timeout": 30_000 });
    server.put(&typing(&room, "@anna:example.org"), &anna, &started).await.ok();
    let seen = sync(&server, &bert, &first, "timeout=30000").await;
    let event = json!({ "type": "m.typing", "content": { "user_ids": ["@anna:example.org"] } });
    assert_eq!(seen["rooms"]["join"][&room], json!({ "ephemeral": { "events": [event] } }));
    assert_eq!(sync(&server, &bert, &seen, "timeout=0").await["rooms"], Value::Null);
    // The bound of the timeout counts where none is given.
    server.put(&typing(&room, "@anna:example.org"), &anna, &json!({ "typing": true })).await.ok();
    server.clock.advance_ms(limits::TYPING_TIMEOUT_MS);
    let over = sync(&server, &bert, &seen, "timeout=30000").await;
    assert_eq!(over["rooms"]["join"][&room]["ephemeral"]["events"][0]["content"]["user_ids"], json!([]));
    server.put(&typing(&room, "@anna:example.org"), &anna, &started).await.ok();
    server.put(&typing(&room, "@anna:example.org"), &anna, &json!({ "typing": false })).await.ok();
    assert_eq!(sync(&server, &bert, &over, "timeout=0").await["rooms"], Value::Null);
}

#[tokio::test]
async fn who_may_type() {
    let server = Server::new().await;
    let (room, anna, bert) = two_in_a_room(&server).await;
    let cora = server.token("cora").await;
    let types = json!({ "typing": true, "timeout": 1_000 });
    server.put(&typing(&room, "@bert:example.org"), &anna, &types).await.expect_error(403, "M_FORBIDDEN");
    server.put(&typing(&room, "@cora:example.org"), &cora, &types).await.expect_error(403, "M_FORBIDDEN");
    server.put(&typing("!none:example.org", "@anna:example.org"), &anna, &types).await.expect_error(403, "M_FORBIDDEN");
    server.post(&format!("{V3}/rooms/{}/leave", encoded(&room)), &bert, &json!({})).await.ok();
    server.put(&typing(&room, "@bert:example.org"), &bert, &types).await.expect_error(403, "M_FORBIDDEN");
    let path = typing(&room, "@anna:example.org");
    server.put(&path, &anna, &json!({ "timeout": 1_000 })).await.expect_error(400, "M_MISSING_PARAM");
    for body in
        [json!({ "typing": 1 }), json!({ "typing": true, "timeout": -1 }), json!({ "typing": true, "timeout": "1" })]
    {
        server.put(&path, &anna, &body).await.expect_error(400, "M_BAD_JSON");
    }
    server.put(&path, &anna, &json!({ "typing": true, "timeout": u64::MAX })).await.ok();
}

/// Not even when they come back at once.
#[tokio::test]
async fn who_leaves_stops_typing() {
    let server = Server::without_presence().await;
    let (room, anna, bert) = two_in_a_room(&server).await;
    let types = json!({ "typing": true, "timeout": 60_000 });
    server.put(&typing(&room, "@bert:example.org"), &bert, &types).await.ok();
    let first = sync(&server, &anna, &Value::Null, "").await;
    let users = |sync: &Value| sync["rooms"]["join"][&room]["ephemeral"]["events"][0]["content"]["user_ids"].clone();
    assert_eq!(users(&first), json!(["@bert:example.org"]));
    server.post(&format!("{V3}/rooms/{}/leave", encoded(&room)), &bert, &json!({})).await.ok();
    server.post(&format!("{V3}/rooms/{}/join", encoded(&room)), &bert, &json!({})).await.ok();
    assert_eq!(users(&sync(&server, &anna, &first, "").await), json!([]));
}

#[tokio::test]
async fn presence_is_set_and_got() {
    let server = Server::new().await;
    let (_, anna, bert) = two_in_a_room(&server).await;
    let cora = server.token("cora").await;
    let path = status("@anna:example.org");
    assert_eq!(server.get(&path, &bert).await.ok(), json!({ "presence": "offline" }));
    let said = json!({ "presence": "unavailable", "status_msg": "in theatre" });
    server.put(&path, &anna, &said).await.ok();
    server.clock.advance_ms(5_000);
    for token in [&anna, &bert] {
        let expected = json!({
            "presence": "unavailable", "status_msg": "in theatre", "last_active_ago": 5_000, "currently_active": false
        });
        assert_eq!(server.get(&path, token).await.ok(), expected);
    }
    server.get(&path, &cora).await.expect_error(403, "M_FORBIDDEN");
    server.get(&status("@nobody:example.org"), &cora).await.expect_error(403, "M_FORBIDDEN");
    server.put(&path, &bert, &said).await.expect_error(403, "M_FORBIDDEN");
    server.put(&path, &anna, &json!({ "presence": "asleep" })).await.expect_error(400, "M_INVALID_PARAM");
    server.put(&path, &anna, &json!({ "status_msg": "x" })).await.expect_error(400, "M_MISSING_PARAM");
    let long = json!({ "presence": "online", "status_msg": "x".repeat(limits::PRESENCE_STATUS_BYTES + 1) });
    server.put(&path, &anna, &long).await.expect_error(413, "M_TOO_LARGE");
}

#[tokio::test]
async fn a_sync_shows_its_user_unless_it_says_otherwise() {
    let server = Server::new().await;
    let (_, anna, bert) = two_in_a_room(&server).await;
    let presence = async || server.get(&status("@anna:example.org"), &bert).await.ok()["presence"].clone();
    sync(&server, &anna, &Value::Null, "set_presence=offline").await;
    assert_eq!(presence().await, "offline");
    sync(&server, &anna, &Value::Null, "set_presence=unavailable").await;
    assert_eq!(presence().await, "unavailable");
    sync(&server, &anna, &Value::Null, "").await;
    assert_eq!(presence().await, "online");
    server.clock.advance_ms(5_000);
    let told = sync(&server, &bert, &Value::Null, "").await;
    let content = json!({ "presence": "online", "last_active_ago": 5_000, "currently_active": true });
    let event = json!({ "type": "m.presence", "sender": "@anna:example.org", "content": content });
    assert_eq!(told["presence"]["events"], json!([event]));
}

#[tokio::test]
async fn sending_and_typing_are_acts() {
    for types in [false, true] {
        let server = Server::new().await;
        let (room, anna, bert) = two_in_a_room(&server).await;
        let active_ago = async || server.get(&status("@anna:example.org"), &bert).await.ok()["last_active_ago"].clone();
        let first = sync(&server, &anna, &Value::Null, "").await;
        // A sync that waits keeps its user there.
        let since = encoded(first["next_batch"].as_str().unwrap());
        let path = format!("{V3}/sync?since={since}&timeout=300000");
        let mut waiting = pin!(server.get(&path, &anna));
        assert!(futures::poll!(&mut waiting).is_pending());
        server.clock.advance_ms(limits::PRESENCE_ACT_MS);
        assert_eq!(active_ago().await, limits::PRESENCE_ACT_MS);
        if types {
            server.put(&typing(&room, "@anna:example.org"), &anna, &json!({ "typing": true })).await.ok();
        } else {
            let send = format!("{V3}/rooms/{}/send/m.room.message/1", encoded(&room));
            server.put(&send, &anna, &json!({ "msgtype": "m.text", "body": "hello" })).await.ok();
        }
        assert_eq!(active_ago().await, 0);
    }
}

#[tokio::test]
async fn presence_that_is_switched_off() {
    let server = Server::without_presence().await;
    let (_, anna, bert) = two_in_a_room(&server).await;
    let path = status("@anna:example.org");
    server.put(&path, &anna, &json!({ "presence": "online", "status_msg": "here" })).await.ok();
    sync(&server, &anna, &Value::Null, "").await;
    assert_eq!(server.get(&path, &bert).await.ok(), json!({ "presence": "offline" }));
    server.clock.advance_ms(10_000);
    assert_eq!(sync(&server, &bert, &Value::Null, "").await["presence"], Value::Null);
}

/// Presence has the name and the picture that its user says to everybody, and a new one is told with it, on each node.
#[tokio::test]
async fn names_and_pictures_are_told_with_presence() {
    let server = Server::new().await;
    let (_, anna, bert) = two_in_a_room(&server).await;
    let set = async |key: &str, value: &str| {
        let path = format!("{V3}/profile/{}/{key}", encoded("@anna:example.org"));
        server.put(&path, &anna, &json!({ key: value })).await.ok();
    };
    set("displayname", "Dr. Anna").await;
    sync(&server, &anna, &Value::Null, "").await;
    server.clock.advance_ms(5_000);
    let first = sync(&server, &bert, &Value::Null, "").await;
    let named = |answer: &Value| {
        let content = &answer["presence"]["events"][0]["content"];
        json!([content["presence"], content["displayname"], content["avatar_url"]])
    };
    assert_eq!(named(&first), json!(["online", "Dr. Anna", null]));
    server.clock.advance_ms(5_000);
    let second = sync(&server, &bert, &first, "").await;
    assert_eq!(second["presence"], Value::Null);
    set("avatar_url", "mxc://example.org/anna").await;
    set("org.example.ward", "7").await;
    server.clock.advance_ms(5_000);
    let third = sync(&server, &bert, &second, "").await;
    assert_eq!(named(&third), json!(["online", "Dr. Anna", "mxc://example.org/anna"]));
    server.clock.advance_ms(5_000);
    assert_eq!(sync(&server, &bert, &third, "").await["presence"], Value::Null, "once");
}
