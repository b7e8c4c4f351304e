//! Unread counts over HTTP.

use serde_json::{Value, json};

use crate::server::{Server, encoded};

const V3: &str = "/_matrix/client/v3";
const THREADS: &str = r#"{"room":{"timeline":{"unread_thread_notifications":true}}}"#;
const NO_RECEIPTS: &str = r#"{"room":{"ephemeral":{"not_types":["m.receipt"]}}}"#;

/// A room of Anna and Bert.
struct Ward {
    server: Server,
    anna: String,
    bert: String,
    room: String,
}

impl Ward {
    async fn new() -> Self {
        let server = Server::without_presence().await;
        let (anna, bert) = (server.token("anna").await, server.token("bert").await);
        let room = server.post(&format!("{V3}/createRoom"), &anna, &json!({ "preset": "public_chat" })).await.ok();
        let room = room["room_id"].as_str().unwrap().to_owned();
        server.post(&format!("{V3}/rooms/{}/join", encoded(&room)), &bert, &json!({})).await.ok();
        Self { server, anna, bert, room }
    }

    fn path(&self, rest: &str) -> String {
        format!("{V3}/rooms/{}{rest}", encoded(&self.room))
    }

    async fn say(&self, txn_id: &str, body: &str, thread: Option<&str>) -> String {
        let mut content = json!({ "msgtype": "m.text", "body": body });
        if let Some(root) = thread {
            content["m.relates_to"] = json!({ "rel_type": "m.thread", "event_id": root });
        }
        let sent = self.server.put(&self.path(&format!("/send/m.room.message/{txn_id}")), &self.anna, &content).await;
        sent.ok()["event_id"].as_str().unwrap().to_owned()
    }

    async fn read(&self, receipt_type: &str, event: &str, body: &Value) {
        let path = self.path(&format!("/receipt/{receipt_type}/{}", encoded(event)));
        self.server.post(&path, &self.bert, body).await.ok();
    }

    async fn sync(&self, since: Option<&Value>, filter: &str) -> Value {
        let since = since.map(|since| format!("&since={}", encoded(since["next_batch"].as_str().unwrap())));
        let path = format!("{V3}/sync?filter={}{}", encoded(filter), since.unwrap_or_default());
        self.server.get(&path, &self.bert).await.ok()
    }

    /// Notifications and highlights of the room in an answer; `None`: it does not tell them.
    fn counts(&self, answer: &Value) -> Option<(u64, u64)> {
        let counts = &answer["rooms"]["join"][&self.room]["unread_notifications"];
        counts["notification_count"].as_u64().zip(counts["highlight_count"].as_u64())
    }
}

#[tokio::test]
async fn a_receipt_brings_the_new_count_to_the_users_other_devices() {
    let ward = Ward::new().await;
    let first = ward.sync(None, "{}").await;
    assert_eq!(ward.counts(&first), Some((0, 0)));
    ward.say("1", "good morning", None).await;
    let event = ward.say("2", "bert, please come", None).await;
    let told = ward.sync(Some(&first), "{}").await;
    assert_eq!(ward.counts(&told), Some((2, 1)), "in the answer that has the events");
    let quiet = ward.sync(Some(&told), "{}").await;
    assert_eq!(ward.counts(&quiet), None, "nothing changed");
    ward.read("m.read", &event, &json!({})).await;
    for filter in ["{}", NO_RECEIPTS] {
        let after = ward.sync(Some(&told), filter).await;
        assert_eq!(ward.counts(&after), Some((0, 0)), "{filter}");
    }
    let told = ward.sync(Some(&told), "{}").await;
    let event = ward.say("3", "good night", None).await;
    let told = ward.sync(Some(&told), "{}").await;
    assert_eq!(ward.counts(&told), Some((1, 0)));
    ward.read("m.read.private", &event, &json!({})).await;
    for filter in ["{}", NO_RECEIPTS] {
        assert_eq!(ward.counts(&ward.sync(Some(&told), filter).await), Some((0, 0)), "{filter}");
    }
    assert_eq!(ward.counts(&ward.sync(None, "{}").await), Some((0, 0)));
}

#[tokio::test]
async fn threads_are_told_where_the_filter_asks_for_them() {
    let ward = Ward::new().await;
    let first = ward.sync(None, "{}").await;
    let root = ward.say("1", "round of today", None).await;
    let reply = ward.say("2", "bed 4 first, says bert", Some(&root)).await;
    ward.say("3", "and then bed 7", Some(&root)).await;
    let answer = ward.sync(Some(&first), "{}").await;
    assert_eq!(ward.counts(&answer), Some((3, 1)));
    assert!(answer["rooms"]["join"][&ward.room]["unread_thread_notifications"].is_null());
    let answer = ward.sync(Some(&first), THREADS).await;
    assert_eq!(ward.counts(&answer), Some((1, 0)));
    let threads = &answer["rooms"]["join"][&ward.room]["unread_thread_notifications"];
    assert_eq!(*threads, json!({ &root: { "notification_count": 2, "highlight_count": 1 } }));
    ward.read("m.read", &reply, &json!({ "thread_id": root })).await;
    let after = ward.sync(Some(&answer), THREADS).await;
    let threads = &after["rooms"]["join"][&ward.room]["unread_thread_notifications"];
    assert_eq!(*threads, json!({ &root: { "notification_count": 1, "highlight_count": 0 } }));
    assert_eq!(ward.counts(&after), Some((1, 0)));
    ward.read("m.read", &root, &json!({ "thread_id": "main" })).await;
    assert_eq!(ward.counts(&ward.sync(Some(&after), THREADS).await), Some((0, 0)));
    assert_eq!(ward.counts(&ward.sync(Some(&after), "{}").await), Some((1, 0)), "that of the thread");
}

#[tokio::test]
async fn push_rules_are_account_data_of_an_initial_sync() {
    let ward = Ward::new().await;
    let first = ward.sync(None, "{}").await;
    let rules = |answer: &Value| {
        let events = answer["account_data"]["events"].as_array().cloned().unwrap_or_default();
        events.into_iter().find(|event| event["type"] == "m.push_rules")
    };
    let told = rules(&first).unwrap();
    assert_eq!(told["content"]["global"]["override"][0]["rule_id"], ".m.rule.master");
    assert_eq!(told["content"]["global"]["content"][0]["pattern"], "bert");
    ward.say("1", "hello", None).await;
    assert!(rules(&ward.sync(Some(&first), "{}").await).is_none(), "they have not changed");
}

#[tokio::test]
async fn ignored_users_do_not_count() {
    let ward = Ward::new().await;
    let first = ward.sync(None, "{}").await;
    ward.say("1", "counted", None).await;
    let path = format!("{V3}/user/{}/account_data/m.ignored_user_list", encoded("@bert:example.org"));
    let list = json!({ "ignored_users": { "@anna:example.org": {} } });
    ward.server.put(&path, &ward.bert, &list).await.ok();
    ward.say("2", "not counted, bert", None).await;
    let all = ward.sync(Some(&first), "{}").await;
    assert_eq!(ward.counts(&all).unwrap_or((1, 0)), (1, 0));
    ward.server.put(&path, &ward.bert, &json!({ "ignored_users": {} })).await.ok();
    ward.say("3", "counted again, bert", None).await;
    assert_eq!(ward.counts(&ward.sync(Some(&all), "{}").await), Some((2, 1)));
}

/// A room that is told for somebody's receipt or typing alone still tells its threads: clients take it without as one in which all is
/// read.
#[tokio::test(start_paused = true)]
async fn every_joined_room_tells_its_threads() {
    let ward = Ward::new().await;
    let root = ward.say("1", "root", None).await;
    let reply = ward.say("2", "reply", Some(&root)).await;
    let mut since = ward.sync(None, THREADS).await;
    let threads = |answer: &Value| {
        answer["rooms"]["join"][&ward.room]["unread_thread_notifications"][&root]["notification_count"].as_u64()
    };
    assert_eq!(threads(&since), Some(1));
    let receipt = ward.path(&format!("/receipt/m.read/{}", encoded(&reply)));
    ward.server.post(&receipt, &ward.anna, &json!({})).await.ok();
    since = ward.sync(Some(&since), THREADS).await;
    assert!(since["rooms"]["join"][&ward.room]["timeline"].is_null(), "{since}");
    assert_eq!(threads(&since), Some(1), "{since}");
    let typing = ward.path("/typing/@anna:example.org");
    ward.server.put(&typing, &ward.anna, &json!({ "typing": true, "timeout": 20_000 })).await.ok();
    since = ward.sync(Some(&since), THREADS).await;
    assert_eq!(since["rooms"]["join"][&ward.room]["ephemeral"]["events"][0]["type"], "m.typing", "{since}");
    assert_eq!((ward.counts(&since), threads(&since)), (Some((1, 0)), Some(1)), "{since}");
}

/// Also those of who has never changed them, as account data and at their own endpoint.
#[tokio::test]
async fn push_rules_are_account_data_that_can_be_asked_for() {
    let ward = Ward::new().await;
    let rules = ward.server.get(&format!("{V3}/pushrules/"), &ward.bert).await.ok();
    assert!(rules["global"]["override"].is_array(), "{rules}");
    let path = |user: &str| format!("{V3}/user/@{user}:example.org/account_data/m.push_rules");
    assert_eq!(ward.server.get(&path("bert"), &ward.bert).await.ok(), rules);
    ward.server.get(&path("anna"), &ward.bert).await.expect_error(403, "M_FORBIDDEN");
}
