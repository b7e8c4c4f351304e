//! Pushers: setting them, seeing them, and how they go.

use serde_json::{Value, json};
use wardstead_limits::pushers as limits;

use crate::{
    account::{OLD, account, at, credentials},
    server::Server,
};

const URL: &str = "https://push.example.org/_matrix/push/v1/notify";
/// Tables of pushers; timers may stay behind, they find nothing.
const TABLES: std::ops::Range<u16> = 0x0f0..0x0f4;

fn pusher(app_id: &str, pushkey: &str) -> Value {
    json!({
        "kind": "http", "app_id": app_id, "pushkey": pushkey, "app_display_name": "Ward", "device_display_name": "Phone",
        "profile_tag": "tag", "lang": "en", "data": { "url": URL, "format": "event_id_only", "org.example.own": { "a": 1 } },
    })
}

async fn set(server: &Server, token: &str, pusher: &Value) {
    assert_eq!(server.post(&at("pushers/set"), token, pusher).await.ok(), json!({}));
}

async fn pushkeys(server: &Server, token: &str) -> Vec<String> {
    let listed = server.get(&at("pushers"), token).await.ok();
    let pushers = listed["pushers"].as_array().unwrap().iter();
    pushers.map(|pusher| pusher["pushkey"].as_str().unwrap().to_owned()).collect()
}

async fn login(server: &Server, name: &str) -> String {
    let answer = server.post(&at("login"), "", &credentials(name, OLD)).await.ok();
    answer["access_token"].as_str().unwrap().to_owned()
}

fn rows(server: &Server) -> usize {
    server.rows().keys().filter(|key| TABLES.contains(&(key.table().stored() & 0xfff))).count()
}

#[tokio::test]
async fn pushers_are_set_seen_replaced_and_removed() {
    let server = Server::new().await;
    let (anna, bert) = (account(&server, "anna").await, account(&server, "bert").await);
    set(&server, &anna, &pusher("org.example.app", "one")).await;
    set(&server, &anna, &pusher("org.example.app", "two")).await;
    let mut shown = pusher("org.example.app", "one");
    assert_eq!(server.get(&at("pushers"), &anna).await.ok()["pushers"][0], shown, "with all that the app put there");
    assert_eq!(pushkeys(&server, &bert).await, Vec::<String>::new());

    shown["lang"] = "de".into();
    shown.as_object_mut().unwrap().remove("profile_tag");
    set(&server, &anna, &shown).await;
    assert_eq!(server.get(&at("pushers"), &anna).await.ok()["pushers"][0], shown);
    assert_eq!(pushkeys(&server, &anna).await, ["one", "two"]);

    let nothing = json!({ "kind": null, "app_id": "org.example.app", "pushkey": "one" });
    set(&server, &bert, &nothing).await;
    assert_eq!(pushkeys(&server, &anna).await, ["one", "two"], "nobody removes another's");
    set(&server, &anna, &nothing).await;
    set(&server, &anna, &nothing).await;
    assert_eq!(pushkeys(&server, &anna).await, ["two"]);
    // On another node, at once.
    assert_eq!(pushkeys(&server.another(2).await, &anna).await, ["two"]);
    set(&server, &anna, &json!({ "kind": null, "app_id": "org.example.app", "pushkey": "two" })).await;
    assert_eq!(rows(&server), 0, "nothing stays behind");
}

#[tokio::test]
async fn a_push_key_is_one_users_unless_it_is_shared() {
    let server = Server::new().await;
    let (anna, bert) = (account(&server, "anna").await, account(&server, "bert").await);
    set(&server, &anna, &pusher("org.example.app", "one")).await;
    set(&server, &anna, &pusher("org.example.other", "one")).await;
    let mut shared = pusher("org.example.app", "one");
    shared["append"] = true.into();
    set(&server, &bert, &shared).await;
    assert_eq!((pushkeys(&server, &anna).await.len(), pushkeys(&server, &bert).await.len()), (2, 1));
    set(&server, &bert, &pusher("org.example.app", "one")).await;
    assert_eq!((pushkeys(&server, &anna).await.len(), pushkeys(&server, &bert).await.len()), (1, 1));
    let left = server.get(&at("pushers"), &anna).await.ok();
    assert_eq!(left["pushers"][0]["app_id"], "org.example.other");
}

#[tokio::test]
async fn a_pusher_goes_with_its_device() {
    let server = Server::new().await;
    let anna = account(&server, "anna").await;
    let other = login(&server, "anna").await;
    set(&server, &anna, &pusher("org.example.app", "one")).await;
    set(&server, &other, &pusher("org.example.app", "two")).await;
    server.post(&at("logout"), &other, &json!({})).await.ok();
    assert_eq!(pushkeys(&server, &anna).await, ["one"]);

    let other = login(&server, "anna").await;
    set(&server, &other, &pusher("org.example.app", "two")).await;
    let body = json!({ "new_password": "battery staple", "auth": credentials("anna", OLD) });
    server.post(&at("account/password"), &anna, &body).await.ok();
    assert_eq!(pushkeys(&server, &anna).await, ["one"], "a new password ends those of other devices");

    let body = json!({ "auth": credentials("anna", "battery staple") });
    server.post(&at("account/deactivate"), &anna, &body).await.ok();
    assert_eq!(rows(&server), 0, "nothing stays behind");
}

#[tokio::test]
async fn pushers_that_cannot_be_are_refused() {
    let server = Server::new().await;
    let anna = account(&server, "anna").await;
    let refused = async |change: &dyn Fn(&mut Value), errcode: &str| {
        let mut body = pusher("org.example.app", "one");
        change(&mut body);
        server.post(&at("pushers/set"), &anna, &body).await.expect_error(400, errcode);
    };
    for field in ["kind", "app_id", "pushkey", "app_display_name", "device_display_name", "lang", "data"] {
        refused(&|body| drop(body.as_object_mut().unwrap().remove(field)), "M_MISSING_PARAM").await;
    }
    refused(&|body| body["data"] = json!({}), "M_MISSING_PARAM").await;
    for kind in ["email", "carrier-pigeon"] {
        refused(&|body| body["kind"] = kind.into(), "M_INVALID_PARAM").await;
    }
    for url in [
        "http://push.example.org/_matrix/push/v1/notify",
        "https://push.example.org/notify",
        "https://127.0.0.1/_matrix/push/v1/notify",
        "gateway",
    ] {
        refused(&|body| body["data"]["url"] = url.into(), "M_INVALID_PARAM").await;
    }
    for (field, most) in [
        ("app_id", limits::APP_ID_CHARS),
        ("pushkey", limits::PUSHKEY_BYTES),
        ("app_display_name", limits::NAME_BYTES),
        ("device_display_name", limits::NAME_BYTES),
        ("profile_tag", limits::NAME_BYTES),
        ("lang", limits::LANG_BYTES),
    ] {
        refused(&|body| body[field] = "a".repeat(most + 1).into(), "M_INVALID_PARAM").await;
        let mut longest = pusher("org.example.app", "one");
        longest[field] = "a".repeat(most).into();
        set(&server, &anna, &longest).await;
    }
    refused(&|body| body["data"]["own"] = "a".repeat(limits::DATA_BYTES).into(), "M_INVALID_PARAM").await;
    let before = pushkeys(&server, &anna).await.len();
    for number in before..limits::USER_PUSHER_ENTRIES {
        set(&server, &anna, &pusher("org.example.many", &number.to_string())).await;
    }
    let more = server.post(&at("pushers/set"), &anna, &pusher("org.example.many", "more")).await;
    more.expect_error(413, "M_TOO_LARGE");
    let capabilities = server.get(&at("capabilities"), &anna).await.ok();
    assert_eq!(capabilities["capabilities"]["org.wardstead.email_pushers"], json!({ "enabled": false }));
}
