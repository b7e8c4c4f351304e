//! What a client asks before anybody signs in. The forms are those of the specification's examples.

use http::{Request, header};
use serde_json::json;

use crate::server::Server;

#[tokio::test]
async fn versions() {
    let server = Server::new().await;
    let json = server.get("/_matrix/client/versions", "").await.ok();
    let versions: Vec<&str> = json["versions"].as_array().unwrap().iter().map(|v| v.as_str().unwrap()).collect();
    assert!(versions.contains(&"r0.6.1") && versions.contains(&"v1.1") && versions.contains(&"v1.11"), "{versions:?}");
    // What this server does not speak is not claimed.
    assert!(!versions.contains(&"v1.16"));
    assert_eq!(json["unstable_features"]["org.matrix.msc4222"], true);
}

/// A client that lost its session may still ask; the answer does not depend on who asks.
#[tokio::test]
async fn versions_are_told_to_holders_of_a_stale_token() {
    let server = Server::new().await;
    server.get("/_matrix/client/versions", "stale").await.ok();
}

#[tokio::test]
async fn capabilities() {
    let server = Server::new().await;
    let token = server.token("anna").await;
    for path in ["/_matrix/client/v3/capabilities", "/_matrix/client/r0/capabilities"] {
        let expected = json!({ "capabilities": {
            "m.change_password": { "enabled": false },
            "m.room_versions": { "default": "12", "available": {
                "6": "stable", "7": "stable", "8": "stable", "9": "stable", "10": "stable", "11": "stable", "12": "stable",
            } },
            "m.set_displayname": { "enabled": false },
            "m.set_avatar_url": { "enabled": false },
            "m.3pid_changes": { "enabled": false },
        }});
        assert_eq!(server.get(path, &token).await.ok(), expected);
    }
}

#[tokio::test]
async fn well_known_is_what_the_operator_wrote() {
    let server = Server::with_base_url(Some("https://chat.example.org")).await;
    let json = server.get("/.well-known/matrix/client", "").await.ok();
    assert_eq!(json, json!({ "m.homeserver": { "base_url": "https://chat.example.org" } }));
}

/// Without a configured address a client is sent to where it already is, and never to something that is no host.
#[tokio::test]
async fn well_known_falls_back_to_the_host_that_was_asked() {
    let server = Server::new().await;
    let ask = async |host: &str, scheme: &str| {
        let request = Request::builder().uri("/.well-known/matrix/client").header(header::HOST, host);
        let request = request.header("x-forwarded-proto", scheme);
        server.send(request.body(axum::body::Body::empty()).unwrap()).await
    };
    let base_url = async |host, scheme| ask(host, scheme).await.ok()["m.homeserver"]["base_url"].clone();
    assert_eq!(base_url("127.0.0.1:8008", "http").await, "http://127.0.0.1:8008");
    assert_eq!(base_url("chat.example.org", "https").await, "https://chat.example.org");
    ask("not a host", "http").await.expect_error(404, "M_NOT_FOUND");
    ask("user@evil.example", "http").await.expect_error(404, "M_NOT_FOUND");
}

#[tokio::test]
async fn login_types() {
    let server = Server::new().await;
    let expected = json!({ "flows": [{ "type": "m.login.password" }] });
    assert_eq!(server.get("/_matrix/client/v3/login", "").await.ok(), expected);
    assert_eq!(server.get("/_matrix/client/r0/login", "").await.ok(), expected);
}
