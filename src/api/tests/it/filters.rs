//! Filters are made, kept and found again.

use serde_json::json;

use crate::server::Server;

#[tokio::test]
async fn a_filter_is_found_by_its_id() {
    let server = Server::new().await;
    let token = server.token("anna").await;
    let path = "/_matrix/client/v3/user/@anna:example.org/filter";
    let filter =
        json!({ "event_fields": ["type"], "room": { "timeline": { "limit": 10, "types": ["m.room.message"] } } });
    let json = server.post(path, &token, &filter).await.ok();
    let id = json["filter_id"].as_str().unwrap();
    assert!(!id.starts_with('{'));
    assert_eq!(server.get(&format!("{path}/{id}"), &token).await.ok(), filter);
    server.get(&format!("{path}/unknown"), &token).await.expect_error(404, "M_NOT_FOUND");
}

#[tokio::test]
async fn filters_are_ones_own() {
    let server = Server::new().await;
    let token = server.token("anna").await;
    let path = "/_matrix/client/v3/user/@bert:example.org/filter";
    server.post(path, &token, &json!({})).await.expect_error(403, "M_FORBIDDEN");
    server.get(&format!("{path}/e30"), &token).await.expect_error(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn a_filter_beyond_the_bound_is_too_large() {
    let server = Server::new().await;
    let token = server.token("anna").await;
    let path = "/_matrix/client/v3/user/@anna:example.org/filter";
    let filter = json!({ "event_fields": ["x".repeat(5_000)] });
    server.post(path, &token, &filter).await.expect_error(413, "M_TOO_LARGE");
}
