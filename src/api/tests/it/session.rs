//! Registration, sign-in, sign-out.

use http::Method;
use serde_json::{Value, json};

use crate::server::Server;

const REGISTER: &str = "/_matrix/client/v3/register";
const LOGIN: &str = "/_matrix/client/v3/login";
const WHOAMI: &str = "/_matrix/client/v3/account/whoami";

fn account(username: &str) -> Value {
    json!({ "username": username, "password": "correct horse", "auth": { "type": "m.login.dummy" } })
}

fn credentials(user: &str, password: &str) -> Value {
    json!({ "type": "m.login.password", "identifier": { "type": "m.id.user", "user": user }, "password": password })
}

#[tokio::test]
async fn registering_opens_a_session() {
    let server = Server::new().await;
    let json = server.post(REGISTER, "", &account("anna")).await.ok();
    assert_eq!(json["user_id"], "@anna:example.org");
    let token = json["access_token"].as_str().unwrap();
    let who = server.get(WHOAMI, token).await.ok();
    assert_eq!(who, json!({ "user_id": "@anna:example.org", "device_id": json["device_id"] }));
}

/// The first question of every client: 401 with the flows, and a session to send back.
#[tokio::test]
async fn registering_without_authentication_tells_the_flows() {
    let server = Server::new().await;
    for body in ["", "{}", r#"{"username":"anna","password":"correct horse"}"#] {
        let answer = server.ask(Method::POST, REGISTER, "", body).await;
        assert_eq!(answer.status, 401);
        let json = answer.json();
        let expected = json!([{ "stages": ["m.login.dummy"] }, { "stages": ["m.login.registration_token"] }]);
        assert_eq!((&json["flows"], &json["params"]), (&expected, &json!({})));
        assert!(json["session"].as_str().is_some_and(|session| !session.is_empty()));
        assert_eq!(json.get("errcode"), None);
    }
}

/// A stage that went wrong is told with the flows, so that the client can try again.
#[tokio::test]
async fn a_failed_stage_is_told_with_the_flows() {
    let server = Server::new().await;
    let mut body = account("anna");
    body["auth"] = json!({ "type": "m.login.registration_token", "token": "wrong" });
    let answer = server.post(REGISTER, "", &body).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["errcode"]), (401, &json!("M_FORBIDDEN")));
    assert!(answer.json()["flows"].is_array());
    body["auth"] = json!({ "type": "m.login.recaptcha", "response": "x" });
    assert_eq!(server.post(REGISTER, "", &body).await.json()["errcode"], "M_UNRECOGNIZED");
}

#[tokio::test]
async fn registering_without_a_session() {
    let server = Server::new().await;
    let mut body = account("anna");
    body["inhibit_login"] = true.into();
    let json = server.post(REGISTER, "", &body).await.ok();
    assert_eq!(json, json!({ "user_id": "@anna:example.org" }), "nothing is null");
    server.post(LOGIN, "", &credentials("anna", "correct horse")).await.ok();
}

#[tokio::test]
async fn refused_registrations() {
    let server = Server::new().await;
    server.post(REGISTER, "", &account("anna")).await.ok();
    server.post(REGISTER, "", &account("anna")).await.expect_error(400, "M_USER_IN_USE");
    server.post(REGISTER, "", &account("ann a")).await.expect_error(400, "M_INVALID_USERNAME");
    let mut body = account("bert");
    body["password"] = "short".into();
    server.post(REGISTER, "", &body).await.expect_error(400, "M_WEAK_PASSWORD");
    body.as_object_mut().unwrap().remove("password");
    server.post(REGISTER, "", &body).await.expect_error(400, "M_MISSING_PARAM");
    let other = format!("{REGISTER}?kind=robot");
    server.post(&other, "", &account("bert")).await.expect_error(400, "M_INVALID_PARAM");
    let mut body = account("bert");
    body["device_id"] = "d".repeat(256).into();
    server.post(REGISTER, "", &body).await.expect_error(400, "M_INVALID_PARAM");
}

#[tokio::test]
async fn availability_of_names() {
    let server = Server::new().await;
    server.token("anna").await;
    let path = format!("{REGISTER}/available?username=");
    assert_eq!(server.get(&format!("{path}bert"), "").await.ok(), json!({ "available": true }));
    server.get(&format!("{path}anna"), "").await.expect_error(400, "M_USER_IN_USE");
    server.get(&format!("{path}%C3%A4nne"), "").await.expect_error(400, "M_INVALID_USERNAME");
}

/// By user name, by full id, and in the form of before r0.4.
#[tokio::test]
async fn signing_in() {
    let server = Server::new().await;
    server.post(REGISTER, "", &account("anna")).await.ok();
    let old = json!({ "type": "m.login.password", "user": "anna", "password": "correct horse" });
    for body in [credentials("anna", "correct horse"), credentials("@anna:example.org", "correct horse"), old] {
        let json = server.post(LOGIN, "", &body).await.ok();
        assert_eq!(json["user_id"], "@anna:example.org");
        let who = server.get(WHOAMI, json["access_token"].as_str().unwrap()).await.ok();
        assert_eq!(who["device_id"], json["device_id"]);
    }
}

#[tokio::test]
async fn signing_in_again_on_the_same_device() {
    let server = Server::new().await;
    server.post(REGISTER, "", &account("anna")).await.ok();
    let mut body = credentials("anna", "correct horse");
    body["device_id"] = "WARD7".into();
    let first = server.post(LOGIN, "", &body).await.ok();
    let second = server.post(LOGIN, "", &body).await.ok();
    assert_eq!((&first["device_id"], &second["device_id"]), (&json!("WARD7"), &json!("WARD7")));
    // The new session replaces the old one of that device.
    server.get(WHOAMI, first["access_token"].as_str().unwrap()).await.expect_error(401, "M_UNKNOWN_TOKEN");
    server.get(WHOAMI, second["access_token"].as_str().unwrap()).await.ok();
}

/// Where the operator wrote down the server's address, a client that signs in learns it.
#[tokio::test]
async fn signing_in_tells_the_configured_address() {
    let server = Server::with_base_url(Some("https://chat.example.org")).await;
    server.post(REGISTER, "", &account("anna")).await.ok();
    let json = server.post(LOGIN, "", &credentials("anna", "correct horse")).await.ok();
    assert_eq!(json["well_known"]["m.homeserver"]["base_url"], "https://chat.example.org");
}

#[tokio::test]
async fn refused_logins() {
    let server = Server::new().await;
    server.post(REGISTER, "", &account("anna")).await.ok();
    for (user, password) in
        [("anna", "wrong horse"), ("nobody", "correct horse"), ("@anna:other.org", "correct horse"), ("", "")]
    {
        server.post(LOGIN, "", &credentials(user, password)).await.expect_error(403, "M_FORBIDDEN");
    }
    let refuse = async |body: Value| server.post(LOGIN, "", &body).await;
    refuse(json!({ "type": "m.login.token", "token": "x" })).await.expect_error(403, "M_FORBIDDEN");
    refuse(json!({ "type": "org.example.fingerprint" })).await.expect_error(400, "M_UNKNOWN");
    refuse(json!({ "type": "m.login.password", "password": "correct horse" }))
        .await
        .expect_error(400, "M_MISSING_PARAM");
    let mut by_mail = credentials("anna", "correct horse");
    by_mail["identifier"] = json!({ "type": "m.id.thirdparty", "medium": "email", "address": "a@b" });
    refuse(by_mail).await.expect_error(403, "M_FORBIDDEN");
    let mut by_phone = credentials("anna", "correct horse");
    by_phone["identifier"] = json!({ "type": "m.id.phone", "country": "GB", "phone": "07700900000" });
    refuse(by_phone).await.expect_error(403, "M_FORBIDDEN");
    let old = json!({ "type": "m.login.password", "medium": "email", "address": "a@b", "password": "correct horse" });
    refuse(old).await.expect_error(403, "M_FORBIDDEN");
    let service =
        json!({ "type": "m.login.application_service", "identifier": { "type": "m.id.user", "user": "anna" } });
    refuse(service).await.expect_error(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn a_deactivated_account_is_told_so() {
    let server = Server::new().await;
    let token = server.post(REGISTER, "", &account("anna")).await.ok()["access_token"].as_str().unwrap().to_owned();
    server
        .accounts
        .deactivate(ruma::user_id!("@anna:example.org"), false, &wardstead_engine::Batch::new())
        .await
        .unwrap();
    server.post(LOGIN, "", &credentials("anna", "correct horse")).await.expect_error(403, "M_USER_DEACTIVATED");
    server.post(LOGIN, "", &credentials("anna", "wrong horse")).await.expect_error(403, "M_FORBIDDEN");
    let answer = server.get(WHOAMI, &token).await;
    assert!(matches!(answer.status.as_u16(), 401 | 403), "{answer:?}");
}

/// Clients send nothing, `{}`, or no content type at all.
#[tokio::test]
async fn signing_out() {
    let server = Server::new().await;
    for body in ["", "{}"] {
        let token = server.token(&format!("anna{}", body.len())).await;
        let answer = server.ask(Method::POST, "/_matrix/client/v3/logout", &token, body).await;
        assert_eq!(answer.ok(), json!({}));
        server.get(WHOAMI, &token).await.expect_error(401, "M_UNKNOWN_TOKEN");
    }
}

#[tokio::test]
async fn signing_out_everywhere() {
    let server = Server::new().await;
    let first = server.post(REGISTER, "", &account("anna")).await.ok()["access_token"].clone();
    let second = server.post(LOGIN, "", &credentials("anna", "correct horse")).await.ok()["access_token"].clone();
    let (first, second) = (first.as_str().unwrap(), second.as_str().unwrap());
    let other = server.token("bert").await;
    server.post("/_matrix/client/v3/logout/all", first, &json!({})).await.ok();
    server.get(WHOAMI, first).await.expect_error(401, "M_UNKNOWN_TOKEN");
    server.get(WHOAMI, second).await.expect_error(401, "M_UNKNOWN_TOKEN");
    server.get(WHOAMI, &other).await.ok();
}
