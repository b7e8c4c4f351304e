//! Devices: what their user sees of them, and how they go.

use http::{Method, Request, header};
use serde_json::{Value, json};

use crate::server::{Answer, Server, encoded};

const V3: &str = "/_matrix/client/v3";

/// A user with a password; the answer to the registration.
async fn register(server: &Server, username: &str, device: &str) -> String {
    let body = json!({
        "username": username, "password": "correct horse", "device_id": device,
        "initial_device_display_name": format!("{username}'s first"), "auth": { "type": "m.login.dummy" },
    });
    token(&server.post(&format!("{V3}/register"), "", &body).await.ok())
}

async fn login(server: &Server, username: &str, device: &str) -> String {
    let body = json!({
        "type": "m.login.password", "identifier": { "type": "m.id.user", "user": username },
        "password": "correct horse", "device_id": device, "initial_device_display_name": "Ward phone",
    });
    token(&server.post(&format!("{V3}/login"), "", &body).await.ok())
}

fn token(answer: &Value) -> String {
    answer["access_token"].as_str().unwrap().to_owned()
}

fn password(user: &str, password: &str, session: Option<&str>) -> Value {
    json!({
        "type": "m.login.password", "identifier": { "type": "m.id.user", "user": user }, "password": password,
        "session": session,
    })
}

async fn delete(server: &Server, token: &str, device: &str, auth: Option<Value>) -> Answer {
    let body = auth.map_or(String::new(), |auth| json!({ "auth": auth }).to_string());
    server.ask(Method::DELETE, &format!("{V3}/devices/{device}"), token, body).await
}

#[tokio::test]
async fn a_user_sees_and_renames_devices() {
    let server = Server::new().await;
    let anna = register(&server, "anna", "LAPTOP").await;
    login(&server, "anna", "PHONE").await;
    let bert = register(&server, "bert", "LAPTOP").await;
    let listed = server.get(&format!("{V3}/devices"), &anna).await.ok();
    let devices = listed["devices"].as_array().unwrap();
    let ids: Vec<&str> = devices.iter().map(|device| device["device_id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["LAPTOP", "PHONE"]);
    let phone = server.get(&format!("{V3}/devices/PHONE"), &anna).await.ok();
    assert_eq!((&phone, &phone["display_name"]), (&devices[1], &json!("Ward phone")));
    assert_eq!(phone["last_seen_ts"], wardstead_store::testing::START_MS);

    let path = format!("{V3}/devices/PHONE");
    assert_eq!(server.put(&path, &anna, &json!({ "display_name": "Anna's" })).await.ok(), json!({}));
    assert_eq!(server.get(&path, &anna).await.ok()["display_name"], "Anna's");
    server.put(&path, &anna, &json!({})).await.ok();
    assert_eq!(server.get(&path, &anna).await.ok()["display_name"], "Anna's", "no name is given: none changes");
    let long = json!({ "display_name": "n".repeat(256) });
    server.put(&path, &anna, &long).await.expect_error(400, "M_INVALID_PARAM");
    // Another's devices are nobody's.
    for (token, device) in [(&anna, "NOBODYS"), (&bert, "PHONE")] {
        let path = format!("{V3}/devices/{device}");
        server.get(&path, token).await.expect_error(404, "M_NOT_FOUND");
        server.put(&path, token, &json!({})).await.expect_error(404, "M_NOT_FOUND");
        server.put(&path, token, &json!({ "display_name": "n" })).await.expect_error(404, "M_NOT_FOUND");
    }
    // A login on a device that is there names it no more.
    login(&server, "anna", "PHONE").await;
    assert_eq!(server.get(&path, &anna).await.ok()["display_name"], "Anna's");
}

#[tokio::test]
async fn a_device_is_deleted_by_its_user_who_confirms_it() {
    let server = Server::new().await;
    let anna = register(&server, "anna", "LAPTOP").await;
    register(&server, "bert", "LAPTOP").await;
    let phone = login(&server, "anna", "PHONE").await;

    let asked = delete(&server, &anna, "PHONE", None).await;
    assert_eq!(asked.status, 401);
    assert_eq!(asked.json()["flows"], json!([{ "stages": ["m.login.password"] }]));
    assert!(asked.json()["params"].is_object() && asked.json().get("errcode").is_none());
    let session = asked.json()["session"].as_str().unwrap().to_owned();
    let wrong = delete(&server, &anna, "PHONE", Some(password("anna", "wrong horse", Some(&session)))).await;
    assert_eq!((wrong.status.as_u16(), &wrong.json()["errcode"]), (401, &json!("M_FORBIDDEN")));
    assert!(wrong.json()["flows"].is_array() && wrong.json()["session"].is_string());
    let bert = delete(&server, &anna, "PHONE", Some(password("bert", "correct horse", None))).await;
    bert.expect_error(403, "M_FORBIDDEN");
    server.get(&format!("{V3}/devices/PHONE"), &anna).await.ok();

    let deleted = delete(&server, &anna, "PHONE", Some(password("anna", "correct horse", Some(&session)))).await;
    assert_eq!(deleted.ok(), json!({}));
    server.get(&format!("{V3}/devices/PHONE"), &anna).await.expect_error(404, "M_NOT_FOUND");
    let answer = server.get(&format!("{V3}/account/whoami"), &phone).await;
    answer.expect_error(401, "M_UNKNOWN_TOKEN");
    assert_ne!(answer.json()["soft_logout"], true);

    // What was confirmed was this: not another device, and not once more.
    login(&server, "anna", "TABLET").await;
    for device in ["TABLET", "PHONE"] {
        assert_eq!(delete(&server, &anna, device, Some(json!({ "session": session }))).await.status, 401);
    }
    server.get(&format!("{V3}/devices/TABLET"), &anna).await.ok();
    // One that is gone is gone.
    delete(&server, &anna, "PHONE", Some(password("anna", "correct horse", None))).await.ok();
}

#[tokio::test]
async fn many_devices_are_deleted_at_once() {
    let server = Server::new().await;
    let anna = register(&server, "anna", "LAPTOP").await;
    let mut others = Vec::new();
    for device in ["A", "B", "C"] {
        others.push(login(&server, "anna", device).await);
    }
    let path = format!("{V3}/delete_devices");
    let mut body = json!({ "devices": ["A", "B", "NOBODYS", "A", "LAPTOP"] });
    let asked = server.post(&path, &anna, &body).await;
    assert_eq!(asked.status, 401);
    let session = asked.json()["session"].clone();
    body["auth"] = password("@anna:example.org", "correct horse", session.as_str());
    server.post(&path, &anna, &body).await.ok();
    // One's own device may be among them.
    server.get(&format!("{V3}/devices"), &anna).await.expect_error(401, "M_UNKNOWN_TOKEN");
    let left = server.get(&format!("{V3}/devices"), &others[2]).await.ok();
    assert_eq!(left["devices"].as_array().unwrap().len(), 1);
    server.post(&path, &others[2], &json!({})).await.expect_error(400, "M_MISSING_PARAM");
    let none = json!({ "devices": [], "auth": password("anna", "correct horse", None) });
    server.post(&path, &others[2], &none).await.ok();
}

/// A sync that waits ends as soon as its device does, however that ends and on whichever node: its token is unknown.
#[tokio::test(start_paused = true)]
async fn a_wait_ends_with_its_device() {
    for how in ["delete", "logout", "logout/all", "login"] {
        for elsewhere in [false, true] {
            let server = Server::new().await;
            let there = server.another(2).await;
            let acting = if elsewhere { &there } else { &server };
            let laptop = register(&server, "anna", "LAPTOP").await;
            let phone = login(&server, "anna", "PHONE").await;
            let since = server.get(&format!("{V3}/sync"), &phone).await.ok();
            let since = encoded(since["next_batch"].as_str().unwrap());
            let path = format!("{V3}/sync?timeout=30000&since={since}");
            let waiting = server.get(&path, &phone);
            let ending = async {
                tokio::time::sleep(std::time::Duration::from_secs(3)).await;
                let ended = match how {
                    "delete" => {
                        delete(acting, &laptop, "PHONE", Some(password("anna", "correct horse", None))).await.status
                    }
                    "login" => {
                        login(acting, "anna", "PHONE").await;
                        http::StatusCode::OK
                    }
                    "logout" => acting.post(&format!("{V3}/logout"), &phone, &json!({})).await.status,
                    _ => acting.post(&format!("{V3}/logout/all"), &laptop, &json!({})).await.status,
                };
                assert_eq!(ended, 200);
            };
            let both = futures::future::join(waiting, ending);
            let (answer, ()) = tokio::time::timeout(std::time::Duration::from_secs(10), both).await.expect(how);
            answer.expect_error(401, "M_UNKNOWN_TOKEN");
        }
    }
}

/// The device of another session goes: this one waits on.
#[tokio::test(start_paused = true)]
async fn a_wait_outlives_other_devices() {
    let server = Server::new().await;
    let laptop = register(&server, "anna", "LAPTOP").await;
    let phone = login(&server, "anna", "PHONE").await;
    let since = server.get(&format!("{V3}/sync"), &laptop).await.ok();
    let since = encoded(since["next_batch"].as_str().unwrap());
    let path = format!("{V3}/sync?timeout=30000&since={since}");
    let ending = async {
        tokio::time::sleep(std::time::Duration::from_secs(3)).await;
        server.post(&format!("{V3}/logout"), &phone, &json!({})).await.ok();
    };
    let (answer, ()) = tokio::join!(server.get(&path, &laptop), ending);
    answer.ok();
}

/// Of oneself, and of everybody for who administers the server.
#[tokio::test(start_paused = true)]
async fn who_is_who() {
    let server = Server::new().await;
    let anna = register(&server, "anna", "LAPTOP").await;
    let bert = register(&server, "bert", "LAPTOP").await;
    let admin = server.admin("boss").await;
    server.clock.advance_ms(2 * wardstead_limits::accounts::LAST_SEEN_MS);
    let seen = Request::builder()
        .uri(format!("{V3}/account/whoami"))
        .header(header::AUTHORIZATION, format!("Bearer {anna}"))
        .header(header::USER_AGENT, "Ward/1.0");
    server.send(seen.body("".into()).unwrap()).await.ok();
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;

    let path = format!("{V3}/admin/whois/@anna:example.org");
    let of_anna = server.get(&path, &anna).await.ok();
    assert_eq!(of_anna["user_id"], "@anna:example.org");
    let connection = &of_anna["devices"]["LAPTOP"]["sessions"][0]["connections"][0];
    assert_eq!(connection["user_agent"], "Ward/1.0");
    assert_eq!(
        connection["last_seen"],
        wardstead_store::testing::START_MS + 2 * wardstead_limits::accounts::LAST_SEEN_MS
    );
    assert_eq!(server.get(&path, &admin).await.ok(), of_anna);
    server.get(&path, &bert).await.expect_error(403, "M_FORBIDDEN");
    // Who may not ask does not learn who is there; who may does.
    let nobody = format!("{V3}/admin/whois/@nobody:example.org");
    server.get(&nobody, &bert).await.expect_error(403, "M_FORBIDDEN");
    server.get(&nobody, &admin).await.expect_error(404, "M_NOT_FOUND");
}

/// A token by which others learn who somebody is lets nobody in, and is one's own.
#[tokio::test]
async fn an_openid_token() {
    let server = Server::new().await;
    let anna = register(&server, "anna", "LAPTOP").await;
    let path = format!("{V3}/user/@anna:example.org/openid/request_token");
    let made = server.post(&path, &anna, &json!({})).await.ok();
    assert_eq!((&made["token_type"], &made["matrix_server_name"]), (&json!("Bearer"), &json!("example.org")));
    assert_eq!(made["expires_in"], 3600);
    server.get(&format!("{V3}/account/whoami"), &token(&made)).await.expect_error(401, "M_UNKNOWN_TOKEN");
    // Whoever was given it asks whose it is, with nothing else.
    let asked = format!("/_matrix/federation/v1/openid/userinfo?access_token={}", token(&made));
    assert_eq!(server.get(&asked, "").await.ok(), json!({ "sub": "@anna:example.org" }));
    for other in ["nothing", "", &anna, &format!("{}x", token(&made))] {
        let asked = format!("/_matrix/federation/v1/openid/userinfo?access_token={other}");
        server.get(&asked, "").await.expect_error(401, "M_UNKNOWN_TOKEN");
    }
    server.clock.advance_ms(3_600_000);
    server.get(&asked, "").await.expect_error(401, "M_UNKNOWN_TOKEN");
    let path = format!("{V3}/user/@bert:example.org/openid/request_token");
    server.post(&path, &anna, &json!({})).await.expect_error(403, "M_FORBIDDEN");
}

/// MSC3890: how a device notifies goes with the device, in the commit of its removal, and the others are told.
#[tokio::test]
async fn how_a_device_notifies_goes_with_the_device() {
    let server = Server::without_presence().await;
    let first = register(&server, "anna", "FIRST").await;
    let user = encoded("@anna:example.org");
    let path =
        |device: &str| format!("{V3}/user/{user}/account_data/org.matrix.msc3890.local_notification_settings.{device}");
    let (phone, tablet) = (login(&server, "anna", "PHONE").await, login(&server, "anna", "TABLET").await);
    for device in ["FIRST", "PHONE", "TABLET"] {
        server.put(&path(device), &first, &json!({ "is_silenced": true })).await.ok();
    }
    let since = server.get(&format!("{V3}/sync"), &first).await.ok();
    server.post(&format!("{V3}/logout"), &phone, &json!({})).await.ok();
    server.get(&path("PHONE"), &first).await.expect_error(404, "M_NOT_FOUND");
    for kept in ["FIRST", "TABLET"] {
        assert_eq!(server.get(&path(kept), &first).await.ok(), json!({ "is_silenced": true }));
    }
    let since = encoded(since["next_batch"].as_str().unwrap());
    let told = server.get(&format!("{V3}/sync?since={since}"), &first).await.ok();
    let event = json!({ "type": "org.matrix.msc3890.local_notification_settings.PHONE", "content": {} });
    assert_eq!(told["account_data"]["events"], json!([event]));
    server.post(&format!("{V3}/logout/all"), &tablet, &json!({})).await.ok();
    let last = login(&server, "anna", "LAST").await;
    for gone in ["FIRST", "PHONE", "TABLET"] {
        server.get(&path(gone), &last).await.expect_error(404, "M_NOT_FOUND");
    }
}
