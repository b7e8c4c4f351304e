//! Coming in and going out, as clients do it, and what /sync tells of it.

use http::Method;
use serde_json::{Value, json};

use crate::server::{Answer, Server, encoded};

const V3: &str = "/_matrix/client/v3";

struct Ward {
    server: Server,
    anna: String,
    bert: String,
    room: String,
}

impl Ward {
    async fn new(request: &Value) -> Self {
        let server = Server::new().await;
        let (anna, bert) = (server.token("anna").await, server.token("bert").await);
        let room = made(&server, &anna, request).await;
        Self { server, anna, bert, room }
    }

    fn path(&self, rest: &str) -> String {
        format!("{V3}/rooms/{}{rest}", encoded(&self.room))
    }

    async fn post(&self, token: &str, rest: &str, body: &Value) -> Answer {
        self.server.post(&self.path(rest), token, body).await
    }

    async fn set(&self, event_type: &str, content: &Value) {
        self.server.put(&self.path(&format!("/state/{event_type}/")), &self.anna, content).await.ok();
    }

    async fn knock(&self, named: &str) -> Answer {
        let path = format!("{V3}/knock/{}?server_name=example.org&via=example.org", encoded(named));
        self.server.post(&path, &self.bert, &json!({ "reason": "let me in" })).await
    }

    /// Bert's sync from `since` (`""`: initial).
    async fn sync(&self, since: &str, filter: &str) -> Value {
        let since = if since.is_empty() { String::new() } else { format!("&since={since}") };
        let filter = if filter.is_empty() { String::new() } else { format!("&filter={}", encoded(filter)) };
        self.server.get(&format!("{V3}/sync?timeout=0{since}{filter}"), &self.bert).await.ok()
    }

    async fn since(&self) -> String {
        self.sync("", "").await["next_batch"].as_str().unwrap().to_owned()
    }
}

async fn made(server: &Server, token: &str, request: &Value) -> String {
    let made = server.post(&format!("{V3}/createRoom"), token, request).await.ok();
    made["room_id"].as_str().unwrap().to_owned()
}

fn bert(reason: &str) -> Value {
    json!({ "user_id": "@bert:example.org", "reason": reason })
}

fn memberships(events: &Value) -> Vec<(String, String)> {
    let events = events.as_array().unwrap().iter().filter(|event| event["type"] == "m.room.member");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    events.map(|event| (text(&event["state_key"]), text(&event["content"]["membership"]))).collect()
}

#[tokio::test]
async fn removing_banning_unbanning() {
    let ward = Ward::new(&json!({ "preset": "public_chat" })).await;
    ward.post(&ward.anna, "/kick", &bert("x")).await.expect_error(403, "M_FORBIDDEN");
    ward.post(&ward.anna, "/unban", &bert("x")).await.expect_error(403, "M_FORBIDDEN");
    ward.post(&ward.bert, "/join", &json!({})).await.ok();
    ward.post(&ward.bert, "/ban", &json!({ "user_id": "@anna:example.org" })).await.expect_error(403, "M_FORBIDDEN");
    let since = ward.since().await;
    assert_eq!(ward.post(&ward.anna, "/kick", &bert("too loud")).await.ok(), json!({}));
    let answer = ward.sync(&since, "").await;
    let left = &answer["rooms"]["leave"][&ward.room]["timeline"]["events"];
    assert_eq!(left[0]["content"], json!({ "membership": "leave", "reason": "too loud" }));
    // Whoever is banned after having left is told the ban.
    let since = answer["next_batch"].as_str().unwrap();
    assert_eq!(ward.post(&ward.anna, "/ban", &bert("really")).await.ok(), json!({}));
    let answer = ward.sync(since, "").await;
    let banned = &answer["rooms"]["leave"][&ward.room]["timeline"]["events"];
    assert_eq!(banned[0]["content"], json!({ "membership": "ban", "reason": "really" }));
    ward.post(&ward.bert, "/join", &json!({})).await.expect_error(403, "M_FORBIDDEN");
    assert_eq!(ward.post(&ward.anna, "/unban", &bert("well")).await.ok(), json!({}));
    ward.post(&ward.bert, "/join", &json!({})).await.ok();
    for act in ["kick", "ban", "unban"] {
        let path = format!("/{act}");
        ward.post(&ward.anna, &path, &json!({})).await.expect_error(400, "M_MISSING_PARAM");
        ward.post(&ward.anna, &path, &json!({ "user_id": "bert" })).await.expect_error(400, "M_BAD_JSON");
        let nowhere = format!("{V3}/rooms/!nowhere:example.org/{act}");
        ward.server.post(&nowhere, &ward.anna, &bert("x")).await.expect_error(403, "M_FORBIDDEN");
    }
}

#[tokio::test]
async fn a_knock_from_both_sides_of_the_door() {
    let ward = Ward::new(&json!({ "preset": "private_chat", "name": "Ward 7" })).await;
    ward.knock(&ward.room).await.expect_error(403, "M_FORBIDDEN");
    ward.set("m.room.join_rules", &json!({ "join_rule": "knock" })).await;
    let since = ward.since().await;
    assert_eq!(ward.knock(&ward.room).await.ok(), json!({ "room_id": ward.room }));
    for since in ["", &since] {
        let answer = ward.sync(since, "").await;
        assert!(answer["rooms"]["join"].is_null() && answer["rooms"]["leave"].is_null());
        let events = &answer["rooms"]["knock"][&ward.room]["knock_state"]["events"];
        assert_eq!(memberships(events), [("@bert:example.org".to_owned(), "knock".to_owned())]);
        let types: Vec<&str> = events.as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap()).collect();
        assert!(types.contains(&"m.room.create") && types.contains(&"m.room.name"));
    }
    // Retracted.
    let since = ward.since().await;
    ward.post(&ward.bert, "/leave", &json!({})).await.ok();
    let answer = ward.sync(&since, "").await;
    assert!(answer["rooms"]["knock"].is_null());
    let events = &answer["rooms"]["leave"][&ward.room]["timeline"]["events"];
    assert_eq!(memberships(events), [("@bert:example.org".to_owned(), "leave".to_owned())]);
    assert!(ward.sync("", "").await["rooms"]["knock"].is_null());
    // Accepted.
    ward.knock(&ward.room).await.ok();
    let since = ward.since().await;
    ward.post(&ward.anna, "/invite", &bert("come in")).await.ok();
    let answer = ward.sync(&since, "").await;
    assert!(answer["rooms"]["knock"].is_null());
    let events = answer["rooms"]["invite"][&ward.room]["invite_state"]["events"].as_array().unwrap();
    let create = events.iter().find(|event| event["type"] == "m.room.create").unwrap();
    assert!(create["origin_server_ts"].is_u64() && create["event_id"].is_string());
    ward.knock(&ward.room).await.expect_error(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn by_alias() {
    let ward = Ward::new(&json!({ "preset": "public_chat", "room_alias_name": "ward7" })).await;
    let join = format!("{V3}/join/{}?via=elsewhere.org", encoded("#ward7:example.org"));
    let own = json!({ "reason": "x", "org.example": 1, "membership": "ban", "third_party_signed": null });
    let joined = ward.server.post(&join, &ward.bert, &own).await.ok();
    assert_eq!(joined, json!({ "room_id": ward.room }));
    let member = ward.server.get(&ward.path("/state/m.room.member/%40bert%3Aexample.org"), &ward.bert).await.ok();
    assert_eq!(member, json!({ "membership": "join", "reason": "x", "org.example": 1 }));
    ward.server.post(&join, &ward.bert, &json!({ "reason": 1 })).await.expect_error(400, "M_BAD_JSON");
    ward.post(&ward.bert, "/leave", &json!({})).await.ok();
    ward.set("m.room.join_rules", &json!({ "join_rule": "knock" })).await;
    assert_eq!(ward.knock("#ward7:example.org").await.ok(), json!({ "room_id": ward.room }));
    for nowhere in ["#nowhere:example.org", "#ward7:elsewhere.org", "!nowhere:example.org"] {
        ward.knock(nowhere).await.expect_error(404, "M_NOT_FOUND");
    }
    ward.knock("neither").await.expect_error(400, "M_INVALID_PARAM");
}

#[tokio::test]
async fn a_forgotten_room_is_gone() {
    let ward = Ward::new(&json!({ "preset": "public_chat" })).await;
    let left_too = r#"{"room":{"include_leave":true}}"#;
    ward.post(&ward.bert, "/join", &json!({})).await.ok();
    let joined = ward.since().await;
    ward.post(&ward.bert, "/forget", &json!({})).await.expect_error(400, "M_UNKNOWN");
    ward.post(&ward.bert, "/leave", &json!({})).await.ok();
    assert!(ward.sync("", left_too).await["rooms"]["leave"][&ward.room].is_object());
    assert_eq!(ward.server.ask(Method::POST, &ward.path("/forget"), &ward.bert, "").await.ok(), json!({}));
    assert_eq!(ward.sync("", left_too).await["rooms"], Value::Null);
    // A device that has not heard of the leaving hears of it; later nothing of the room is told.
    let answer = ward.sync(&joined, left_too).await;
    assert!(answer["rooms"]["leave"][&ward.room].is_object());
    let since = answer["next_batch"].as_str().unwrap();
    ward.set("m.room.name", &json!({ "name": "Ward 7" })).await;
    assert_eq!(ward.sync(since, left_too).await["rooms"], Value::Null);
    for rest in ["/messages?dir=b", "/state", "/members", "/joined_members", "/state/m.room.create/"] {
        ward.server.get(&ward.path(rest), &ward.bert).await.expect_error(403, "M_FORBIDDEN");
    }
    let nowhere = format!("{V3}/rooms/!nowhere:example.org/forget");
    ward.server.post(&nowhere, &ward.bert, &json!({})).await.expect_error(403, "M_FORBIDDEN");
    let capabilities = ward.server.get(&format!("{V3}/capabilities"), &ward.bert).await.ok();
    assert_ne!(capabilities["capabilities"]["m.forget_forced_upon_leave"]["enabled"], true);
}

/// The state of a left room is that of the leaving, also where no event of the timeline is asked for.
#[tokio::test]
async fn a_left_room_without_timeline() {
    let ward = Ward::new(&json!({ "preset": "public_chat" })).await;
    ward.post(&ward.bert, "/join", &json!({})).await.ok();
    ward.set("m.room.name", &json!({ "name": "before" })).await;
    let since = ward.since().await;
    ward.post(&ward.bert, "/leave", &json!({})).await.ok();
    ward.set("m.room.name", &json!({ "name": "after" })).await;
    let filter = r#"{"room":{"timeline":{"limit":0},"include_leave":true}}"#;
    for since in ["", &since] {
        let answer = ward.sync(since, filter).await;
        let room = &answer["rooms"]["leave"][&ward.room];
        assert_eq!(room["timeline"]["events"], json!([]), "{since:?}");
        let state = &room["state"]["events"];
        assert!(
            memberships(state).contains(&("@bert:example.org".to_owned(), "leave".to_owned())),
            "{since:?}: {state}"
        );
        assert!(!state.to_string().contains("after"));
    }
}

/// What the server's policy refuses is told in its own words, and nothing of it is kept.
#[tokio::test]
async fn what_the_policy_refuses() {
    let ward = Ward::new(&json!({ "preset": "private_chat" })).await;
    let said = json!({ "msgtype": "m.text", "body": "943 476 5919" });
    let path = ward.path("/send/m.room.message/t1");
    let answer = ward.server.put(&path, &ward.anna, &said).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["errcode"]), (403, &json!("M_FORBIDDEN")));
    assert!(answer.json()["error"].as_str().unwrap().starts_with("This looks like a patient's number"));
    // The transaction is not used up: who writes something else with it is heard.
    ward.server.put(&path, &ward.anna, &json!({ "msgtype": "m.text", "body": "moved" })).await.ok();
    let named = json!({ "name": "Bed of 943 476 5919" });
    ward.server.post(&format!("{V3}/createRoom"), &ward.anna, &named).await.expect_error(403, "M_FORBIDDEN");
    let joined = ward.server.get(&format!("{V3}/joined_rooms"), &ward.anna).await.ok();
    assert_eq!(joined["joined_rooms"], json!([ward.room]));
    let messages = ward.server.get(&ward.path("/messages?dir=b&limit=1"), &ward.anna).await.ok();
    assert_eq!(messages["chunk"][0]["content"]["body"], "moved");
}

#[tokio::test]
async fn members_of_the_space_come_in() {
    let ward = Ward::new(&json!({ "preset": "public_chat" })).await;
    let rules = json!({
        "join_rule": "restricted",
        "allow": [{ "type": "m.room_membership", "room_id": ward.room, "via": ["example.org"] }]
    });
    let request = json!({ "initial_state": [{ "type": "m.room.join_rules", "content": rules }] });
    let inner = made(&ward.server, &ward.anna, &request).await;
    let join = format!("{V3}/join/{}", encoded(&inner));
    ward.server.post(&join, &ward.bert, &json!({})).await.expect_error(403, "M_FORBIDDEN");
    ward.post(&ward.bert, "/join", &json!({})).await.ok();
    ward.server.post(&join, &ward.bert, &json!({})).await.ok();
    let member = format!("{V3}/rooms/{}/state/m.room.member/%40bert%3Aexample.org", encoded(&inner));
    let member = ward.server.get(&member, &ward.bert).await.ok();
    assert_eq!(member["join_authorised_via_users_server"], "@anna:example.org");
}

#[tokio::test]
async fn a_room_is_upgraded() {
    let ward = Ward::new(&json!({ "preset": "public_chat", "room_version": "11", "name": "Ward 7" })).await;
    ward.post(&ward.bert, "/join", &json!({})).await.ok();
    ward.post(&ward.bert, "/upgrade", &json!({ "new_version": "12" })).await.expect_error(403, "M_FORBIDDEN");
    ward.post(&ward.anna, "/upgrade", &json!({})).await.expect_error(400, "M_MISSING_PARAM");
    let unknown = json!({ "new_version": "org.example" });
    ward.post(&ward.anna, "/upgrade", &unknown).await.expect_error(400, "M_UNSUPPORTED_ROOM_VERSION");
    let named = json!({ "new_version": "12", "additional_creators": ["@bert:example.org"] });
    let new = ward.post(&ward.anna, "/upgrade", &named).await.ok()["replacement_room"].as_str().unwrap().to_owned();
    let state = async |room: &str, event_type: &str| {
        let path = format!("{V3}/rooms/{}/state/{event_type}/", encoded(room));
        ward.server.get(&path, &ward.anna).await.ok()
    };
    assert_eq!(state(&ward.room, "m.room.tombstone").await["replacement_room"], new);
    let create = state(&new, "m.room.create").await;
    assert_eq!(create["predecessor"], json!({ "room_id": ward.room }));
    assert_eq!(
        (&create["room_version"], &create["additional_creators"]),
        (&json!("12"), &named["additional_creators"])
    );
    assert_eq!(state(&new, "m.room.name").await, json!({ "name": "Ward 7" }));
}
