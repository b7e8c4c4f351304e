//! Who asks too often.

use std::collections::BTreeMap;

use axum::body::Body;
use http::{Method, Request, header};
use serde_json::{Value, json};
use wardstead_api::{AddressBlock, ApiConfig, Group, GroupRates, RateLimits, TrustedProxies};
use wardstead_identity::FailedLogins;
use wardstead_limits::Rate;

use crate::server::{Answer, Options, Server};

const HOSPITAL: &str = "192.0.2.1";

/// Two at once, then one a minute.
fn two() -> Rate {
    Rate::per_minute(1, 2)
}

async fn limited(group: Group, rates: GroupRates) -> Server {
    Server::with(Options { limits: RateLimits::default().with(group, rates), ..Options::default() }).await
}

async fn by_account(group: Group) -> Server {
    limited(group, GroupRates { account: Some(two()), address: None }).await
}

impl Answer {
    /// That this is a refusal for so many milliseconds at most, told in the body and in the header.
    #[track_caller]
    fn expect_limited(&self, most_ms: u64) {
        self.expect_error(429, "M_LIMIT_EXCEEDED");
        let ms = self.json()["retry_after_ms"].as_u64().unwrap();
        assert!(0 < ms && ms <= most_ms, "{ms}");
        assert_eq!(self.headers[header::RETRY_AFTER], ms.div_ceil(1_000).to_string());
    }
}

/// Each endpoint that is to be limited is, and no other: what tells somebody something is never refused.
#[test]
fn every_group_has_its_endpoints() {
    let mut groups: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for endpoint in wardstead_api::endpoints() {
        let path = endpoint.path.replacen("/_matrix/client/v3", "", 1).replacen("/_matrix/client/v1", "", 1);
        if let Some(group) = endpoint.group.filter(|_| !path.contains("/r0/")) {
            groups.entry(group.name()).or_default().push(format!("{} {path}", endpoint.method));
        }
    }
    for group in Group::ALL {
        assert!(groups.contains_key(group.name()), "{group:?}");
    }
    let endpoints = |group: Group| {
        let mut endpoints = groups.get(group.name()).cloned().unwrap_or_default();
        endpoints.sort();
        endpoints.dedup();
        endpoints
    };
    for (group, expected) in LIMITED {
        assert_eq!(endpoints(*group), *expected, "{group:?}");
    }
}

const LIMITED: &[(Group, &[&str])] = &[
    (Group::Login, &["POST /login"]),
    (
        Group::Registration,
        &[
            "GET /_synapse/admin/v1/register",
            "GET /register/available",
            "GET /register/m.login.registration_token/validity",
            "POST /_synapse/admin/v1/register",
            "POST /register",
        ],
    ),
    (
        Group::Password,
        &[
            "DELETE /devices/{device_id}",
            "GET /auth/{auth_type}/fallback/web",
            "POST /account/deactivate",
            "POST /account/password",
            "POST /auth/{auth_type}/fallback/web",
            "POST /delete_devices",
            "POST /keys/device_signing/upload",
        ],
    ),
    (
        Group::Send,
        &[
            "POST /rooms/{room_id}/ban",
            "POST /rooms/{room_id}/kick",
            "POST /rooms/{room_id}/unban",
            "PUT /rooms/{room_id}/redact/{event_id}/{txn_id}",
            "PUT /rooms/{room_id}/send/{event_type}/{txn_id}",
            "PUT /rooms/{room_id}/state/{event_type}",
            "PUT /rooms/{room_id}/state/{event_type}/",
            "PUT /rooms/{room_id}/state/{event_type}/{state_key}",
        ],
    ),
    (Group::Join, &["POST /join/{room_id_or_alias}", "POST /knock/{room_id_or_alias}", "POST /rooms/{room_id}/join"]),
    (Group::Invite, &["POST /rooms/{room_id}/invite"]),
    (Group::Create, &["POST /createRoom", "POST /rooms/{room_id}/upgrade"]),
    (Group::Search, &["POST /publicRooms", "POST /user_directory/search"]),
    (Group::Token, &["POST /login/get_token", "POST /user/{user_id}/openid/request_token"]),
    (Group::Refresh, &["POST /refresh"]),
    (
        Group::Upload,
        &[
            "POST /_matrix/media/v1/create",
            "POST /_matrix/media/v3/upload",
            "PUT /_matrix/media/v3/upload/{server_name}/{media_id}",
        ],
    ),
];

/// Without being asked for, nothing is limited: development and tests.
#[tokio::test]
async fn without_limits() {
    let server = Server::new().await;
    for _ in 0..700 {
        server.get("/_matrix/client/v3/register/available?username=anna", "").await.ok();
    }
}

#[tokio::test]
async fn sending_is_limited_by_account() {
    let server = by_account(Group::Send).await;
    let (anna, ben) = (server.token("anna").await, server.token("ben").await);
    let create = json!({ "preset": "public_chat" });
    let room = server.post("/_matrix/client/v3/createRoom", &anna, &create).await.ok()["room_id"].clone();
    let room = format!("/_matrix/client/v3/rooms/{}", room.as_str().unwrap());
    server.post(&format!("{room}/join"), &ben, &json!({})).await.ok();
    let message = json!({ "msgtype": "m.text", "body": "bed 4" });
    let send =
        async |token: &str, txn: &str| server.put(&format!("{room}/send/m.room.message/{txn}"), token, &message).await;
    let event = send(&anna, "1").await.ok()["event_id"].clone();
    let redact = format!("{room}/redact/{}/2", event.as_str().unwrap());
    server.put(&redact, &anna, &json!({})).await.ok();
    send(&anna, "3").await.expect_limited(60_000);
    let state = format!("{room}/state/m.room.topic");
    server.put(&state, &anna, &json!({ "topic": "beds" })).await.expect_limited(60_000);
    // Before anything else is looked at.
    server.ask(Method::PUT, &format!("{room}/send/m.room.message/4"), &anna, "not JSON").await.expect_limited(60_000);
    // Reading goes on, and so do the others.
    server.get(&state, &anna).await.expect_error(404, "M_NOT_FOUND");
    server.get("/_matrix/client/v3/sync", &anna).await.ok();
    send(&ben, "1").await.ok();
    server.clock.advance_ms(59_999);
    send(&anna, "3").await.expect_limited(1);
    server.clock.advance_ms(1);
    send(&anna, "3").await.ok();
    let mut registry = prometheus_client::registry::Registry::default();
    server.figures.register(&mut registry);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    assert!(text.contains("wardstead_requests_limited_total{what=\"send\"} 4"), "{text}");
}

#[tokio::test]
async fn people_invited_are_counted_one_by_one() {
    let server = by_account(Group::Invite).await;
    let token = server.token("anna").await;
    for name in ["ben", "cem", "dua", "eli"] {
        server.token(name).await;
    }
    let invite = json!({ "invite": ["@ben:example.org", "@cem:example.org"] });
    let room = server.post("/_matrix/client/v3/createRoom", &token, &invite).await.ok()["room_id"].clone();
    let path = format!("/_matrix/client/v3/rooms/{}/invite", room.as_str().unwrap());
    server.post(&path, &token, &json!({ "user_id": "@dua:example.org" })).await.expect_limited(60_000);
    let member = path.replace("/invite", "/state/m.room.member/@dua:example.org");
    server.put(&member, &token, &json!({ "membership": "invite" })).await.expect_limited(60_000);
    let one = json!({ "invite": ["@dua:example.org"] });
    server.post("/_matrix/client/v3/createRoom", &token, &one).await.expect_limited(60_000);
    server.post("/_matrix/client/v3/createRoom", &token, &json!({})).await.ok();
    // More at once than a bucket holds, when it is full.
    server.clock.advance_ms(120_000);
    let three = json!({ "invite": ["@ben:example.org", "@cem:example.org", "@dua:example.org"] });
    server.post("/_matrix/client/v3/createRoom", &token, &three).await.ok();
    server.post(&path, &token, &json!({ "user_id": "@dua:example.org" })).await.expect_limited(120_000);
}

#[tokio::test]
async fn joining_making_rooms_searching() {
    for (group, path, body) in [
        (Group::Join, "/join/%23ward:example.org", json!({})),
        (Group::Create, "/createRoom", json!({})),
        (Group::Search, "/publicRooms", json!({})),
    ] {
        let server = by_account(group).await;
        let (anna, ben) = (server.token("anna").await, server.token("ben").await);
        let path = format!("/_matrix/client/v3{path}");
        for _ in 0..2 {
            assert_ne!(server.post(&path, &anna, &body).await.status, 429, "{path}");
        }
        server.post(&path, &anna, &body).await.expect_limited(60_000);
        assert_ne!(server.post(&path, &ben, &body).await.status, 429, "{path}");
    }
}

/// What has no account yet is limited by address; one address is no other's, and a header that a client writes makes it none.
#[tokio::test]
async fn by_address() {
    for (group, path) in [(Group::Registration, "/register"), (Group::Login, "/login")] {
        let server = limited(group, GroupRates { account: None, address: Some(two()) }).await;
        let ask = async |address: &str, forged: &str| {
            let request = Request::post(format!("/_matrix/client/v3{path}")).header("x-forwarded-for", forged);
            server.send_from(address, request.body(Body::from("{}")).unwrap()).await
        };
        for forged in ["203.0.113.1", "203.0.113.2"] {
            assert_ne!(ask(HOSPITAL, forged).await.status, 429);
        }
        ask(HOSPITAL, "203.0.113.3").await.expect_limited(60_000);
        assert_ne!(ask("192.0.2.2", "203.0.113.3").await.status, 429);
        for last in 1..=2 {
            assert_ne!(ask(&format!("2001:db8:1:2::{last}"), "").await.status, 429);
        }
        ask("2001:db8:1:2:3::3", "").await.expect_limited(60_000);
    }
}

#[tokio::test]
async fn behind_a_proxy_of_ours_clients_are_told_apart() {
    let trusted_proxies = TrustedProxies::new(vec!["10.1.0.0/16".parse::<AddressBlock>().unwrap()]);
    let config = ApiConfig { trusted_proxies, ..ApiConfig::default() };
    let limits = RateLimits::default().with(Group::Login, GroupRates { account: None, address: Some(two()) });
    let server = Server::with(Options { config, limits, ..Options::default() }).await;
    let ask = async |forwarded: &str| {
        let request = Request::post("/_matrix/client/v3/login").header("x-forwarded-for", forwarded);
        server.send_from("10.1.2.3", request.body(Body::from("{}")).unwrap()).await
    };
    for forged in ["", "203.0.113.1, ", "10.1.2.3, 203.0.113.2,"] {
        let answer = ask(&format!("{forged}192.0.2.1")).await;
        if forged.starts_with("10") { answer.expect_limited(60_000) } else { assert_ne!(answer.status, 429) }
    }
    assert_ne!(ask("192.0.2.1, 192.0.2.2").await.status, 429);
}

fn login(user: &str, password: &str) -> Value {
    json!({ "type": "m.login.password", "identifier": { "type": "m.id.user", "user": user }, "password": password })
}

async fn sign_in(server: &Server, user: &str, password: &str, address: &str) -> Answer {
    let request =
        Request::post("/_matrix/client/v3/login").body(Body::from(login(user, password).to_string())).unwrap();
    server.send_from(address, request).await
}

async fn people(server: &Server, names: impl Iterator<Item = String>) {
    for name in names {
        let body = json!({ "username": name, "password": "correct horse", "auth": { "type": "m.login.dummy" } });
        server.post("/_matrix/client/v3/register", "", &body).await.ok();
    }
}

/// Guessing with two nodes is no faster than with one.
#[tokio::test]
async fn wrong_passwords_count_on_every_node() {
    let failed_logins = FailedLogins::production();
    let one = Server::with(Options { failed_logins, ..Options::default() }).await;
    people(&one, std::iter::once("anna".to_owned())).await;
    let two = one.another(2).await;
    for _ in 0..5 {
        for node in [&one, &two] {
            sign_in(node, "anna", "wrong", HOSPITAL).await.expect_error(403, "M_FORBIDDEN");
        }
    }
    for node in [&one, &two] {
        sign_in(node, "anna", "correct horse", HOSPITAL).await.expect_limited(30_000);
        sign_in(node, "anna", "correct horse", "192.0.2.2").await.ok();
    }
    one.clock.advance_ms(30_000);
    sign_in(&two, "anna", "correct horse", HOSPITAL).await.ok();
}

/// A shift begins: 300 people behind one address sign in within a minute, one in three after a slip of the finger, with the limits
/// of a hospital, and nobody has to wait.
#[tokio::test]
async fn a_shift_begins() {
    let limits = RateLimits::production();
    let server =
        Server::with(Options { failed_logins: FailedLogins::production(), limits, ..Options::default() }).await;
    let staff: Vec<String> = (0..300).map(|at| format!("nurse{at}")).collect();
    people(&server, staff.iter().cloned()).await;
    server.clock.advance_ms(600_000);
    for (second, arriving) in staff.chunks(5).enumerate() {
        let signing_in = arriving.iter().enumerate().map(async |(at, name)| {
            if (second + at) % 3 == 0 {
                sign_in(&server, name, "correct hose", HOSPITAL).await.expect_error(403, "M_FORBIDDEN");
            }
            sign_in(&server, name, "correct horse", HOSPITAL).await.ok();
        });
        futures::future::join_all(signing_in).await;
        server.clock.advance_ms(1_000);
    }
    // A colleague's telephone that tries an old password all the time does not change that.
    while sign_in(&server, "nurse0", "old", HOSPITAL).await.status == 403 {}
    sign_in(&server, "nurse1", "correct horse", HOSPITAL).await.ok();
}

/// A device that refreshes in a loop is held up, whichever of its tokens it shows; another device of the same person is not, nor is
/// somebody else behind the same address. What is refused spends no token.
#[tokio::test]
async fn refreshing_is_limited_by_device() {
    let server = by_account(Group::Refresh).await;
    let session = async |path: &str, body: Value| {
        let mut body = body;
        body["refresh_token"] = true.into();
        server.post(&format!("/_matrix/client/v3/{path}"), "", &body).await.ok()["refresh_token"].clone()
    };
    let new =
        |name: &str| json!({ "username": name, "password": "correct horse", "auth": { "type": "m.login.dummy" } });
    let first = session("register", new("anna")).await;
    let identifier = json!({ "type": "m.id.user", "user": "anna" });
    let password = json!({ "type": "m.login.password", "identifier": identifier, "password": "correct horse" });
    let (tablet, bert) = (session("login", password).await, session("register", new("bert")).await);
    let refresh =
        async |token: &Value| server.post("/_matrix/client/v3/refresh", "", &json!({ "refresh_token": token })).await;
    let second = refresh(&first).await.ok()["refresh_token"].clone();
    let third = refresh(&second).await.ok()["refresh_token"].clone();
    refresh(&third).await.expect_limited(60_000);
    refresh(&second).await.expect_limited(60_000);
    for other in [&tablet, &bert] {
        refresh(other).await.ok();
    }
    // What nobody knows costs a read, as with any endpoint.
    for _ in 0..5 {
        refresh(&json!("wsr_unknown")).await.expect_error(401, "M_UNKNOWN_TOKEN");
    }
    server.clock.advance_ms(60_000);
    refresh(&third).await.ok();
}
