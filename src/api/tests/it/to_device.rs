//! Messages to devices, over HTTP.

use serde_json::{Value, json};

use crate::server::Server;

/// The device and the token of a new user.
async fn user(server: &Server, name: &str) -> (String, String) {
    let token = server.token(name).await;
    (device(server, &token).await, token)
}

async fn device(server: &Server, token: &str) -> String {
    server.get("/_matrix/client/v3/account/whoami", token).await.ok()["device_id"].as_str().unwrap().to_owned()
}

async fn another_device(server: &Server, name: &str) -> (String, String) {
    let body = json!({ "type": "m.login.password", "identifier": { "type": "m.id.user", "user": name }, "password": "correct horse" });
    let answer = server.post("/_matrix/client/v3/login", "", &body).await.ok();
    (answer["device_id"].as_str().unwrap().to_owned(), answer["access_token"].as_str().unwrap().to_owned())
}

async fn with_password(server: &Server, name: &str) -> (String, String) {
    let body = json!({ "username": name, "password": "correct horse", "auth": { "type": "m.login.dummy" } });
    let answer = server.post("/_matrix/client/v3/register", "", &body).await.ok();
    (answer["device_id"].as_str().unwrap().to_owned(), answer["access_token"].as_str().unwrap().to_owned())
}

async fn sync(server: &Server, token: &str, since: Option<&Value>) -> Value {
    let since = since.map(|answer| format!("?since={}", answer["next_batch"].as_str().unwrap())).unwrap_or_default();
    server.get(&format!("/_matrix/client/v3/sync{since}"), token).await.ok()
}

/// Bodies of the messages of an answer.
fn bodies(answer: &Value) -> Vec<&str> {
    let events = answer["to_device"]["events"].as_array().into_iter().flatten();
    events.map(|event| event["content"]["body"].as_str().unwrap()).collect()
}

fn to(user: &str, device: &str, body: &str) -> Value {
    json!({ "messages": { format!("@{user}:example.org"): { device: { "body": body } } } })
}

#[tokio::test]
async fn a_message_reaches_its_device_once_acknowledged_it_is_gone() {
    let server = Server::new().await;
    let (phone, anna) = user(&server, "anna").await;
    let (_, ben) = user(&server, "ben").await;
    let path = "/_matrix/client/v3/sendToDevice/m.room_key_request/txn";
    for _ in 0..2 {
        // A request that is repeated is carried out once.
        assert_eq!(server.put(path, &ben, &to("anna", &phone, "one")).await.ok(), json!({}));
    }
    let first = sync(&server, &anna, None).await;
    let event = json!({ "type": "m.room_key_request", "sender": "@ben:example.org", "content": { "body": "one" } });
    assert_eq!(first["to_device"]["events"], json!([event]));
    // The answer was lost, and the client asks again.
    assert_eq!(bodies(&sync(&server, &anna, None).await), ["one"]);
    let second = sync(&server, &anna, Some(&first)).await;
    assert!(second["to_device"].is_null());
    // Another type or another id is another request, and so is that of another device.
    let path = "/_matrix/client/v3/sendToDevice/m.other/txn";
    server.put(path, &ben, &to("anna", &phone, "two")).await.ok();
    server.put(path, &anna, &to("anna", &phone, "three")).await.ok();
    assert_eq!(bodies(&sync(&server, &anna, Some(&second)).await), ["two", "three"]);
    // On another node, the same.
    let node = server.another(2).await;
    assert_eq!(bodies(&sync(&node, &anna, Some(&second)).await), ["two", "three"]);
    node.put(path, &ben, &to("anna", &phone, "two again")).await.ok();
    assert_eq!(bodies(&sync(&node, &anna, Some(&second)).await), ["two", "three"]);
}

#[tokio::test]
async fn all_devices_and_those_that_nobody_knows() {
    let server = Server::new().await;
    let (phone, anna) = with_password(&server, "anna").await;
    let (tablet, annas_tablet) = another_device(&server, "anna").await;
    let (_, ben) = user(&server, "ben").await;
    let send = "/_matrix/client/v3/sendToDevice/m.test/";
    server.put(&format!("{send}1"), &ben, &to("anna", "*", "all")).await.ok();
    server.put(&format!("{send}2"), &ben, &to("anna", &tablet, "tablet")).await.ok();
    let mixed = json!({ "messages": {
        "@anna:example.org": { "*": { "body": "others" }, &phone: { "body": "phone" }, "NOBODY": { "body": "nobody" } },
        "@nobody:example.org": { "*": { "body": "nobody" } },
        "@anna:elsewhere.example": { "*": { "body": "nobody" } },
        "@ben:example.org": { "*": { "body": "ben" } },
    } });
    server.put(&format!("{send}3"), &ben, &mixed).await.ok();
    for nobody in [json!({ "messages": {} }), to("nobody", "*", "nobody"), to("anna", "NOBODY", "nobody")] {
        server.put(&format!("{send}4"), &ben, &nobody).await.ok();
    }
    assert_eq!(bodies(&sync(&server, &anna, None).await), ["all", "phone"]);
    assert_eq!(bodies(&sync(&server, &annas_tablet, None).await), ["all", "tablet", "others"]);
    assert_eq!(bodies(&sync(&server, &ben, None).await), ["ben"]);
    // The filter of an answer hides none.
    let filter = crate::server::encoded(r#"{"room":{"rooms":[]},"presence":{"types":[]},"account_data":{"types":[]}}"#);
    let filtered = server.get(&format!("/_matrix/client/v3/sync?filter={filter}"), &anna).await.ok();
    assert_eq!(bodies(&filtered), ["all", "phone"]);
}

/// Whatever the request is refused for, nobody gets anything.
#[tokio::test]
async fn what_is_too_much_or_no_message_is_refused_whole() {
    let server = Server::new().await;
    let (phone, anna) = user(&server, "anna").await;
    let path = "/_matrix/client/v3/sendToDevice/m.test/1";
    let rows = server.rows();
    let large = "x".repeat(64 * 1024);
    server.put(path, &anna, &to("anna", &phone, &large)).await.expect_error(413, "M_TOO_LARGE");
    let many: serde_json::Map<_, _> = (0..1_001)
        .map(|n| (format!("@user{n}:example.org"), json!({ "*": {} })))
        .chain([("@anna:example.org".to_owned(), json!({ "*": {} }))])
        .collect();
    server.put(path, &anna, &json!({ "messages": many })).await.expect_error(413, "M_TOO_LARGE");
    let no_object = json!({ "messages": { "@anna:example.org": { &phone: 5 } } });
    server.put(path, &anna, &no_object).await.expect_error(400, "M_BAD_JSON");
    let long = format!("/_matrix/client/v3/sendToDevice/m.test/{}", "x".repeat(256));
    server.put(&long, &anna, &to("anna", &phone, "one")).await.expect_error(400, "M_INVALID_PARAM");
    assert_eq!(server.rows(), rows);
}
