//! A new password, the end of an account, accounts by secret, guests.

use std::time::Duration;

use hmac::{Hmac, Mac as _};
use http::Method;
use serde_json::{Value, json};
use sha1::Sha1;
use wardstead_limits::profiles::DISPLAY_NAME_BYTES;

use crate::server::{Server, encoded};

const V3: &str = "/_matrix/client/v3";
const SECRET: &str = "/_synapse/admin/v1/register";
pub(crate) const OLD: &str = "correct horse";
const NEW: &str = "battery staple";

pub(crate) fn at(path: &str) -> String {
    format!("{V3}/{path}")
}

pub(crate) async fn account(server: &Server, name: &str) -> String {
    let body = json!({ "username": name, "password": OLD, "auth": { "type": "m.login.dummy" } });
    server.post(&at("register"), "", &body).await.ok()["access_token"].as_str().unwrap().to_owned()
}

pub(crate) fn credentials(name: &str, password: &str) -> Value {
    json!({ "type": "m.login.password", "identifier": { "type": "m.id.user", "user": name }, "password": password })
}

async fn login(server: &Server, name: &str, password: &str) -> String {
    let answer = server.post(&at("login"), "", &credentials(name, password)).await.ok();
    answer["access_token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_new_password_ends_the_other_sessions() {
    let server = Server::new().await;
    let anna = account(&server, "anna").await;
    let (other, path) = (login(&server, "anna", OLD).await, at("account/password"));
    let with = |password: &str, auth: Value| json!({ "new_password": password, "auth": auth });

    server.post(&path, "", &with(NEW, credentials("anna", OLD))).await.expect_error(401, "M_MISSING_TOKEN");
    let asked = server.post(&path, &anna, &json!({ "new_password": NEW })).await;
    assert_eq!((asked.status.as_u16(), &asked.json()["flows"]), (401, &json!([{ "stages": ["m.login.password"] }])));
    let wrong = server.post(&path, &anna, &with(NEW, credentials("anna", "wrong horse"))).await;
    assert_eq!((wrong.status.as_u16(), &wrong.json()["errcode"]), (401, &json!("M_FORBIDDEN")));
    server.post(&path, &anna, &with("short", credentials("anna", OLD))).await.expect_error(400, "M_WEAK_PASSWORD");
    account(&server, "bert").await;
    server.post(&path, &anna, &with(NEW, credentials("bert", OLD))).await.expect_error(403, "M_FORBIDDEN");
    server.get(&at("account/whoami"), &other).await.ok();

    server.post(&path, &anna, &with(NEW, credentials("@anna:example.org", OLD))).await.ok();
    server.get(&at("account/whoami"), &anna).await.ok();
    server.get(&at("account/whoami"), &other).await.expect_error(401, "M_UNKNOWN_TOKEN");
    server.post(&at("login"), "", &credentials("anna", OLD)).await.expect_error(403, "M_FORBIDDEN");

    let other = login(&server, "anna", NEW).await;
    let mut keep = with(OLD, credentials("anna", NEW));
    keep["logout_devices"] = false.into();
    server.post(&path, &anna, &keep).await.ok();
    server.get(&at("account/whoami"), &other).await.ok();
    login(&server, "anna", OLD).await;
}

pub(crate) async fn room(server: &Server, token: &str, how: &Value) -> String {
    let made = server.post(&at("createRoom"), token, how).await.ok();
    format!("rooms/{}", encoded(made["room_id"].as_str().unwrap()))
}

pub(crate) async fn membership(server: &Server, token: &str, room: &str, user: &str) -> Value {
    let path = at(&format!("{room}/state/m.room.member/{}", encoded(user)));
    server.get(&path, token).await.ok()["membership"].clone()
}

/// Until `user` is outside; time passes only where everybody waits.
pub(crate) async fn until_outside(server: &Server, token: &str, room: &str, user: &str) {
    for _ in 0..10_000 {
        if membership(server, token, room, user).await == "leave" {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{user} is still in {room}");
}

#[tokio::test(start_paused = true)]
async fn who_deactivates_their_account_is_gone() {
    let server = Server::new().await;
    let (anna, bert) = (account(&server, "anna").await, account(&server, "bert").await);
    let joined = room(&server, &anna, &json!({ "invite": ["@bert:example.org"] })).await;
    server.post(&at(&format!("{joined}/join")), &bert, &json!({})).await.ok();
    let invited = room(&server, &anna, &json!({ "invite": ["@bert:example.org"] })).await;
    let data = at("user/@bert:example.org/account_data/org.example.a");
    server.put(&data, &bert, &json!({ "a": 1 })).await.ok();
    server.put(&at("profile/@bert:example.org/displayname"), &bert, &json!({ "displayname": "Bert" })).await.ok();
    let phone = login(&server, "bert", OLD).await;

    let path = at("account/deactivate");
    assert_eq!(server.post(&path, &bert, &json!({})).await.status, 401);
    let wrong = server.post(&path, &bert, &json!({ "auth": credentials("bert", "wrong horse") })).await;
    assert_eq!(wrong.json()["errcode"], "M_FORBIDDEN");
    let gone = server.post(&path, &bert, &json!({ "auth": credentials("bert", OLD) })).await.ok();
    assert_eq!(gone, json!({ "id_server_unbind_result": "success" }));

    for token in [&bert, &phone] {
        let answer = server.get(&at("account/whoami"), token).await;
        assert!(matches!(answer.status.as_u16(), 401 | 403), "{answer:?}");
    }
    server.post(&at("login"), "", &credentials("bert", OLD)).await.expect_error(403, "M_USER_DEACTIVATED");
    let again = json!({ "username": "bert", "password": OLD, "auth": { "type": "m.login.dummy" } });
    server.post(&at("register"), "", &again).await.expect_error(400, "M_USER_IN_USE");
    assert!(!server.rows().values().any(|row| row.windows(13).any(|window| window == b"org.example.a")));
    // Whichever node still lives, with nothing in its memory.
    let another = server.another(2).await;
    drop(server);
    for room in [&joined, &invited] {
        until_outside(&another, &anna, room, "@bert:example.org").await;
    }
}

/// Who was there goes on seeing what somebody wrote who was erased; who comes later sees that there was something.
#[tokio::test(start_paused = true)]
async fn who_comes_after_an_erasure_sees_redacted_copies() {
    const SAID: &str = "Mr Miller is in bed 4.";
    let server = Server::new().await;
    let (anna, bert, carl) =
        (account(&server, "anna").await, account(&server, "bert").await, account(&server, "carl").await);
    let room = room(&server, &anna, &json!({ "preset": "public_chat" })).await;
    server.post(&at(&format!("{room}/join")), &bert, &json!({})).await.ok();
    let say = async |token: &str, txn: &str, content: Value| {
        let path = at(&format!("{room}/send/m.room.message/{txn}"));
        server.put(&path, token, &content).await.ok()["event_id"].as_str().unwrap().to_owned()
    };
    let opening = say(&anna, "1", json!({ "msgtype": "m.text", "body": "Who is where?" })).await;
    let reply = json!({ "rel_type": "m.thread", "event_id": opening });
    let said = say(&bert, "2", json!({ "msgtype": "m.text", "body": SAID, "m.relates_to": reply })).await;
    let edit = json!({ "rel_type": "m.replace", "event_id": said });
    let content = json!({ "msgtype": "m.text", "body": SAID, "m.new_content": { "msgtype": "m.text", "body": SAID },
        "m.relates_to": edit });
    say(&bert, "3", content).await;
    let erase = json!({ "erase": true, "auth": credentials("bert", OLD) });
    server.post(&at("account/deactivate"), &bert, &erase).await.ok();
    server.post(&at(&format!("{room}/join")), &carl, &json!({})).await.ok();

    let v1 = format!("/_matrix/client/v1/{room}");
    let (said, opening) = (encoded(&said), encoded(&opening));
    let paths = [
        at(&format!("{room}/messages?dir=b&limit=100")),
        at(&format!("{room}/event/{said}")),
        at(&format!("{room}/context/{said}?limit=20")),
        at(&format!("{room}/context/{opening}?limit=20")),
        at(&format!("{room}/event/{opening}")),
        format!("{v1}/relations/{opening}"),
        format!("{v1}/relations/{said}"),
        format!("{v1}/threads"),
        at("sync?filter={%22room%22:{%22timeline%22:{%22limit%22:100}}}"),
    ];
    for path in paths {
        let shown = async |token: &str| server.get(&path, token).await.ok().to_string();
        assert!(shown(&anna).await.contains(SAID), "{path}: hidden from who was there");
        let late = shown(&carl).await;
        assert!(!late.contains(SAID), "{path}: {late}");
        assert!(late.contains("@bert:example.org"), "{path}: that there was something is shown: {late}");
    }
}

fn mac(nonce: &str, user: &str, password: &str, admin: bool) -> String {
    let said = [nonce, user, password, if admin { "admin" } else { "notadmin" }].join("\0");
    let mac = <Hmac<Sha1> as hmac::Mac>::new_from_slice(b"complement").unwrap().chain_update(said);
    let bytes = mac.finalize().into_bytes();
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

#[tokio::test]
async fn who_knows_the_secret_makes_accounts() {
    let server = Server::new().await;
    let another = server.another(2).await;
    let nonce = async || server.get(SECRET, "").await.ok()["nonce"].as_str().unwrap().to_owned();
    let body = |nonce: &str, user: &str, admin: bool, mac: String| json!({ "nonce": nonce, "username": user, "password": OLD, "admin": admin, "mac": mac });
    let one = nonce().await;
    let signed = body(&one, "Admin", true, mac(&one, "Admin", OLD, true));
    let made = another.post(SECRET, "", &signed).await.ok();
    assert_eq!((&made["user_id"], &made["home_server"]), (&json!("@admin:example.org"), &json!("example.org")));
    let token = made["access_token"].as_str().unwrap();
    let who = server.get(&at("account/whoami"), token).await.ok();
    assert_eq!(who["device_id"], made["device_id"]);
    assert!(server.accounts.authenticate(token).await.unwrap().admin);
    login(&server, "admin", OLD).await;
    server.get(&at("profile/@admin:example.org/displayname"), "").await.expect_error(404, "M_NOT_FOUND");
    // A nonce is good once, on whatever node.
    let again = body(&one, "bert", false, mac(&one, "bert", OLD, false));
    server.post(SECRET, "", &again).await.expect_error(400, "M_UNKNOWN");

    let two = nonce().await;
    for (forged, user, admin) in [
        (mac(&two, "bert", OLD, false), "bert", true),
        (mac(&two, "bert", OLD, false), "carl", false),
        (mac(&two, "bert", NEW, false), "bert", false),
        ("00".to_owned(), "bert", false),
        ("x".to_owned(), "bert", false),
    ] {
        server.post(SECRET, "", &body(&two, user, admin, forged)).await.expect_error(403, "M_FORBIDDEN");
    }
    let symbols = body(&two, "us,er", false, mac(&two, "us,er", OLD, false));
    server.post(SECRET, "", &symbols).await.expect_error(400, "M_INVALID_USERNAME");
    let session = server.post(&at("register"), "", &json!({})).await.json()["session"].as_str().unwrap().to_owned();
    let foreign = body(&session, "bert", false, mac(&session, "bert", OLD, false));
    server.post(SECRET, "", &foreign).await.expect_error(400, "M_UNKNOWN");
    // What the account is called is not signed, and bounded as profiles are.
    let mut named = body(&two, "bert", false, mac(&two, "bert", OLD, false));
    named["displayname"] = "x".repeat(DISPLAY_NAME_BYTES + 1).into();
    server.post(SECRET, "", &named).await.expect_error(400, "M_INVALID_PARAM");
    named["displayname"] = "Bertha Brown".into();
    let bert = another.post(SECRET, "", &named).await.ok();
    let shown = server.get(&at("profile/@bert:example.org"), "").await.ok();
    assert_eq!(shown, json!({ "displayname": "Bertha Brown" }));
    // It is the profile's as if the user had set it: people find it, rooms show it, and it can be changed.
    let bert = bert["access_token"].as_str().unwrap();
    let room = room(&server, bert, &json!({ "preset": "public_chat" })).await;
    let member = server.get(&at(&format!("{room}/state/m.room.member/@bert:example.org")), bert).await.ok();
    assert_eq!(member["displayname"], "Bertha Brown");
    let anna = account(&server, "anna").await;
    let found = server.post(&at("user_directory/search"), &anna, &json!({ "search_term": "brown" })).await.ok();
    assert_eq!(found["results"][0]["user_id"], "@bert:example.org", "{found}");
    let other = json!({ "displayname": "Bertha Green" });
    server.put(&at("profile/@bert:example.org/displayname"), bert, &other).await.ok();
    let found = server.post(&at("user_directory/search"), &anna, &json!({ "search_term": "brown" })).await.ok();
    assert_eq!(found["results"], json!([]));
}

pub(crate) async fn guest(server: &Server) -> (String, String) {
    let made = server.post(&at("register?kind=guest"), "", &json!({ "username": "ignored" })).await.ok();
    let text = |field: &str| made[field].as_str().unwrap().to_owned();
    (text("user_id"), text("access_token"))
}

/// Guests do what the specification lists, where rooms let guests in, and go when a room closes.
#[tokio::test(start_paused = true)]
async fn guests_are_let_in_where_rooms_say_so() {
    let server = Server::new().await;
    let anna = account(&server, "anna").await;
    let (user_id, token) = guest(&server).await;
    assert_eq!(server.get(&at("account/whoami"), &token).await.ok()["is_guest"], true);
    for (method, path) in [
        (Method::POST, "createRoom"),
        (Method::POST, "account/password"),
        (Method::POST, "account/deactivate"),
        (Method::GET, "joined_rooms"),
        (Method::POST, "logout/all"),
    ] {
        let answer = server.ask(method, &at(path), &token, "{}").await;
        answer.expect_error(403, "M_GUEST_ACCESS_FORBIDDEN");
    }
    let closed = room(&server, &anna, &json!({ "preset": "public_chat" })).await;
    let join = |room: &str| at(&format!("{room}/join"));
    server.post(&join(&closed), &token, &json!({})).await.expect_error(403, "M_GUEST_ACCESS_FORBIDDEN");
    let as_state = at(&format!("{closed}/state/m.room.member/{}", encoded(&user_id)));
    let join_by_state = server.put(&as_state, &token, &json!({ "membership": "join" })).await;
    join_by_state.expect_error(403, "M_GUEST_ACCESS_FORBIDDEN");

    let open = room(
        &server,
        &anna,
        &json!({ "preset": "public_chat", "initial_state": [
        { "type": "m.room.guest_access", "state_key": "", "content": { "guest_access": "can_join" } }] }),
    )
    .await;
    server.post(&join(&open), &token, &json!({})).await.ok();
    let said = json!({ "msgtype": "m.text", "body": "hello" });
    server.put(&at(&format!("{open}/send/m.room.message/1")), &token, &said).await.ok();
    server.get(&at(&format!("{open}/messages?dir=b")), &token).await.ok();
    server.get(&at("sync"), &token).await.ok();

    let access = at(&format!("{open}/state/m.room.guest_access"));
    server.put(&access, &anna, &json!({ "guest_access": "forbidden" })).await.ok();
    until_outside(&server, &anna, &open, &user_id).await;
    assert_eq!(membership(&server, &anna, &open, "@anna:example.org").await, "join");
}

#[tokio::test]
async fn a_guest_becomes_a_user() {
    let server = Server::new().await;
    let (user_id, token) = guest(&server).await;
    let anna = account(&server, "anna").await;
    let name = user_id.strip_prefix('@').unwrap().split_once(':').unwrap().0;
    let body = |name: Value, token: &str| json!({ "username": name, "password": OLD, "guest_access_token": token, "auth": { "type": "m.login.dummy" } });
    let path = at("register");
    server.post(&path, "", &body(json!("bert"), &token)).await.expect_error(400, "M_INVALID_USERNAME");
    server.post(&path, "", &body(Value::Null, &token)).await.expect_error(400, "M_MISSING_PARAM");
    server.post(&path, "", &body(json!("anna"), &anna)).await.expect_error(403, "M_FORBIDDEN");
    let made = server.post(&path, "", &body(json!(name), &token)).await.ok();
    assert_eq!((&made["user_id"], &made["access_token"]), (&json!(user_id), &json!(token)));
    server.post(&at("createRoom"), &token, &json!({})).await.ok();
    login(&server, name, OLD).await;
    server.post(&path, "", &body(json!(name), &token)).await.expect_error(403, "M_FORBIDDEN");
}
