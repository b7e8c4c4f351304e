//! Whose devices changed, over HTTP.

use serde_json::{Value, json};

use crate::server::Server;

async fn sync(server: &Server, token: &str, since: &Value) -> Value {
    let since = since["next_batch"].as_str().unwrap();
    server.get(&format!("/_matrix/client/v3/sync?since={since}"), token).await.ok()
}

async fn first(server: &Server, token: &str) -> Value {
    server.get("/_matrix/client/v3/sync", token).await.ok()
}

async fn public_room(server: &Server, token: &str) -> String {
    let room = server.post("/_matrix/client/v3/createRoom", token, &json!({ "preset": "public_chat" })).await.ok();
    room["room_id"].as_str().unwrap().to_owned()
}

async fn join(server: &Server, token: &str, room: &str) {
    server.post(&format!("/_matrix/client/v3/join/{room}"), token, &json!({})).await.ok();
}

async fn changes(server: &Server, token: &str, from: &Value, to: &Value) -> Value {
    let [from, to] = [from, to].map(|answer| answer["next_batch"].as_str().unwrap());
    server.get(&format!("/_matrix/client/v3/keys/changes?from={from}&to={to}"), token).await.ok()
}

#[tokio::test]
async fn who_comes_changes_and_goes() {
    let server = Server::new().await;
    let (anna, ben) = (server.token("anna").await, server.token("ben").await);
    let room = public_room(&server, &anna).await;
    let alone = first(&server, &anna).await;
    assert!(alone["device_lists"].is_null(), "a new client asks about everybody");
    let ben_before = first(&server, &ben).await;
    join(&server, &ben, &room).await;
    let together = sync(&server, &anna, &alone).await;
    assert_eq!(together["device_lists"], json!({ "changed": ["@ben:example.org"] }));
    let ben_together = sync(&server, &ben, &ben_before).await;
    let changed = ben_together["device_lists"]["changed"].as_array().unwrap();
    assert!(changed.contains(&json!("@anna:example.org")), "{changed:?}");

    let again = sync(&server, &anna, &together).await;
    assert!(again["device_lists"].is_null());

    server.post(&format!("/_matrix/client/v3/rooms/{room}/leave"), &ben, &json!({})).await.ok();
    let apart = sync(&server, &anna, &again).await;
    assert_eq!(apart["device_lists"], json!({ "left": ["@ben:example.org"] }));
    let ben_apart = sync(&server, &ben, &ben_together).await;
    assert_eq!(ben_apart["device_lists"], json!({ "left": ["@anna:example.org"] }));
    // keys/changes tells the same over any range, on any node.
    let node = server.another(2).await;
    assert_eq!(changes(&node, &anna, &again, &apart).await, json!({ "changed": [], "left": ["@ben:example.org"] }));
    assert_eq!(changes(&node, &anna, &alone, &together).await, json!({ "changed": ["@ben:example.org"], "left": [] }));
    assert_eq!(changes(&node, &anna, &apart, &alone).await, json!({ "changed": [], "left": [] }));
    let path = "/_matrix/client/v3/keys/changes";
    let [of_anna, of_ben] = [&alone, &ben_before].map(|answer| answer["next_batch"].as_str().unwrap());
    for (from, to) in [(of_ben, of_anna), (of_anna, of_ben), ("x", of_anna), (of_anna, "x")] {
        server.get(&format!("{path}?from={from}&to={to}"), &anna).await.expect_error(400, "M_INVALID_PARAM");
    }
    server.get(&format!("{path}?from={of_anna}"), &anna).await.expect_error(400, "M_MISSING_PARAM");
}

/// Each answer says how many one-time keys the device has.
#[tokio::test]
async fn answers_tell_the_counts_of_keys() {
    let server = Server::new().await;
    let anna = server.token("anna").await;
    let answer = first(&server, &anna).await;
    let told = |answer: &Value| {
        [answer["device_one_time_keys_count"].clone(), answer["device_unused_fallback_key_types"].clone()]
    };
    let none = [json!({ "signed_curve25519": 0 }), json!([])];
    assert_eq!(told(&answer), none);
    assert_eq!(told(&sync(&server, &anna, &answer).await), none);
}
