//! What a client is told when the engine fails (P3), and that a client that leaves does not leave a write half done.

use std::time::Duration;

use http::{Method, header};
use serde_json::json;

use crate::server::Server;

const WHOAMI: &str = "/_matrix/client/v3/account/whoami";
const LOGOUT: &str = "/_matrix/client/v3/logout";

/// For every read that a request makes: when it fails, the request fails as a whole and may be repeated.
#[tokio::test]
async fn a_failed_read_is_never_an_answer() {
    let server = Server::new().await;
    let token = server.token("anna").await;
    for path in [WHOAMI] {
        let before = server.faults.reads();
        let whole = server.get(path, &token).await.ok();
        let reads = server.faults.reads() - before;
        assert!(reads > 0, "{path}");
        for n in 1..=reads {
            server.faults.fail_read(n);
            let answer = server.get(path, &token).await;
            server.faults.clear();
            if answer.status == 200 {
                assert_eq!(answer.json(), whole, "{path}, read {n}");
            } else {
                answer.expect_error(503, "M_UNKNOWN");
                assert_eq!(answer.headers[header::RETRY_AFTER], "1");
            }
        }
        assert_eq!(server.get(path, &token).await.ok(), whole);
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
