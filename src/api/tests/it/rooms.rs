//! Rooms, as two clients see them.

use http::Method;
use serde_json::{Value, json};

use crate::server::{Server, encoded};

const V3: &str = "/_matrix/client/v3";

/// A server on which Anna has made a room.
struct Ward {
    server: Server,
    anna: String,
    bert: String,
    room: String,
}

impl Ward {
    async fn new() -> Self {
        Self::with(&json!({ "preset": "private_chat" })).await
    }

    async fn with(request: &Value) -> Self {
        let server = Server::new().await;
        let (anna, bert) = (server.token("anna").await, server.token("bert").await);
        let room = server.post(&format!("{V3}/createRoom"), &anna, request).await.ok();
        let room = room["room_id"].as_str().unwrap().to_owned();
        Self { server, anna, bert, room }
    }

    fn path(&self, rest: &str) -> String {
        format!("{V3}/rooms/{}{rest}", encoded(&self.room))
    }

    async fn invite_bert(&self) {
        let invited = json!({ "user_id": "@bert:example.org" });
        assert_eq!(self.server.post(&self.path("/invite"), &self.anna, &invited).await.ok(), json!({}));
    }

    async fn bert_joins(&self) {
        self.invite_bert().await;
        let joined = self.server.ask(Method::POST, &self.path("/join"), &self.bert, "").await.ok();
        assert_eq!(joined, json!({ "room_id": self.room }));
    }

    async fn say(&self, token: &str, txn_id: &str, body: &str) -> String {
        let path = self.path(&format!("/send/m.room.message/{txn_id}"));
        let json = self.server.put(&path, token, &json!({ "msgtype": "m.text", "body": body })).await.ok();
        assert_eq!(json.as_object().unwrap().len(), 1);
        json["event_id"].as_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn rooms_of_the_versions_on_offer() {
    for version in 2..=12 {
        let (version, has_domain) = (version.to_string(), version < 12);
        let ward = Ward::with(&json!({ "room_version": version })).await;
        assert_eq!(ward.room.contains(':'), has_domain, "{}", ward.room);
        let create = ward.server.get(&ward.path("/state/m.room.create/"), &ward.anna).await.ok();
        assert_eq!(create["room_version"], version);
    }
    let ward = Ward::with(&json!({})).await;
    let create = ward.server.get(&ward.path("/state/m.room.create"), &ward.anna).await.ok();
    assert_eq!(create["room_version"], "12");
}

#[tokio::test]
async fn a_room_is_made_as_asked() {
    let request = json!({
        "name": "Ward 7",
        "topic": "Handover",
        "preset": "private_chat",
        "invite": ["@bert:example.org"],
        "initial_state": [{ "type": "org.example.colour", "content": { "colour": "green" } }],
        "creation_content": { "m.federate": false },
    });
    let ward = Ward::with(&request).await;
    let content = async |state: &str| ward.server.get(&ward.path(&format!("/state/{state}")), &ward.anna).await.ok();
    assert_eq!(content("m.room.name").await, json!({ "name": "Ward 7" }));
    assert_eq!(content("m.room.topic").await["topic"], "Handover");
    assert_eq!(content("org.example.colour").await, json!({ "colour": "green" }));
    assert_eq!(content("m.room.create").await["m.federate"], false);
    assert_eq!(content("m.room.join_rules").await["join_rule"], "invite");
    assert_eq!(content("m.room.member/%40bert%3Aexample.org").await["membership"], "invite");
}

#[tokio::test]
async fn rooms_that_are_not_made() {
    let server = Server::new().await;
    let anna = server.token("anna").await;
    let cases: &[(Value, u16, &str)] = &[
        (json!({ "room_version": "1" }), 400, "M_UNSUPPORTED_ROOM_VERSION"),
        (json!({ "room_version": "org.example.fancy" }), 400, "M_UNSUPPORTED_ROOM_VERSION"),
        (json!({ "room_version": 12 }), 400, "M_BAD_JSON"),
        (json!({ "visibility": 1 }), 400, "M_BAD_JSON"),
        (json!({ "invite": ["bert"] }), 400, "M_BAD_JSON"),
        (json!({ "invite": "@bert:example.org" }), 400, "M_BAD_JSON"),
        (json!({ "creation_content": [] }), 400, "M_BAD_JSON"),
        (json!({ "creation_content": { "m.federate": "no" } }), 400, "M_BAD_JSON"),
        (json!({ "creation_content": { "type": 7 } }), 400, "M_BAD_JSON"),
        (json!({ "creation_content": { "additional_creators": ["@x:dom$ain$.com"] } }), 400, "M_INVALID_ROOM_STATE"),
        (json!({ "invite_3pid": [{ "medium": "email", "address": "a@b" }] }), 400, "M_MISSING_PARAM"),
        (json!({ "preset": "no_chat" }), 400, "M_INVALID_PARAM"),
        (
            json!({ "power_level_content_override": { "users": { "@anna:example.org": 100 } } }),
            400,
            "M_INVALID_ROOM_STATE",
        ),
        (
            json!({ "room_version": "11", "name": "x", "power_level_content_override": { "users": {} } }),
            400,
            "M_INVALID_ROOM_STATE",
        ),
        (json!({ "initial_state": [{ "type": "m.room.create", "content": {} }] }), 400, "M_INVALID_PARAM"),
        (json!({ "name": 7 }), 400, "M_BAD_JSON"),
        (json!({ "name": "x".repeat(100_000) }), 413, "M_TOO_LARGE"),
        (json!({ "initial_state": [{ "type": "x", "content": { "half": 0.5 } }] }), 400, "M_BAD_JSON"),
        (json!({ "initial_state": [{ "content": {} }] }), 400, "M_BAD_JSON"),
        (
            json!({ "invite_3pid": [{ "id_server": "x", "id_access_token": "x", "medium": "email", "address": "a@b" }] }),
            403,
            "M_SERVER_NOT_TRUSTED",
        ),
    ];
    for (request, status, errcode) in cases {
        let answer = server.post(&format!("{V3}/createRoom"), &anna, request).await;
        let shown: String = request.to_string().chars().take(80).collect();
        assert_eq!((answer.status.as_u16(), &answer.json()["errcode"]), (*status, &json!(errcode)), "{shown}");
    }
    assert_eq!(server.get(&format!("{V3}/joined_rooms"), &anna).await.ok(), json!({ "joined_rooms": [] }));
}

#[tokio::test]
async fn inviting_joining_leaving() {
    let ward = Ward::new().await;
    let joined = async |token: &str| ward.server.get(&format!("{V3}/joined_rooms"), token).await.ok();
    assert_eq!(joined(&ward.anna).await, json!({ "joined_rooms": [ward.room] }));
    let join = format!("{V3}/join/{}", encoded(&ward.room));
    ward.server.ask(Method::POST, &join, &ward.bert, "").await.expect_error(403, "M_FORBIDDEN");
    ward.invite_bert().await;
    assert_eq!(joined(&ward.bert).await, json!({ "joined_rooms": [] }));
    assert_eq!(ward.server.ask(Method::POST, &join, &ward.bert, "").await.ok(), json!({ "room_id": ward.room }));
    assert_eq!(joined(&ward.bert).await, json!({ "joined_rooms": [ward.room] }));
    // Joining a second time changes nothing.
    ward.server.ask(Method::POST, &ward.path("/join"), &ward.bert, "{}").await.ok();
    let left = ward.server.ask(Method::POST, &ward.path("/leave"), &ward.bert, "").await;
    assert_eq!(left.ok(), json!({}));
    assert_eq!(joined(&ward.bert).await, json!({ "joined_rooms": [] }));
    let unheard = json!({ "msgtype": "m.text", "body": "unheard" });
    ward.server.put(&ward.path("/send/m.room.message/1"), &ward.bert, &unheard).await.expect_error(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn what_cannot_be_joined_or_invited() {
    let ward = Ward::new().await;
    let join = async |room: &str| ward.server.ask(Method::POST, &format!("{V3}/join/{room}"), &ward.anna, "").await;
    join("%23nowhere:example.org").await.expect_error(404, "M_NOT_FOUND");
    join("neither").await.expect_error(400, "M_INVALID_PARAM");
    let answer = join("!nowhere:example.org").await;
    assert!(matches!(answer.status.as_u16(), 403 | 404), "{}", answer.json());
    let invite = async |request: Value| ward.server.post(&ward.path("/invite"), &ward.anna, &request).await;
    let by_mail = json!({ "id_server": "x", "id_access_token": "x", "medium": "email", "address": "a@b" });
    invite(by_mail).await.expect_error(403, "M_SERVER_NOT_TRUSTED");
    invite(json!({ "user_id": "bert" })).await.expect_error(400, "M_BAD_JSON");
    invite(json!({})).await.expect_error(400, "M_MISSING_PARAM");
    invite(json!({ "medium": "email", "address": "a@b" })).await.expect_error(400, "M_MISSING_PARAM");
    let bert = json!({ "user_id": "@bert:example.org" });
    ward.server.post(&ward.path("/invite"), &ward.bert, &bert).await.expect_error(403, "M_FORBIDDEN");
}

/// The same transaction id from the same device is the same event, however often it is sent.
#[tokio::test]
async fn sending_is_idempotent_by_transaction_id() {
    let ward = Ward::new().await;
    let first = ward.say(&ward.anna, "txn1", "once").await;
    assert_eq!(ward.say(&ward.anna, "txn1", "once").await, first);
    assert_ne!(ward.say(&ward.anna, "txn2", "once").await, first);
    let event = ward.server.get(&ward.path(&format!("/event/{}", encoded(&first))), &ward.anna).await.ok();
    assert_eq!((&event["event_id"], &event["content"]["body"]), (&json!(first), &json!("once")));
    assert_eq!((&event["sender"], &event["room_id"]), (&json!("@anna:example.org"), &json!(ward.room)));
    assert_eq!(event["unsigned"]["transaction_id"], "txn1");
}

#[tokio::test]
async fn contents_that_cannot_be_sent() {
    let ward = Ward::new().await;
    let path = ward.path("/send/m.room.message/1");
    let cases: &[(&str, u16, &str)] = &[
        ("", 400, "M_NOT_JSON"),
        ("[]", 400, "M_BAD_JSON"),
        ("7", 400, "M_BAD_JSON"),
        (r#"{"half":0.5}"#, 400, "M_BAD_JSON"),
        (r#"{"big":9007199254740992}"#, 400, "M_BAD_JSON"),
        (r#"{"bigger":1e300}"#, 400, "M_BAD_JSON"),
        (r#"{"surrogate":"\ud800"}"#, 400, "M_BAD_JSON"),
    ];
    for (body, status, errcode) in cases {
        let answer = ward.server.ask(Method::PUT, &path, &ward.anna, *body).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["errcode"]), (*status, &json!(errcode)), "{body}");
        let state = ward.path("/state/org.example/key");
        let answer = ward.server.ask(Method::PUT, &state, &ward.anna, *body).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["errcode"]), (*status, &json!(errcode)), "{body}");
    }
    let large = json!({ "body": "x".repeat(70_000) }).to_string();
    ward.server.ask(Method::PUT, &path, &ward.anna, large).await.expect_error(413, "M_TOO_LARGE");
    ward.server.put(&ward.path("/send/m.room.create/1"), &ward.anna, &json!({})).await;
    let elsewhere = format!("{V3}/rooms/!nowhere:example.org/send/m.room.message/1");
    ward.server.put(&elsewhere, &ward.anna, &json!({})).await.expect_error(403, "M_FORBIDDEN");
}

/// With and without a state key, with and without the slash before an empty one.
#[tokio::test]
async fn state_is_set_and_got() {
    let ward = Ward::new().await;
    for (set, got) in
        [("/state/org.example.a/", "/state/org.example.a"), ("/state/org.example.b", "/state/org.example.b/")]
    {
        let content = json!({ "set": set });
        let json = ward.server.put(&ward.path(set), &ward.anna, &content).await.ok();
        assert!(json["event_id"].as_str().unwrap().starts_with('$'));
        assert_eq!(ward.server.get(&ward.path(got), &ward.anna).await.ok(), content);
    }
    let key = "/state/org.example.c/with%2Fslash%20and%20%23";
    ward.server.put(&ward.path(key), &ward.anna, &json!({ "n": 1 })).await.ok();
    assert_eq!(ward.server.get(&ward.path(key), &ward.anna).await.ok(), json!({ "n": 1 }));
    let event = ward.server.get(&ward.path(&format!("{key}?format=event")), &ward.anna).await.ok();
    assert_eq!((&event["type"], &event["state_key"]), (&json!("org.example.c"), &json!("with/slash and #")));
    ward.server.get(&ward.path("/state/org.example.none"), &ward.anna).await.expect_error(404, "M_NOT_FOUND");
    ward.server.get(&ward.path(key), &ward.bert).await.expect_error(403, "M_FORBIDDEN");
    ward.server.put(&ward.path(key), &ward.bert, &json!({})).await.expect_error(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn all_state_and_members() {
    let ward = Ward::new().await;
    ward.bert_joins().await;
    let state = ward.server.get(&ward.path("/state"), &ward.anna).await.ok();
    let types: Vec<&str> = state.as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap()).collect();
    for expected in ["m.room.create", "m.room.power_levels", "m.room.join_rules", "m.room.history_visibility"] {
        assert_eq!(types.iter().filter(|found| **found == expected).count(), 1, "{expected}");
    }
    assert_eq!(types.iter().filter(|found| **found == "m.room.member").count(), 2);
    let members = async |query: &str| {
        let json = ward.server.get(&ward.path(&format!("/members{query}")), &ward.bert).await.ok();
        let chunk = json["chunk"].as_array().unwrap().clone();
        let mut users: Vec<_> = chunk.iter().map(|event| event["state_key"].as_str().unwrap().to_owned()).collect();
        users.sort_unstable();
        users
    };
    assert_eq!(members("").await, ["@anna:example.org", "@bert:example.org"]);
    assert_eq!(members("?membership=join").await, ["@anna:example.org", "@bert:example.org"]);
    ward.server.ask(Method::POST, &ward.path("/leave"), &ward.anna, "").await.ok();
    assert_eq!(members("?not_membership=leave").await, ["@bert:example.org"]);
    assert_eq!(members("?membership=leave").await, ["@anna:example.org"]);
    let joined = ward.server.get(&ward.path("/joined_members"), &ward.bert).await.ok();
    let nameless = json!({ "display_name": null, "avatar_url": null });
    assert_eq!(joined, json!({ "joined": { "@bert:example.org": nameless } }));
}

#[tokio::test]
async fn messages_both_ways() {
    let ward = Ward::new().await;
    ward.bert_joins().await;
    let mut sent = Vec::new();
    for number in 0..25 {
        let sender = if number % 2 == 0 { &ward.anna } else { &ward.bert };
        sent.push(ward.say(sender, &format!("t{number}"), &format!("message {number}")).await);
    }
    let texts = async |dir: &str| {
        let (mut found, mut from) = (Vec::new(), String::new());
        loop {
            let query = format!("/messages?dir={dir}&limit=7{from}");
            let page = ward.server.get(&ward.path(&query), &ward.bert).await.ok();
            let chunk = page["chunk"].as_array().unwrap();
            assert!(chunk.len() <= 7);
            found.extend(
                chunk
                    .iter()
                    .filter(|event| event["type"] == "m.room.message")
                    .map(|event| event["event_id"].as_str().unwrap().to_owned()),
            );
            assert!(page["start"].is_string());
            let Some(end) = page["end"].as_str() else { return found };
            from = format!("&from={}", encoded(end));
        }
    };
    assert_eq!(texts("f").await, sent);
    sent.reverse();
    assert_eq!(texts("b").await, sent);
}

#[tokio::test]
async fn malformed_questions_about_a_room() {
    let ward = Ward::new().await;
    let cases: &[(&str, u16, &str)] = &[
        ("/messages", 400, "M_MISSING_PARAM"),
        ("/messages?dir=x", 400, "M_INVALID_PARAM"),
        ("/messages?dir=b&limit=-1", 400, "M_INVALID_PARAM"),
        ("/messages?dir=b&limit=many", 400, "M_INVALID_PARAM"),
        ("/messages?dir=b&dir=f", 400, "M_INVALID_PARAM"),
        ("/messages?dir=b&from=nonsense", 400, "M_INVALID_PARAM"),
        ("/messages?dir=b&from=t", 400, "M_INVALID_PARAM"),
        ("/messages?dir=b&to=nonsense", 400, "M_INVALID_PARAM"),
        ("/messages?dir=b&filter=nonsense", 400, "M_INVALID_PARAM"),
        ("/messages?dir=b&filter=%7B%22limit%22%3A-1%7D", 400, "M_INVALID_PARAM"),
        ("/event/noevent", 400, "M_INVALID_PARAM"),
        ("/event/$unknown", 404, "M_NOT_FOUND"),
        ("/event/%ff", 400, "M_INVALID_PARAM"),
    ];
    for (path, status, errcode) in cases {
        let answer = ward.server.get(&ward.path(path), &ward.anna).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["errcode"]), (*status, &json!(errcode)), "{path}");
    }
    for rest in ["state", "messages?dir=b", "members", "joined_members", "event/$x", "state/m.room.name"] {
        let path = format!("{V3}/rooms/noroom/{rest}");
        ward.server.get(&path, &ward.anna).await.expect_error(400, "M_INVALID_PARAM");
    }
}

/// Who is not in a room learns nothing of it, not even whether it exists.
#[tokio::test]
async fn outsiders_see_nothing() {
    let ward = Ward::new().await;
    let event = ward.say(&ward.anna, "1", "confidential").await;
    let rests = ["/state", "/messages?dir=b", "/messages", "/members", "/joined_members", "/state/m.room.name"];
    for rest in rests {
        ward.server.get(&ward.path(rest), &ward.bert).await.expect_error(403, "M_FORBIDDEN");
        let nowhere = format!("{V3}/rooms/!nowhere:example.org{rest}");
        ward.server.get(&nowhere, &ward.bert).await.expect_error(403, "M_FORBIDDEN");
    }
    let event = ward.path(&format!("/event/{}", encoded(&event)));
    ward.server.get(&event, &ward.bert).await.expect_error(404, "M_NOT_FOUND");
    // Members hear what is wrong with what they ask.
    ward.server.get(&ward.path("/messages"), &ward.anna).await.expect_error(400, "M_MISSING_PARAM");
}
