//! What a client is told when the engine fails (P3), and that a client that leaves does not leave a write half done.

use std::time::Duration;

use http::{Method, header};
use serde_json::json;
use wardstead_engine_memory::CommitFault;

use crate::server::{Server, encoded};

const WHOAMI: &str = "/_matrix/client/v3/account/whoami";
const LOGOUT: &str = "/_matrix/client/v3/logout";

/// A room in which something was said, the id of that event, and the token of its only member.
async fn conversation(server: &Server) -> (String, String, String) {
    let token = server.token("anna").await;
    let room = server.post("/_matrix/client/v3/createRoom", &token, &json!({})).await.ok();
    let room = encoded(room["room_id"].as_str().unwrap());
    let path = format!("/_matrix/client/v3/rooms/{room}/send/m.room.message/1");
    let event = server.put(&path, &token, &json!({ "msgtype": "m.text", "body": "hello" })).await.ok();
    (room, encoded(event["event_id"].as_str().unwrap()), token)
}

/// For every read that a request makes, on a node that has nothing in memory: when it fails, the request fails as a whole and may be
/// repeated, or its answer is the faultless one.
#[tokio::test]
async fn a_failed_read_is_never_an_answer() {
    let server = Server::new().await;
    let (room, event, token) = conversation(&server).await;
    let room = format!("/_matrix/client/v3/rooms/{room}");
    let paths = [
        WHOAMI.to_owned(),
        "/_matrix/client/v3/joined_rooms".to_owned(),
        "/_matrix/client/v3/sync".to_owned(),
        format!("{room}/state"),
        format!("{room}/state/m.room.create"),
        format!("{room}/members"),
        format!("{room}/joined_members"),
        format!("{room}/messages?dir=b"),
        format!("{room}/messages?dir=f&limit=3"),
        format!("{room}/event/{event}"),
    ];
    for (number, path) in (1_u64..).zip(paths) {
        let node = server.another(1_000 * number).await;
        let before = node.faults.reads();
        let whole = node.get(&path, &token).await.ok();
        let reads = node.faults.reads() - before;
        assert!(reads > 0, "{path}");
        let mut failed = 0;
        for n in 1..=reads {
            let node = server.another(1_000 * number + n).await;
            node.faults.fail_read(n);
            let answer = node.get(&path, &token).await;
            node.faults.clear();
            if answer.status == 200 {
                assert_eq!(answer.json(), whole, "{path}, read {n}");
            } else {
                answer.expect_error(503, "M_UNKNOWN");
                assert_eq!(answer.headers[header::RETRY_AFTER], "1");
                failed += 1;
            }
            // The same node answers in full when it is asked again.
            assert_eq!(node.get(&path, &token).await.ok(), whole, "{path}, after read {n}");
        }
        assert!(failed > 0, "{path}");
    }
}

/// A commit that fails is not acknowledged; the client repeats itself with the same transaction id and is heard once.
#[tokio::test]
async fn a_failed_commit_is_repeated_without_doubling() {
    for fault in [CommitFault::Unavailable, CommitFault::UnknownBefore, CommitFault::UnknownAfter] {
        let server = Server::new().await;
        let (room, _, token) = conversation(&server).await;
        let path = format!("/_matrix/client/v3/rooms/{room}/send/m.room.message/2");
        let content = json!({ "msgtype": "m.text", "body": "again" });
        server.faults.fail_commit(1, fault);
        let first = server.put(&path, &token, &content).await;
        if first.status != 200 {
            first.expect_error(503, "M_UNKNOWN");
        }
        server.faults.clear();
        let second = server.put(&path, &token, &content).await.ok();
        assert!(first.status == 503 || first.json() == second);
        let page = server.get(&format!("/_matrix/client/v3/rooms/{room}/messages?dir=b"), &token).await.ok();
        let heard = page["chunk"].as_array().unwrap().iter().filter(|event| event["content"]["body"] == "again");
        assert_eq!(heard.map(|event| &event["event_id"]).collect::<Vec<_>>(), [&second["event_id"]]);
    }
}

/// The inside of a failure stays inside.
#[tokio::test]
async fn a_failure_does_not_tell_its_cause() {
    let server = Server::new().await;
    let token = server.token("anna").await;
    server.faults.fail_read(1);
    let json = server.get(WHOAMI, &token).await.json();
    assert_eq!(
        json,
        json!({ "errcode": "M_UNKNOWN", "error": "The server cannot answer this now. Please try again." })
    );
}

/// The request's future is dropped while its commit waits; the commit happens all the same.
#[tokio::test]
async fn a_client_that_hangs_up_does_not_stop_a_write() {
    let server = Server::new().await;
    let token = server.token("anna").await;
    server.faults.stall_commits();
    {
        let asked = server.ask(Method::POST, LOGOUT, &token, "");
        let stalled = server.faults.wait_stalled(1);
        tokio::select! {
            answer = asked => panic!("answered before the commit: {answer:?}"),
            () = stalled => {}
        }
    }
    server.faults.release_commits();
    let signed_out = async {
        while server.get(WHOAMI, &token).await.status == 200 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), signed_out).await.expect("the write was given up");
    server.get(WHOAMI, &token).await.expect_error(401, "M_UNKNOWN_TOKEN");
}
