//! The data cannot be reached: whoever waits for it is told, whatever it waits for.

use std::{future::Future, time::Duration};

use http::{Method, header};
use serde_json::{Value, json};

use crate::server::{Answer, Server, encoded};

async fn room(server: &Server) -> (String, String) {
    let token = server.token("anna").await;
    let room = server.post("/_matrix/client/v3/createRoom", &token, &json!({})).await.ok();
    (encoded(room["room_id"].as_str().unwrap()), token)
}

fn expect_to_come_back(answer: &Answer) {
    assert_eq!(answer.headers[header::RETRY_AFTER], "1");
    answer.expect_error(503, "M_UNKNOWN");
}

/// Not when the committer's patience ends. Time passes here only when everybody waits for it.
async fn at_once(request: impl Future<Output = Answer>) -> Answer {
    tokio::time::timeout(Duration::from_millis(1), request).await.unwrap()
}

/// Runs `request` until it waits, says that the data is lost, and gives the answer.
async fn lost_during(server: &Server, request: impl Future<Output = Answer>) -> Answer {
    tokio::pin!(request);
    tokio::select! {
        biased;
        answer = &mut request => panic!("it did not wait: {}", answer.status),
        () = async { for _ in 0..100 { tokio::task::yield_now().await; } } => {}
    }
    server.available.send_replace(false);
    request.await
}

#[tokio::test(start_paused = true)]
async fn a_send_is_answered_and_its_retry_is_the_same_event() {
    let server = Server::new().await;
    let (room, token) = room(&server).await;
    let path = format!("/_matrix/client/v3/rooms/{room}/send/m.room.message/1");
    let body = json!({ "msgtype": "m.text", "body": "hello" });
    server.faults.stall_commits();
    expect_to_come_back(&at_once(lost_during(&server, server.put(&path, &token, &body))).await);
    // Another that comes meanwhile waits for nothing.
    expect_to_come_back(&at_once(server.put(&path, &token, &body)).await);
    let versions = server.ask(Method::GET, "/_matrix/client/versions", "", "").await;
    assert_eq!(versions.status, 200, "what needs no data is answered");

    server.faults.release_commits();
    server.available.send_replace(true);
    let first = server.put(&path, &token, &body).await.ok()["event_id"].clone();
    let again = server.put(&path, &token, &body).await.ok()["event_id"].clone();
    assert_eq!(first, again);
    let messages = server.get(&format!("/_matrix/client/v3/rooms/{room}/messages?dir=b"), &token).await.ok();
    let sent: Vec<&Value> = messages["chunk"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|event| event["type"] == "m.room.message")
        .map(|event| &event["event_id"])
        .collect();
    assert_eq!(sent, [&first], "once");
}

#[tokio::test(start_paused = true)]
async fn a_waiting_sync_is_answered_and_its_token_holds() {
    let server = Server::new().await;
    let (room, token) = room(&server).await;
    let sync = |since: &str| format!("/_matrix/client/v3/sync?timeout=30000&since={since}");
    let since = server.get("/_matrix/client/v3/sync", &token).await.ok();
    let since = since["next_batch"].as_str().unwrap().to_owned();
    let path = sync(&since);
    expect_to_come_back(&lost_during(&server, server.get(&path, &token)).await);
    server.available.send_replace(true);
    let send = format!("/_matrix/client/v3/rooms/{room}/send/m.room.message/1");
    server.put(&send, &token, &json!({ "msgtype": "m.text", "body": "hello" })).await.ok();
    let news = server.get(&path, &token).await.ok();
    assert!(news.to_string().contains("hello"), "{news}");
}

/// What a client chooses never becomes a label: no path, no id, no method that it made up.
#[tokio::test]
async fn requests_are_counted_by_route() {
    let server = Server::new().await;
    let (room, token) = room(&server).await;
    server.get(&format!("/_matrix/client/v3/rooms/{room}/state"), &token).await.ok();
    server.ask(Method::GET, "/made/up", "", "").await.expect_error(404, "M_UNRECOGNIZED");
    server.ask(Method::from_bytes(b"BREW").unwrap(), "/_matrix/client/versions", "", "").await;
    server.faults.stall_commits();
    let logout = json!({});
    let mut hung_up = Box::pin(server.post("/_matrix/client/v3/logout", &token, &logout));
    tokio::select! {
        biased;
        _ = &mut hung_up => {}
        () = std::future::ready(()) => {}
    }
    let mut registry = prometheus_client::registry::Registry::default();
    server.figures.register(&mut registry);
    let text = |registry| {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, registry).unwrap();
        text
    };
    let before = text(&registry);
    let counted = |method: &str, route: &str, status: &str| {
        let labels = format!("{{method=\"{method}\",route=\"{route}\",status=\"{status}\"}} 1");
        assert!(before.contains(&labels), "{labels} is not in:\n{before}");
    };
    counted("GET", "/_matrix/client/v3/rooms/{room_id}/state", "2xx");
    counted("GET", "none", "4xx");
    counted("other", "/_matrix/client/versions", "4xx");
    assert!(!before.contains("BREW") && !before.contains("made/up") && !before.contains(&room), "{before}");
    assert!(before.contains("requests_in_flight 1"), "{before}");
    drop(hung_up);
    assert!(text(&registry).contains("requests_in_flight 0"), "who hangs up is in flight no more");
}
