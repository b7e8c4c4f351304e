//! The rules that decide what notifies.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use crate::server::{Answer, Server, encoded};

const RULES: &str = "/_matrix/client/v3/pushrules";

/// Anna, who has rules.
struct Ward {
    server: Server,
    anna: String,
}

impl Ward {
    async fn new() -> Self {
        let server = Server::without_presence().await;
        let anna = server.token("anna").await;
        Self { server, anna }
    }

    async fn put(&self, rule: &str, body: &Value) -> Answer {
        self.server.put(&format!("{RULES}/global/{rule}"), &self.anna, body).await
    }

    async fn get(&self, rule: &str) -> Answer {
        self.server.get(&format!("{RULES}/global/{rule}"), &self.anna).await
    }

    async fn remove(&self, rule: &str) -> Answer {
        self.server.ask(Method::DELETE, &format!("{RULES}/global/{rule}"), &self.anna, "").await
    }

    /// The ids of a kind, the most important first, without those of the server.
    async fn own(&self, kind: &str) -> Vec<String> {
        let all = self.get("").await.ok();
        let all = all[kind].as_array().cloned().unwrap_or_default();
        let own = all.into_iter().filter(|rule| rule["default"] == false);
        own.map(|rule| rule["rule_id"].as_str().unwrap().to_owned()).collect()
    }
}

#[tokio::test]
async fn the_rules_of_the_specification_are_told() {
    let server = Server::new().await;
    let anna = server.token("anna").await;
    let rules = server.get("/_matrix/client/v3/pushrules/", &anna).await.ok();
    for (kind, rule) in [
        ("override", ".m.rule.master"),
        ("override", ".m.rule.suppress_notices"),
        ("override", ".m.rule.invite_for_me"),
        ("override", ".m.rule.member_event"),
        ("override", ".m.rule.is_user_mention"),
        ("override", ".m.rule.is_room_mention"),
        ("override", ".m.rule.tombstone"),
        ("override", ".m.rule.reaction"),
        ("override", ".m.rule.room.server_acl"),
        ("override", ".m.rule.suppress_edits"),
        ("override", ".org.matrix.msc3930.rule.poll_response"),
        ("underride", ".m.rule.call"),
        ("underride", ".m.rule.encrypted_room_one_to_one"),
        ("underride", ".m.rule.room_one_to_one"),
        ("underride", ".m.rule.message"),
        ("underride", ".m.rule.encrypted"),
        ("underride", ".org.matrix.msc3930.rule.poll_start"),
    ] {
        let named = rules["global"][kind].as_array().unwrap().iter().find(|one| one["rule_id"] == rule);
        assert_eq!(named.unwrap_or_else(|| panic!("no {rule} in {rules}"))["default"], true);
    }
    let mention = rules["global"]["override"].as_array().unwrap().iter();
    let mention = mention.clone().find(|rule| rule["rule_id"] == ".m.rule.is_user_mention").unwrap();
    assert_eq!(mention["conditions"][0]["value"], json!("@anna:example.org"), "{mention}");
    server.get("/_matrix/client/v3/pushrules/", "x").await.expect_error(401, "M_UNKNOWN_TOKEN");
    let global = server.get("/_matrix/client/v3/pushrules/global/", &anna).await.ok();
    assert_eq!(global, rules["global"]);
}

#[tokio::test]
async fn a_rule_of_each_kind_is_added_told_changed_and_removed() {
    let ward = Ward::new().await;
    let sound = json!({ "set_tweak": "sound", "value": "siren" });
    let light = json!({ "set_tweak": "org.example.light", "value": { "colour": 7 } });
    let odd = json!({ "kind": "org.example.odd", "phase": ["of", "moon"] });
    let matched = json!({ "kind": "event_match", "key": "type", "pattern": "m.call.*" });
    for (kind, id, body) in [
        ("override", "quiet", json!({ "actions": [], "conditions": [odd, matched] })),
        ("underride", "loud", json!({ "actions": ["notify", sound], "conditions": [] })),
        ("content", "word", json!({ "actions": ["notify", light], "pattern": "sep*is" })),
        ("room", "!ward:example.org", json!({ "actions": ["dont_notify"] })),
        ("sender", "@bot:example.org", json!({ "actions": ["notify", "coalesce"] })),
    ] {
        let rule = format!("{kind}/{}", encoded(id));
        ward.get(&rule).await.expect_error(404, "M_NOT_FOUND");
        assert_eq!(ward.put(&rule, &body).await.ok(), json!({}));
        let mut expected = body.clone();
        expected["rule_id"] = json!(id);
        (expected["default"], expected["enabled"]) = (json!(false), json!(true));
        assert_eq!(ward.get(&rule).await.ok(), expected, "as it was set");
        assert_eq!(ward.own(kind).await, [id]);
        assert_eq!(ward.get(&format!("{rule}/enabled")).await.ok(), json!({ "enabled": true }));
        ward.put(&format!("{rule}/enabled"), &json!({ "enabled": false })).await.ok();
        assert_eq!(ward.get(&format!("{rule}/enabled")).await.ok(), json!({ "enabled": false }));
        ward.put(&rule, &body).await.ok();
        assert_eq!(ward.get(&rule).await.ok()["enabled"], json!(false), "it stays switched off");
        ward.put(&format!("{rule}/actions"), &json!({ "actions": ["dont_notify"] })).await.ok();
        assert_eq!(ward.get(&format!("{rule}/actions")).await.ok(), json!({ "actions": ["dont_notify"] }));
        assert_eq!(ward.remove(&rule).await.ok(), json!({}));
        ward.remove(&rule).await.expect_error(404, "M_NOT_FOUND");
        assert_eq!(ward.own(kind).await, [""; 0]);
    }
    ward.put("override/all", &json!({ "actions": [] })).await.ok();
    assert_eq!(ward.get("override/all").await.ok()["conditions"], json!([]), "conditions may be left out");
}

#[tokio::test]
async fn rules_stand_where_they_are_put() {
    let ward = Ward::new().await;
    let looks_for = |pattern: &str| json!({ "actions": ["notify"], "pattern": pattern });
    for id in ["c", "b", "a"] {
        ward.put(&format!("content/{id}"), &looks_for(id)).await.ok();
    }
    assert_eq!(ward.own("content").await, ["a", "b", "c"]);
    ward.put("content/a?after=b", &looks_for("a")).await.ok();
    assert_eq!(ward.own("content").await, ["b", "a", "c"]);
    ward.put("content/d?before=b", &looks_for("d")).await.ok();
    ward.put("content/b?after=c&before=a", &looks_for("b")).await.ok();
    assert_eq!(ward.own("content").await, ["d", "b", "a", "c"]);
    let all = ward.get("").await.ok();
    let last = all["content"].as_array().unwrap().last().unwrap();
    assert_eq!(last["default"], true, "those of the server come last: {last}");
    ward.put("override/first", &json!({ "actions": [] })).await.ok();
    let all = ward.get("").await.ok();
    assert_eq!([&all["override"][0]["rule_id"], &all["override"][1]["rule_id"]], [".m.rule.master", "first"]);
}

#[tokio::test]
async fn rules_of_the_server_are_switched_and_changed_and_never_removed() {
    let ward = Ward::new().await;
    ward.put("underride/.m.rule.message/enabled", &json!({ "enabled": false })).await.ok();
    let actions = json!({ "actions": ["notify", { "set_tweak": "sound", "value": "ring" }] });
    ward.put("override/.m.rule.reaction/actions", &actions).await.ok();
    assert_eq!(ward.get("underride/.m.rule.message").await.ok()["enabled"], json!(false));
    assert_eq!(ward.get("override/.m.rule.reaction/actions").await.ok(), actions);
    ward.remove("underride/.m.rule.message").await.expect_error(400, "M_INVALID_PARAM");
    assert_eq!(ward.get("underride/.m.rule.message").await.ok()["default"], json!(true));
}

#[tokio::test]
async fn more_rules_than_a_user_may_have_are_refused() {
    let ward = Ward::new().await;
    let long = "x".repeat(wardstead_limits::push::RULES_BYTES);
    let refused = ward.put("content/long", &json!({ "actions": [], "pattern": long })).await;
    refused.expect_error(413, "M_TOO_LARGE");
    assert_eq!(ward.own("content").await, [""; 0]);
    // A room that is muted looks for nothing: there may be many of them.
    for number in 0..=wardstead_limits::push::USER_WORD_ENTRIES {
        let room = format!("!ward{number}:example.org");
        let condition = json!({ "kind": "event_match", "key": "room_id", "pattern": room });
        let body = json!({ "actions": [], "conditions": [condition] });
        ward.put(&format!("override/{}", encoded(&room)), &body).await.ok();
    }
    for number in 0.. {
        let sepsis = json!({ "actions": [], "pattern": "sepsis" });
        let answer = ward.put(&format!("content/{number}"), &sepsis).await;
        if answer.status != 200 {
            answer.expect_error(413, "M_TOO_LARGE");
            assert!(number > 50, "{number}");
            break;
        }
    }
}

/// Each wakes who waits, with all rules.
#[tokio::test(start_paused = true)]
async fn a_change_wakes_a_waiting_sync() {
    let ward = Ward::new().await;
    let room = "room/!foo:example.com";
    let mut since = ward.server.get("/_matrix/client/v3/sync", &ward.anna).await.ok();
    let changes = [
        (room.to_owned(), json!({ "actions": ["notify"] })),
        (format!("{room}/enabled"), json!({ "enabled": false })),
        (format!("{room}/enabled"), json!({ "enabled": true })),
        (format!("{room}/actions"), json!({ "actions": ["dont_notify"] })),
    ];
    for (path, body) in changes {
        let token = encoded(since["next_batch"].as_str().unwrap());
        let waiting = format!("/_matrix/client/v3/sync?timeout=30000&since={token}");
        let change = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            ward.put(&path, &body).await.ok();
        };
        let (answer, ()) = tokio::join!(ward.server.get(&waiting, &ward.anna), change);
        since = answer.ok();
        let told = &since["account_data"]["events"];
        assert_eq!(told[0]["type"], "m.push_rules", "{path}: {since}");
        assert_eq!(told[0]["content"]["global"]["room"][0]["rule_id"], "!foo:example.com");
    }
    // What changes nothing tells nothing.
    ward.put(&format!("{room}/actions"), &json!({ "actions": ["dont_notify"] })).await.ok();
    let path = format!("/_matrix/client/v3/sync?since={}", encoded(since["next_batch"].as_str().unwrap()));
    assert!(ward.server.get(&path, &ward.anna).await.ok()["account_data"].is_null());
}

/// Syncs until the rules are told with one for `room`.
async fn until_told(server: &Server, who: &str, mut since: Value, room: &str) -> Value {
    for _ in 0..20 {
        let token = encoded(since["next_batch"].as_str().unwrap());
        since = server.get(&format!("/_matrix/client/v3/sync?timeout=30000&since={token}"), who).await.ok();
        let events = since["account_data"]["events"].as_array().cloned().unwrap_or_default();
        let rules = events.into_iter().find(|event| event["type"] == "m.push_rules");
        let rules = rules.map(|mut rules| rules["content"]["global"]["room"].take()).unwrap_or_default();
        if rules.as_array().is_some_and(|rules| rules.iter().any(|rule| rule["rule_id"] == room)) {
            return rules;
        }
    }
    panic!("never told of {room}")
}

/// By `/upgrade`, and by hand; for who replaces the room, and for who joins later.
#[tokio::test(start_paused = true)]
async fn rules_for_a_room_go_along_to_its_replacement() {
    let Ward { server, anna } = Ward::new().await;
    let bert = server.token("bert").await;
    let v3 = "/_matrix/client/v3";
    for by_hand in [false, true] {
        let created = server.post(&format!("{v3}/createRoom"), &anna, &json!({ "preset": "public_chat" })).await.ok();
        let old = created["room_id"].as_str().unwrap().to_owned();
        server.post(&format!("{v3}/rooms/{}/join", encoded(&old)), &bert, &json!({})).await.ok();
        for who in [&anna, &bert] {
            let rule = format!("{RULES}/global/room/{}", encoded(&old));
            server.put(&rule, who, &json!({ "actions": ["dont_notify"] })).await.ok();
        }
        let [of_anna, of_bert] =
            [server.get(&format!("{v3}/sync"), &anna).await.ok(), server.get(&format!("{v3}/sync"), &bert).await.ok()];
        let new = if by_hand {
            let content = json!({ "preset": "public_chat", "creation_content": { "predecessor": { "room_id": old } } });
            let created = server.post(&format!("{v3}/createRoom"), &anna, &content).await.ok();
            let new = created["room_id"].as_str().unwrap().to_owned();
            let tombstone = json!({ "body": "moved", "replacement_room": new });
            let path = format!("{v3}/rooms/{}/state/m.room.tombstone/", encoded(&old));
            server.put(&path, &anna, &tombstone).await.ok();
            new
        } else {
            let path = format!("{v3}/rooms/{}/upgrade", encoded(&old));
            let upgraded = server.post(&path, &anna, &json!({ "new_version": "12" })).await.ok();
            upgraded["replacement_room"].as_str().unwrap().to_owned()
        };
        server.post(&format!("{v3}/rooms/{}/join", encoded(&new)), &bert, &json!({})).await.ok();
        for (who, since) in [(&anna, of_anna), (&bert, of_bert)] {
            let rules = until_told(&server, who, since, &new).await;
            for room in [&old, &new] {
                let rule = rules.as_array().unwrap().iter().find(|rule| rule["rule_id"] == **room);
                assert_eq!(rule.unwrap()["actions"], json!(["dont_notify"]), "by hand: {by_hand}");
            }
        }
    }
}
