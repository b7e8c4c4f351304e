//! Account data and tags over HTTP.

use http::Method;
use serde_json::{Value, json};
use wardstead_limits::own_data as limits;

use crate::server::{Answer, Server, encoded};

const V3: &str = "/_matrix/client/v3";
const MSC3391: &str = "/_matrix/client/unstable/org.matrix.msc3391";

async fn room(server: &Server, token: &str) -> String {
    let made = server.post(&format!("{V3}/createRoom"), token, &json!({ "preset": "public_chat" })).await.ok();
    made["room_id"].as_str().unwrap().to_owned()
}

fn global(event_type: &str) -> String {
    format!("/user/@anna:example.org/account_data/{event_type}")
}

fn of_room(room: &str, event_type: &str) -> String {
    format!("/user/@anna:example.org/rooms/{}/account_data/{event_type}", encoded(room))
}

async fn delete(server: &Server, token: &str, path: &str) -> Answer {
    server.ask(Method::DELETE, path, token, "").await
}

async fn sync(server: &Server, token: &str, since: Option<&Value>) -> Value {
    let since = since.map(|since| format!("?since={}", since["next_batch"].as_str().unwrap())).unwrap_or_default();
    server.get(&format!("{V3}/sync{since}"), token).await.ok()
}

/// For no room and for a room: set, read, told, set again, removed in both ways, told, gone.
#[tokio::test]
async fn the_life_of_account_data() {
    let server = Server::new().await;
    let anna = server.token("anna").await;
    let room = room(&server, &anna).await;
    for path in [global("org.example.a"), of_room(&room, "org.example.a")] {
        let shown = |sync: &Value| {
            let all = if path.contains("/rooms/") { &sync["rooms"]["join"][&room] } else { sync };
            let events = all["account_data"]["events"].as_array().into_iter().flatten();
            let mut found = events.filter(|event| event["type"] == "org.example.a");
            let first = found.next().map(|event| event["content"].clone());
            assert!(found.next().is_none(), "told twice");
            first
        };
        let (path, unstable) = (format!("{V3}{path}"), format!("{MSC3391}{path}"));
        server.get(&path, &anna).await.expect_error(404, "M_NOT_FOUND");
        let mut since = sync(&server, &anna, None).await;
        for (content, in_one_go) in [(json!({ "n": 1.5 }), true), (json!({ "n": [null] }), false)] {
            assert_eq!(server.put(&path, &anna, &content).await.ok(), json!({}));
            assert_eq!(server.get(&path, &anna).await.ok(), content);
            since = sync(&server, &anna, Some(&since)).await;
            assert_eq!(shown(&since), Some(content.clone()));
            assert_eq!(shown(&sync(&server, &anna, None).await), Some(content));
            let removed = if in_one_go {
                delete(&server, &anna, &unstable).await
            } else {
                server.put(&path, &anna, &json!({})).await
            };
            assert_eq!(removed.ok(), json!({}));
            server.get(&path, &anna).await.expect_error(404, "M_NOT_FOUND");
            since = sync(&server, &anna, Some(&since)).await;
            assert_eq!(shown(&since), Some(json!({})), "what was removed is told as an empty object");
            assert_eq!(shown(&sync(&server, &anna, None).await), None, "and to new clients not at all");
        }
        // What is not there is removed without a trace.
        delete(&server, &anna, &unstable).await.ok();
        assert_eq!(shown(&sync(&server, &anna, Some(&since)).await), None);
    }
}

#[tokio::test]
async fn account_data_is_ones_own() {
    let server = Server::new().await;
    let (anna, bert) = (server.token("anna").await, server.token("bert").await);
    let room = room(&server, &anna).await;
    for path in [global("a"), of_room(&room, "a")] {
        let (stable, unstable) = (format!("{V3}{path}"), format!("{MSC3391}{path}"));
        server.put(&stable, &anna, &json!({ "b": 1 })).await.ok();
        server.get(&stable, &bert).await.expect_error(403, "M_FORBIDDEN");
        server.put(&stable, &bert, &json!({ "b": 2 })).await.expect_error(403, "M_FORBIDDEN");
        delete(&server, &bert, &unstable).await.expect_error(403, "M_FORBIDDEN");
        assert_eq!(server.get(&stable, &anna).await.ok(), json!({ "b": 1 }));
    }
    let told = sync(&server, &bert, None).await;
    assert_eq!(
        told["account_data"]["events"]
            .as_array()
            .map_or(0, |events| events.iter().filter(|e| e["type"] == "a").count()),
        0
    );
}

#[tokio::test]
async fn what_the_server_keeps_is_not_set() {
    let server = Server::new().await;
    let anna = server.token("anna").await;
    let room = room(&server, &anna).await;
    for event_type in ["m.fully_read", "m.push_rules"] {
        for path in [global(event_type), of_room(&room, event_type)] {
            server.put(&format!("{V3}{path}"), &anna, &json!({ "a": 1 })).await.expect_error(405, "M_BAD_JSON");
            delete(&server, &anna, &format!("{MSC3391}{path}")).await.expect_error(405, "M_BAD_JSON");
        }
    }
}

#[tokio::test]
async fn large_account_data_is_refused() {
    let server = Server::new().await;
    let anna = server.token("anna").await;
    let path = format!("{V3}{}", global("a"));
    let large = json!({ "a": "x".repeat(limits::ACCOUNT_DATA_BYTES) });
    server.put(&path, &anna, &large).await.expect_error(413, "M_TOO_LARGE");
    server.put(&path, &anna, &json!({ "a": "x".repeat(limits::ACCOUNT_DATA_BYTES - 16) })).await.ok();
    let long = format!("{V3}{}", global(&"x".repeat(limits::ACCOUNT_DATA_TYPE_BYTES + 1)));
    server.put(&long, &anna, &json!({ "a": 1 })).await.expect_error(400, "M_INVALID_PARAM");
}

/// Rooms to which the user was invited, or which they left, are rooms of theirs; all others are one and the same.
#[tokio::test]
async fn account_data_of_rooms_that_concern_the_user() {
    let server = Server::new().await;
    let (anna, bert) = (server.token("anna").await, server.token("bert").await);
    let room = room(&server, &bert).await;
    let path = format!("{V3}{}", of_room(&room, "a"));
    let nowhere = format!("{V3}{}", of_room("!nowhere:example.org", "a"));
    for path in [&path, &nowhere] {
        server.put(path, &anna, &json!({ "b": 1 })).await.expect_error(403, "M_FORBIDDEN");
        server.get(path, &anna).await.expect_error(404, "M_NOT_FOUND");
    }
    let invite = json!({ "user_id": "@anna:example.org" });
    server.post(&format!("{V3}/rooms/{}/invite", encoded(&room)), &bert, &invite).await.ok();
    server.put(&path, &anna, &json!({ "b": 1 })).await.ok();
    let first = sync(&server, &anna, None).await;
    server.post(&format!("{V3}/rooms/{}/join", encoded(&room)), &anna, &json!({})).await.ok();
    let joined = sync(&server, &anna, Some(&first)).await;
    assert_eq!(
        joined["rooms"]["join"][&room]["account_data"]["events"],
        json!([{ "type": "a", "content": { "b": 1 } }])
    );
    server.post(&format!("{V3}/rooms/{}/leave", encoded(&room)), &anna, &json!({})).await.ok();
    server.put(&path, &anna, &json!({ "b": 2 })).await.ok();
    let left = sync(&server, &anna, Some(&joined)).await;
    assert_eq!(left["rooms"]["leave"][&room]["account_data"]["events"][0]["content"], json!({ "b": 2 }));
    let filter = encoded(&json!({ "room": { "include_leave": true } }).to_string());
    let all = server.get(&format!("{V3}/sync?filter={filter}"), &anna).await.ok();
    assert_eq!(all["rooms"]["leave"][&room]["account_data"]["events"][0]["content"], json!({ "b": 2 }));
}

#[tokio::test]
async fn tags_are_set_listed_told_and_taken_away() {
    let server = Server::new().await;
    let anna = server.token("anna").await;
    let room = room(&server, &anna).await;
    let tags = format!("{V3}/user/@anna:example.org/rooms/{}/tags", encoded(&room));
    assert_eq!(server.get(&tags, &anna).await.ok(), json!({ "tags": {} }));
    let since = sync(&server, &anna, None).await;
    server.put(&format!("{tags}/m.favourite"), &anna, &json!({ "order": 0.1, "x": 1 })).await.ok();
    server.put(&format!("{tags}/u.W%C3%B6rk%20%2F"), &anna, &json!({})).await.ok();
    let both = json!({ "tags": { "m.favourite": { "order": 0.1, "x": 1 }, "u.Wörk /": {} } });
    assert_eq!(server.get(&tags, &anna).await.ok(), both);
    let told = sync(&server, &anna, Some(&since)).await;
    let events = &told["rooms"]["join"][&room]["account_data"]["events"];
    assert_eq!(*events, json!([{ "type": "m.tag", "content": both }]));
    delete(&server, &anna, &format!("{tags}/m.favourite")).await.ok();
    delete(&server, &anna, &format!("{tags}/m.favourite")).await.ok();
    assert_eq!(server.get(&tags, &anna).await.ok(), json!({ "tags": { "u.Wörk /": {} } }));
    server.put(&format!("{tags}/u.x"), &anna, &json!({ "order": "0.1" })).await.expect_error(400, "M_BAD_JSON");
    let long = "x".repeat(limits::ACCOUNT_DATA_TYPE_BYTES + 1);
    server.put(&format!("{tags}/{long}"), &anna, &json!({})).await.expect_error(400, "M_INVALID_PARAM");
    let bert = server.token("bert").await;
    server.get(&tags, &bert).await.expect_error(403, "M_FORBIDDEN");
    server.put(&format!("{tags}/u.x"), &bert, &json!({})).await.expect_error(403, "M_FORBIDDEN");
    delete(&server, &bert, &format!("{tags}/u.x")).await.expect_error(403, "M_FORBIDDEN");
}

/// What one node was told another one knows at once.
#[tokio::test]
async fn two_nodes() {
    let server = Server::new().await;
    let anna = server.token("anna").await;
    let other = server.another(2).await;
    let path = format!("{V3}{}", global("a"));
    let since = sync(&other, &anna, None).await;
    server.put(&path, &anna, &json!({ "b": 1 })).await.ok();
    assert_eq!(other.get(&path, &anna).await.ok(), json!({ "b": 1 }));
    let told = sync(&other, &anna, Some(&since)).await;
    assert_eq!(told["account_data"]["events"], json!([{ "type": "a", "content": { "b": 1 } }]));
    other.put(&path, &anna, &json!({})).await.ok();
    server.get(&path, &anna).await.expect_error(404, "M_NOT_FOUND");
}
