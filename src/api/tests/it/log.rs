//! What the log tells, and what it must not: ids, tokens, passwords and content are patient data or lead to it.

use std::{cell::RefCell, io};

use http::Method;
use serde_json::json;
use tracing_subscriber::filter::LevelFilter;

use crate::server::Server;

thread_local! {
    /// What this thread logged: each test and the server in it have a thread of their own.
    static LINES: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

struct Lines;

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LINES.with_borrow_mut(|lines| lines.extend_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_log_has_templates_and_no_data() {
    // For the whole process: with one for this thread only, a callsite that another thread meets first stays silent.
    let log = tracing_subscriber::fmt().with_ansi(false).with_writer(|| Lines).with_max_level(LevelFilter::TRACE);
    tracing::subscriber::set_global_default(log.finish()).unwrap();
    let server = Server::new().await;
    let account = json!({ "username": "anna", "password": "correct horse", "auth": { "type": "m.login.dummy" } });
    let json = server.post("/_matrix/client/v3/register", "", &account).await.ok();
    let token = json["access_token"].as_str().unwrap();
    server.get(&format!("/_matrix/client/v3/account/whoami?access_token={token}"), "").await.ok();
    server.get("/_matrix/client/v3/user/@anna:example.org/filter/e30", token).await.expect_error(404, "M_NOT_FOUND");
    server.get("/nowhere/anna", token).await.expect_error(404, "M_UNRECOGNIZED");
    server.faults.fail_read(1);
    let failed = server.get("/_matrix/client/v3/account/whoami", token).await;
    failed.expect_error(503, "M_UNKNOWN");
    server.ask(Method::POST, "/_matrix/client/v3/login", "", r#"{"type":"anna"}"#).await.expect_error(400, "M_UNKNOWN");

    let text = LINES.with_borrow(|lines| String::from_utf8(lines.clone()).unwrap());
    let ours: Vec<&str> = text.lines().filter(|line| line.contains("request{")).collect();
    for expected in ["/_matrix/client/v3/register", "/_matrix/client/v3/account/whoami", "/filter/{filter_id}", "none"]
    {
        assert!(ours.iter().any(|line| line.contains(expected)), "{expected} is not in {text}");
    }
    // A failure is found by the id that the client has.
    let id = failed.headers["x-request-id"].to_str().unwrap();
    assert!(
        ours.iter().any(|line| line.contains(id) && line.contains("ERROR") && line.contains("status=503")),
        "{text}"
    );
    for secret in ["anna", "correct horse", token, "example.org", "e30"] {
        assert!(ours.iter().all(|line| !line.contains(secret)), "{secret} is in {text}");
    }
}
