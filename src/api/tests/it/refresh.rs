//! Refreshed tokens, and tokens for another device, as clients see them.

use http::Method;
use serde_json::{Value, json};
use wardstead_limits::accounts::{ACCESS_TOKEN_LIFETIME_MS, LOGIN_TOKEN_MS};

use crate::server::{Server, encoded};

const V3: &str = "/_matrix/client/v3";
const WHOAMI: &str = "/_matrix/client/v3/account/whoami";
const GET_TOKEN: &str = "/_matrix/client/v1/login/get_token";

async fn register(server: &Server, refresh: Value) -> Value {
    let mut body = json!({ "username": "anna", "password": "correct horse", "auth": { "type": "m.login.dummy" } });
    if !refresh.is_null() {
        body["refresh_token"] = refresh;
    }
    server.post(&format!("{V3}/register"), "", &body).await.ok()
}

fn text<'a>(answer: &'a Value, field: &str) -> &'a str {
    answer[field].as_str().unwrap_or_else(|| panic!("{field} in {answer}"))
}

fn credentials() -> Value {
    json!({
        "type": "m.login.password", "identifier": { "type": "m.id.user", "user": "anna" }, "password": "correct horse",
    })
}

#[tokio::test]
async fn a_session_is_refreshed() {
    let server = Server::new().await;
    let first = register(&server, true.into()).await;
    assert_eq!(first["expires_in_ms"], ACCESS_TOKEN_LIFETIME_MS);
    let refresh = |token: &str| json!({ "refresh_token": token });
    let path = format!("{V3}/refresh");
    let second = server.post(&path, "", &refresh(text(&first, "refresh_token"))).await.ok();
    assert_eq!(second["expires_in_ms"], ACCESS_TOKEN_LIFETIME_MS);
    let who = server.get(WHOAMI, text(&second, "access_token")).await.ok();
    assert_eq!(who, json!({ "user_id": "@anna:example.org", "device_id": first["device_id"] }));
    let old = server.get(WHOAMI, text(&first, "access_token")).await;
    old.expect_error(401, "M_UNKNOWN_TOKEN");
    assert_eq!(old.json()["soft_logout"], true);
    let old = server.post(&path, "", &refresh(text(&first, "refresh_token"))).await;
    old.expect_error(401, "M_UNKNOWN_TOKEN");
    assert_eq!(old.json()["soft_logout"], true);
    // A client whose access token has just expired may send it along.
    server.clock.advance_ms(ACCESS_TOKEN_LIFETIME_MS);
    server.get(WHOAMI, text(&second, "access_token")).await.expect_error(401, "M_UNKNOWN_TOKEN");
    let body = refresh(text(&second, "refresh_token")).to_string();
    let third = server.ask(Method::POST, &path, text(&second, "access_token"), body).await.ok();
    server.post(&format!("{V3}/logout"), text(&third, "access_token"), &json!({})).await.ok();
    let gone = server.post(&path, "", &refresh(text(&third, "refresh_token"))).await;
    gone.expect_error(401, "M_UNKNOWN_TOKEN");
    assert_ne!(gone.json()["soft_logout"], true);
    server.post(&path, "", &refresh("nothing")).await.expect_error(401, "M_UNKNOWN_TOKEN");
}

#[tokio::test]
async fn only_who_asks_gets_a_refresh_token() {
    let server = Server::new().await;
    for refresh in [Value::Null, false.into()] {
        let server = Server::new().await;
        let made = register(&server, refresh).await;
        assert_eq!((made.get("refresh_token"), made.get("expires_in_ms")), (None, None));
    }
    register(&server, Value::Null).await;
    let plain = server.post(&format!("{V3}/login"), "", &credentials()).await.ok();
    assert_eq!((plain.get("refresh_token"), plain.get("expires_in_ms")), (None, None));
    let mut body = credentials();
    body["refresh_token"] = true.into();
    let asked = server.post(&format!("{V3}/login"), "", &body).await.ok();
    assert!(asked["refresh_token"].is_string() && asked["expires_in_ms"].is_u64());
}

/// A transaction is its device's: it is known again with another access token.
#[tokio::test]
async fn a_refresh_keeps_transactions() {
    let server = Server::new().await;
    let first = register(&server, true.into()).await;
    let token = text(&first, "access_token");
    let room = server.post(&format!("{V3}/createRoom"), token, &json!({})).await.ok();
    let path = format!("{V3}/rooms/{}/send/m.room.message/1", encoded(text(&room, "room_id")));
    let message = json!({ "msgtype": "m.text", "body": "first" });
    let sent = server.put(&path, token, &message).await.ok();
    let body = json!({ "refresh_token": first["refresh_token"] });
    let second = server.post(&format!("{V3}/refresh"), "", &body).await.ok();
    let token = text(&second, "access_token");
    assert_eq!(server.put(&path, token, &message).await.ok(), sent);
    let synced = server.get(&format!("{V3}/sync"), token).await.ok();
    let timeline = &synced["rooms"]["join"][text(&room, "room_id")]["timeline"]["events"];
    let event = timeline.as_array().unwrap().iter().find(|event| event["event_id"] == sent["event_id"]).unwrap();
    assert_eq!(event["unsigned"]["transaction_id"], "1");
}

/// Another device signs in once, with what was made on the first, on whichever node.
#[tokio::test]
async fn signing_in_with_a_token() {
    let server = Server::new().await;
    let there = server.another(2).await;
    let anna = register(&server, Value::Null).await;
    let anna = text(&anna, "access_token");
    let flows = server.get(&format!("{V3}/login"), "").await.ok();
    let offered = json!([{ "type": "m.login.password" }, { "type": "m.login.token", "get_login_token": true }]);
    assert_eq!(flows["flows"], offered);
    let capabilities = server.get(&format!("{V3}/capabilities"), anna).await.ok();
    assert_eq!(capabilities["capabilities"]["m.get_login_token"], json!({ "enabled": true }));

    let auth = |session: &Value| {
        let mut auth = credentials();
        auth["session"] = session.clone();
        json!({ "auth": auth })
    };
    let asked = server.post(GET_TOKEN, anna, &json!({})).await;
    assert_eq!((asked.status.as_u16(), &asked.json()["flows"][0]["stages"][0]), (401, &json!("m.login.password")));
    let confirmed = auth(&asked.json()["session"]);
    let made = server.post(GET_TOKEN, anna, &confirmed).await.ok();
    assert_eq!(made["expires_in_ms"], LOGIN_TOKEN_MS);
    // Each token is confirmed anew.
    assert_eq!(
        server.post(GET_TOKEN, anna, &json!({ "auth": { "session": asked.json()["session"] } })).await.status,
        401
    );

    let body = json!({ "type": "m.login.token", "token": made["login_token"], "device_id": "PHONE" });
    let login = there.post(&format!("{V3}/login"), "", &body).await.ok();
    assert_eq!((&login["user_id"], &login["device_id"]), (&json!("@anna:example.org"), &json!("PHONE")));
    server.get(WHOAMI, text(&login, "access_token")).await.ok();
    server.post(&format!("{V3}/login"), "", &body).await.expect_error(403, "M_FORBIDDEN");

    let made = server.post(GET_TOKEN, anna, &auth(&Value::Null)).await.ok();
    server.clock.advance_ms(LOGIN_TOKEN_MS);
    let body = json!({ "type": "m.login.token", "token": made["login_token"] });
    server.post(&format!("{V3}/login"), "", &body).await.expect_error(403, "M_FORBIDDEN");
}

/// Where the operator wants no such tokens, the server has no such endpoint, and says so everywhere.
#[tokio::test]
async fn login_tokens_may_be_off() {
    let server = Server::without_login_tokens().await;
    let anna = register(&server, Value::Null).await;
    let anna = text(&anna, "access_token");
    server.post(GET_TOKEN, anna, &json!({})).await.expect_error(404, "M_UNRECOGNIZED");
    let flows = server.get(&format!("{V3}/login"), "").await.ok();
    assert_eq!(flows["flows"], json!([{ "type": "m.login.password" }]));
    let capabilities = server.get(&format!("{V3}/capabilities"), anna).await.ok();
    assert_ne!(capabilities["capabilities"]["m.get_login_token"]["enabled"], true);
    let body = json!({ "type": "m.login.token", "token": "wsl_1_x" });
    server.post(&format!("{V3}/login"), "", &body).await.expect_error(400, "M_UNKNOWN");
}

/// The page with which clients sign in that know no login type of this server.
#[tokio::test]
async fn the_login_page() {
    let server = Server::new().await;
    let answer = server.get("/_matrix/static/client/login/?device_id=GHTYAJCE", "").await;
    assert_eq!(
        (answer.status.as_u16(), &answer.headers["content-type"]),
        (200, &"text/html; charset=utf-8".parse().unwrap())
    );
    let policy = answer.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'sha256-") && !policy.contains("unsafe"), "{policy}");
    let page = String::from_utf8(answer.bytes).unwrap();
    assert!(page.contains("window.matrixLogin.onLogin(answer)") && page.contains("/_matrix/client/v3/login"), "{page}");
}
