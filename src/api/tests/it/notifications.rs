//! The list of what has notified a user.

use serde_json::{Value, json};

use crate::server::{Server, encoded};

const V3: &str = "/_matrix/client/v3";

/// Anna speaks, Bert is notified.
struct Ward {
    server: Server,
    anna: String,
    bert: String,
    txn: std::cell::Cell<u32>,
}

impl Ward {
    async fn new() -> Self {
        let server = Server::without_presence().await;
        let (anna, bert) = (server.token("anna").await, server.token("bert").await);
        Self { server, anna, bert, txn: std::cell::Cell::new(0) }
    }

    async fn room(&self) -> String {
        let request = json!({ "preset": "public_chat" });
        let room = self.server.post(&format!("{V3}/createRoom"), &self.anna, &request).await.ok();
        let room = room["room_id"].as_str().unwrap().to_owned();
        self.server.post(&format!("{V3}/rooms/{}/join", encoded(&room)), &self.bert, &json!({})).await.ok();
        room
    }

    async fn say(&self, room: &str, body: &str) -> String {
        self.txn.set(self.txn.get() + 1);
        self.server.clock.advance_ms(5);
        let path = format!("{V3}/rooms/{}/send/m.room.message/{}", encoded(room), self.txn.get());
        let content = json!({ "msgtype": "m.text", "body": body });
        self.server.put(&path, &self.anna, &content).await.ok()["event_id"].as_str().unwrap().to_owned()
    }

    async fn page(&self, query: &str) -> Value {
        self.server.get(&format!("{V3}/notifications?{query}"), &self.bert).await.ok()
    }

    /// All pages of `limit`, and how many there were.
    async fn all(&self, limit: usize, query: &str) -> (Vec<Value>, usize) {
        let (mut all, mut pages, mut from) = (Vec::new(), 0, String::new());
        loop {
            let page = self.page(&format!("limit={limit}{query}{from}")).await;
            let told = page["notifications"].as_array().unwrap();
            assert!(told.len() <= limit, "{page}");
            all.extend(told.iter().cloned());
            pages += 1;
            assert!(pages < 200, "it does not end");
            let Some(next) = page["next_token"].as_str() else { return (all, pages) };
            from = format!("&from={}", encoded(next));
        }
    }
}

fn bodies(told: &[Value]) -> Vec<&str> {
    told.iter().map(|one| one["event"]["content"]["body"].as_str().unwrap_or_default()).collect()
}

#[tokio::test]
async fn what_notified_is_told_the_newest_first_with_how_and_whether_it_is_read() {
    let ward = Ward::new().await;
    let (first, second) = (ward.room().await, ward.room().await);
    let one = ward.say(&first, "one").await;
    ward.say(&second, "two, bert").await;
    ward.say(&first, "three").await;
    let receipt = format!("{V3}/rooms/{}/receipt/m.read/{}", encoded(&first), encoded(&one));
    ward.server.post(&receipt, &ward.bert, &json!({})).await.ok();
    let page = ward.page("").await;
    let told = page["notifications"].as_array().unwrap();
    assert_eq!(bodies(told), ["three", "two, bert", "one"]);
    assert_eq!(told.iter().map(|one| one["read"].as_bool().unwrap()).collect::<Vec<_>>(), [false, false, true]);
    assert_eq!([&told[0]["room_id"], &told[1]["room_id"]], [first.as_str(), second.as_str()]);
    let sound = json!({ "set_tweak": "sound", "value": "default" });
    assert_eq!(told[0]["actions"], json!(["notify", sound]), "a room of two");
    assert_eq!(told[1]["actions"], json!(["notify", sound, { "set_tweak": "highlight" }]));
    assert_eq!(told[2]["event"]["event_id"], one.as_str());
    assert_eq!(told[2]["ts"], told[2]["event"]["origin_server_ts"]);
    assert!(page["next_token"].is_null() && told[0]["profile_tag"].is_null(), "{page}");
    let highlights = ward.page("only=highlight").await;
    assert_eq!(bodies(highlights["notifications"].as_array().unwrap()), ["two, bert"]);
    let of_anna = ward.server.get(&format!("{V3}/notifications"), &ward.anna).await.ok();
    assert!(bodies(of_anna["notifications"].as_array().unwrap()).is_empty(), "what one says oneself");
}

#[tokio::test]
async fn pages_meet_and_hold_each_notification_once() {
    let ward = Ward::new().await;
    let mut rooms = Vec::new();
    for _ in 0..5 {
        rooms.push(ward.room().await);
    }
    let mut expected = Vec::new();
    for number in 0..150_usize {
        // Some rooms are silent for long, and one has all of the last.
        let room = if number > 110 { 4 } else { (number * number) % 5 };
        let body = if number % 7 == 0 { format!("bert {number}") } else { number.to_string() };
        ward.say(&rooms[room], &body).await;
        expected.insert(0, body);
    }
    for limit in [1, 7, 20, 100] {
        let (all, pages) = ward.all(limit, "").await;
        assert_eq!(bodies(&all), expected, "by {limit}");
        // A last one may be empty: that there is nothing more is known by looking.
        assert!(pages <= 150_usize.div_ceil(limit) + 1, "by {limit}: {pages}");
    }
    let (all, _) = ward.all(4, "&only=highlight").await;
    assert_eq!(bodies(&all), expected.iter().filter(|body| body.starts_with("bert")).collect::<Vec<_>>());
    let first = ward.page("limit=5").await;
    let from = encoded(first["next_token"].as_str().unwrap());
    ward.say(&rooms[0], "later").await;
    let second = ward.page(&format!("limit=5&from={from}")).await;
    assert_eq!(bodies(second["notifications"].as_array().unwrap()), expected[5..10], "what comes later moves nothing");
    let refused = ward.server.get(&format!("{V3}/notifications?from={from}"), &ward.anna).await;
    refused.expect_error(400, "M_INVALID_PARAM");
}

#[tokio::test]
async fn what_may_not_be_seen_is_not_told() {
    let ward = Ward::new().await;
    let (room, other) = (ward.room().await, ward.room().await);
    let redacted = ward.say(&room, "redacted").await;
    ward.say(&other, "of a room that was left").await;
    ward.say(&room, "stays").await;
    let path = format!("{V3}/rooms/{}/redact/{}/r", encoded(&room), encoded(&redacted));
    ward.server.put(&path, &ward.anna, &json!({})).await.ok();
    ward.server.post(&format!("{V3}/rooms/{}/leave", encoded(&other)), &ward.bert, &json!({})).await.ok();
    assert_eq!(bodies(ward.page("").await["notifications"].as_array().unwrap()), ["stays"]);
    let path = format!("{V3}/user/{}/account_data/m.ignored_user_list", encoded("@bert:example.org"));
    let list = json!({ "ignored_users": { "@anna:example.org": {} } });
    ward.server.put(&path, &ward.bert, &list).await.ok();
    assert_eq!(ward.page("").await["notifications"], json!([]), "of who is ignored");
    ward.server.put(&path, &ward.bert, &json!({ "ignored_users": {} })).await.ok();
    ward.server.post(&format!("{V3}/rooms/{}/join", encoded(&other)), &ward.bert, &json!({})).await.ok();
    ward.say(&other, "since he came back").await;
    let told = ward.page("").await;
    assert_eq!(bodies(told["notifications"].as_array().unwrap()), ["since he came back", "stays"]);
}
