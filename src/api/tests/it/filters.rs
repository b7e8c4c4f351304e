//! Filters are made, kept and found again.

use serde_json::json;
use wardstead_limits::own_data::FILTER_BYTES;

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
    let filter = json!({ "event_fields": ["x".repeat(FILTER_BYTES)] });
    server.post(path, &token, &filter).await.expect_error(413, "M_TOO_LARGE");
}

#[tokio::test]
async fn what_is_no_filter_is_refused() {
    let server = Server::new().await;
    let token = server.token("anna").await;
    let path = "/_matrix/client/v3/user/@anna:example.org/filter";
    for filter in [
        json!({ "presence": "none" }),
        json!({ "room": { "timeline": [] } }),
        json!({ "room": { "timeline": { "types": [1] } } }),
        json!({ "room": { "state": { "senders": ["anna"] } } }),
        json!({ "room": { "not_rooms": ["ward"] } }),
        json!({ "event_format": "xml" }),
    ] {
        server.post(path, &token, &filter).await.expect_error(400, "M_BAD_JSON");
        let sync = format!("/_matrix/client/v3/sync?filter={}", crate::server::encoded(&filter.to_string()));
        server.get(&sync, &token).await.expect_error(400, "M_INVALID_PARAM");
    }
}

/// Ids are short, and so are the addresses of syncs that name them.
#[tokio::test]
async fn an_id_is_short_and_every_node_knows_it() {
    let server = Server::new().await;
    let token = server.token("anna").await;
    let path = "/_matrix/client/v3/user/@anna:example.org/filter";
    let types: Vec<String> = (0..300).map(|number| format!("org.example.{number}")).collect();
    // With a field of a proposal, which is kept.
    let filter = json!({ "room": { "timeline": { "types": types, "org.example.more": [1.5] } } });
    let id = server.post(path, &token, &filter).await.ok()["filter_id"].as_str().unwrap().to_owned();
    assert!(id.len() < 32, "{id}");
    let other = server.another(2).await;
    assert_eq!(other.get(&format!("{path}/{id}"), &token).await.ok(), filter);
    assert_eq!(other.post(path, &token, &filter).await.ok()["filter_id"], json!(id));
    other.get(&format!("/_matrix/client/v3/sync?filter={id}"), &token).await.ok();
}

#[tokio::test]
async fn the_id_of_another_users_filter_is_unknown() {
    let server = Server::new().await;
    let (anna, bert) = (server.token("anna").await, server.token("bert").await);
    let path = |user: &str| format!("/_matrix/client/v3/user/@{user}:example.org/filter");
    let id = server.post(&path("anna"), &anna, &json!({ "event_fields": ["type"] })).await.ok();
    let id = id["filter_id"].as_str().unwrap();
    server.get(&format!("{}/{id}", path("bert")), &bert).await.expect_error(404, "M_NOT_FOUND");
    server.get(&format!("{}/{id}", path("anna")), &bert).await.expect_error(403, "M_FORBIDDEN");
    let sync = format!("/_matrix/client/v3/sync?filter={id}");
    server.get(&sync, &bert).await.expect_error(400, "M_INVALID_PARAM");
}
