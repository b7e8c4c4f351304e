//! What a client asks before anybody signs in. The forms are those of the specification's examples.

use http::{Request, header};
use serde_json::json;
use wardstead_api::{ApiConfig, Contact, Support};

use crate::server::{Options, Server};

#[tokio::test]
async fn versions() {
    let server = Server::new().await;
    let json = server.get("/_matrix/client/versions", "").await.ok();
    let versions: Vec<&str> = json["versions"].as_array().unwrap().iter().map(|v| v.as_str().unwrap()).collect();
    for version in ["r0.6.1", "v1.1", "v1.11", "v1.16", "v1.19"] {
        assert!(versions.contains(&version), "{versions:?}");
    }
    // What this server does not speak is not claimed.
    assert!(!versions.contains(&"v1.20"));
    let features = json["unstable_features"].as_object().unwrap();
    assert!(features.values().all(|claimed| *claimed == true));
    // What is claimed for an endpoint under a proposal's name is there.
    let endpoints = wardstead_api::endpoints();
    for (feature, path) in [
        ("org.matrix.msc3391", "/org.matrix.msc3391/user/{user_id}/account_data/"),
        ("uk.half-shot.msc2666.query_mutual_rooms", "/uk.half-shot.msc2666/user/mutual_rooms"),
        ("uk.half-shot.msc2666.query_mutual_rooms.stable", "/v1/mutual_rooms"),
        ("uk.tcpip.msc4133", "/uk.tcpip.msc4133/profile/{user_id}/"),
        ("uk.tcpip.msc4133", "/uk.tcpip.msc4133/profile/{user_id}"),
        ("uk.tcpip.msc4133.stable", "/v3/profile/{user_id}/"),
    ] {
        assert!(features.contains_key(feature), "{feature}");
        assert!(
            endpoints.iter().any(|endpoint| if path.ends_with('/') {
                endpoint.path.contains(path)
            } else {
                endpoint.path.ends_with(path)
            }),
            "{path}"
        );
    }
    // Counts of threads go by their names in the specification alone.
    assert!(!features.contains_key("org.matrix.msc3773"));
    for feature in
        ["org.matrix.msc3440.stable", "org.matrix.msc3874.stable", "org.matrix.msc4222", "org.matrix.msc3771"]
    {
        assert!(features.contains_key(feature), "{feature}");
    }
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
            "m.change_password": { "enabled": true },
            "m.room_versions": { "default": "12", "available": {
                "6": "stable", "7": "stable", "8": "stable", "9": "stable", "10": "stable", "11": "stable", "12": "stable",
            } },
            "m.set_displayname": { "enabled": true },
            "m.set_avatar_url": { "enabled": true },
            "m.profile_fields": { "enabled": true },
            "m.3pid_changes": { "enabled": false },
            "m.get_login_token": { "enabled": true },
            "m.forget_forced_upon_leave": { "enabled": false },
            "org.wardstead.email_pushers": { "enabled": false },
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

#[tokio::test]
async fn well_known_server_and_support() {
    let unset = Server::new().await;
    for path in ["/.well-known/matrix/server", "/.well-known/matrix/support"] {
        unset.get(path, "").await.expect_error(404, "M_NOT_FOUND");
    }
    let support = |support| Options { config: ApiConfig { support, ..ApiConfig::default() }, ..Options::default() };
    let contact = Contact {
        role: "m.role.admin".to_owned(),
        email_address: Some("it@example.org".to_owned()),
        matrix_id: Some("@it:example.com".try_into().unwrap()),
    };
    let page = "https://example.org/help".to_owned();
    let mut options = support(Support { contacts: vec![contact], support_page: Some(page.clone()) });
    options.config.delegated_to = Some("matrix.example.org:443".try_into().unwrap());
    let server = Server::with(options).await;
    let json = server.get("/.well-known/matrix/server", "").await.ok();
    assert_eq!(json, json!({ "m.server": "matrix.example.org:443" }));
    let contact = json!({ "role": "m.role.admin", "email_address": "it@example.org", "matrix_id": "@it:example.com" });
    let json = server.get("/.well-known/matrix/support", "").await.ok();
    assert_eq!(json, json!({ "contacts": [contact], "support_page": page }));
    let server = Server::with(support(Support { contacts: Vec::new(), support_page: Some(page.clone()) })).await;
    let json = server.get("/.well-known/matrix/support", "").await.ok();
    assert_eq!(json, json!({ "support_page": page }));
}

/// There are no application services, which bridge to other networks.
#[tokio::test]
async fn no_other_networks() {
    let server = Server::new().await;
    let token = server.token("anna").await;
    let get = async |path: &str| server.get(&format!("/_matrix/client/v3/thirdparty/{path}"), &token).await;
    assert_eq!(get("protocols").await.ok(), json!({}));
    get("protocol/irc").await.expect_error(404, "M_NOT_FOUND");
    for path in [
        "location/irc?channel=%23a",
        "location?alias=%23a:example.org",
        "user/irc?nick=a",
        "user?userid=@a:example.org",
    ] {
        assert_eq!(get(path).await.ok(), json!([]), "{path}");
    }
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
    let expected = json!({ "flows": [
        { "type": "m.login.password" },
        { "type": "m.login.token", "get_login_token": true },
    ] });
    assert_eq!(server.get("/_matrix/client/v3/login", "").await.ok(), expected);
    assert_eq!(server.get("/_matrix/client/r0/login", "").await.ok(), expected);
}
