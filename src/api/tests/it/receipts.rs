//! Receipts and read markers over HTTP.

use http::Method;
use serde_json::{Value, json};

use crate::server::{Server, encoded};

const V3: &str = "/_matrix/client/v3";

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

    async fn send(&self, event_type: &str, txn_id: &str, content: &Value) -> String {
        let sent = self.server.put(&self.path(&format!("/send/{event_type}/{txn_id}")), &self.anna, content).await.ok();
        sent["event_id"].as_str().unwrap().to_owned()
    }

    async fn say(&self, txn_id: &str) -> String {
        self.send("m.room.message", txn_id, &json!({ "msgtype": "m.text", "body": "hello" })).await
    }

    async fn relate(&self, txn_id: &str, rel_type: &str, to: &str) -> String {
        let relation = json!({ "rel_type": rel_type, "event_id": to });
        self.send("m.room.message", txn_id, &json!({ "msgtype": "m.text", "body": "re", "m.relates_to": relation }))
            .await
    }

    fn receipt(&self, receipt_type: &str, event: &str) -> String {
        self.path(&format!("/receipt/{receipt_type}/{}", encoded(event)))
    }

    async fn read(&self, token: &str, receipt_type: &str, event: &str, body: &Value) {
        assert_eq!(self.server.post(&self.receipt(receipt_type, event), token, body).await.ok(), json!({}));
    }

    async fn sync(&self, token: &str, since: Option<&Value>) -> Value {
        let since = since.map(|since| format!("?since={}", encoded(since["next_batch"].as_str().unwrap())));
        self.server.get(&format!("{V3}/sync{}", since.unwrap_or_default()), token).await.ok()
    }

    /// The ephemeral events of the room.
    fn ephemeral<'a>(&self, sync: &'a Value) -> &'a Value {
        &sync["rooms"]["join"][&self.room]["ephemeral"]["events"]
    }
}

fn user(name: &str) -> String {
    format!("@{name}:example.org")
}

#[tokio::test]
async fn a_receipt_is_seen_by_all_members() {
    let ward = Ward::new().await;
    let event = ward.say("1").await;
    let before = ward.sync(&ward.anna, None).await;
    ward.read(&ward.bert, "m.read", &event, &json!({})).await;
    let (bert, ts) = (user("bert"), wardstead_store::testing::START_MS);
    let expected = json!([{
        "type": "m.receipt",
        "content": { event.as_str(): { "m.read": { bert.as_str(): { "ts": ts } } } },
    }]);
    let news = ward.sync(&ward.anna, Some(&before)).await;
    assert_eq!(news["rooms"]["join"][&ward.room], json!({ "ephemeral": { "events": expected } }));
    assert_eq!(ward.ephemeral(&ward.sync(&ward.bert, None).await), &expected, "and by its user");
    assert_eq!(ward.sync(&ward.anna, Some(&news)).await["rooms"], Value::Null, "once");
    // An empty body is taken, as from clients that know no threads.
    let later = ward.say("2").await;
    ward.server.ask(Method::POST, &ward.receipt("m.read", &later), &ward.bert, "").await.ok();
    let later_news = ward.sync(&ward.anna, Some(&news)).await;
    assert_eq!(ward.ephemeral(&later_news)[0]["content"][&later]["m.read"][&bert], json!({ "ts": ts }));
    // What is older moves nothing and is no error.
    ward.read(&ward.bert, "m.read", &event, &json!({})).await;
    assert_eq!(ward.sync(&ward.anna, Some(&later_news)).await["rooms"], Value::Null);
}

#[tokio::test]
async fn a_private_receipt_is_seen_by_its_user_alone() {
    let ward = Ward::new().await;
    let event = ward.say("1").await;
    let (anna, bert) = (ward.sync(&ward.anna, None).await, ward.sync(&ward.bert, None).await);
    ward.read(&ward.bert, "m.read.private", &event, &json!({ "thread_id": "main" })).await;
    assert_eq!(ward.sync(&ward.anna, Some(&anna)).await["rooms"], Value::Null);
    assert!(ward.ephemeral(&ward.sync(&ward.anna, None).await).is_null());
    for since in [Some(&bert), None] {
        let sync = ward.sync(&ward.bert, since).await;
        let shown = &ward.ephemeral(&sync)[0]["content"][&event]["m.read.private"][user("bert")];
        assert_eq!(shown["thread_id"], "main", "since {since:?}");
    }
}

#[tokio::test]
async fn read_markers_are_three_in_one() {
    let ward = Ward::new().await;
    let (first, second) = (ward.say("1").await, ward.say("2").await);
    let before = ward.sync(&ward.bert, None).await;
    let markers = json!({ "m.fully_read": first, "m.read": second, "m.read.private": second });
    assert_eq!(ward.server.post(&ward.path("/read_markers"), &ward.bert, &markers).await.ok(), json!({}));
    for since in [Some(&before), None] {
        let sync = ward.sync(&ward.bert, since).await;
        let content = &ward.ephemeral(&sync)[0]["content"][&second];
        assert!(content["m.read"][user("bert")].is_object() && content["m.read.private"][user("bert")].is_object());
        let marker = json!({ "type": "m.fully_read", "content": { "event_id": first } });
        let account_data = &sync["rooms"]["join"][&ward.room]["account_data"]["events"];
        assert_eq!(account_data, &json!([marker]), "since {since:?}");
    }
    let anna = ward.sync(&ward.anna, None).await;
    assert_eq!(anna["rooms"]["join"][&ward.room]["account_data"]["events"], json!([]));
    let after = ward.sync(&ward.bert, Some(&before)).await;
    ward.server.post(&ward.path("/read_markers"), &ward.bert, &json!({})).await.ok();
    assert_eq!(ward.sync(&ward.bert, Some(&after)).await["rooms"], Value::Null, "nothing is named, nothing is moved");
    ward.read(&ward.bert, "m.fully_read", &second, &json!({})).await;
    let moved = ward.sync(&ward.bert, Some(&after)).await;
    let moved = &moved["rooms"]["join"][&ward.room];
    assert_eq!(moved["account_data"]["events"][0]["content"]["event_id"], second);
    assert!(moved["ephemeral"].is_null(), "it is no receipt");
}

#[tokio::test]
async fn receipts_of_threads_stand_side_by_side() {
    let ward = Ward::new().await;
    let root = ward.say("1").await;
    let reply = ward.relate("2", "m.thread", &root).await;
    let edited = ward.relate("3", "m.replace", &reply).await;
    let reference = ward.relate("4", "m.reference", &root).await;
    let annotation = ward.relate("5", "m.annotation", &reference).await;
    let main = ward.say("6").await;
    let since = ward.sync(&ward.anna, None).await;
    for (event, thread) in [(&reply, &root), (&root, &"main".to_owned()), (&edited, &root)] {
        ward.read(&ward.bert, "m.read", event, &json!({ "thread_id": thread })).await;
    }
    let sync = ward.sync(&ward.anna, Some(&since)).await;
    let content = &ward.ephemeral(&sync)[0]["content"];
    assert_eq!(content[&edited]["m.read"][user("bert")]["thread_id"], root, "the reply's edit is in its thread");
    assert_eq!(content[&root]["m.read"][user("bert")]["thread_id"], "main");
    assert!(content[&reply].is_null(), "each thread has one receipt");
    // What is related to the root is of the main timeline, and accepted for the thread.
    ward.read(&ward.bert, "m.read", &annotation, &json!({ "thread_id": root })).await;
    ward.read(&ward.bert, "m.read", &main, &json!({ "thread_id": "main" })).await;
    let invalid = |event: &str, thread: Value| (event.to_owned(), json!({ "thread_id": thread }));
    for (event, body) in [
        invalid(&reply, json!("main")),
        invalid(&edited, json!("main")),
        invalid(&main, json!(root)),
        invalid(&reply, json!(reference)),
        invalid(&reply, json!("$nowhere")),
        invalid(&reply, json!("")),
        invalid(&reply, json!("x".repeat(300))),
        invalid(&reply, Value::Null),
        invalid(&reply, json!(5)),
        invalid(&reply, json!(["main"])),
        invalid(&reply, json!({})),
    ] {
        let answer = ward.server.post(&ward.receipt("m.read", &event), &ward.bert, &body).await;
        answer.expect_error(400, "M_INVALID_PARAM");
    }
    let answer =
        ward.server.post(&ward.receipt("m.fully_read", &main), &ward.bert, &json!({ "thread_id": "main" })).await;
    answer.expect_error(400, "M_INVALID_PARAM");
}

/// MSC4102: for one event the unthreaded receipt says more.
#[tokio::test]
async fn an_unthreaded_receipt_prevails() {
    let ward = Ward::new().await;
    let root = ward.say("1").await;
    let reply = ward.relate("2", "m.thread", &root).await;
    ward.read(&ward.anna, "m.read", &reply, &json!({})).await;
    ward.read(&ward.anna, "m.read", &reply, &json!({ "thread_id": root })).await;
    let sync = ward.sync(&ward.anna, None).await;
    let shown = &ward.ephemeral(&sync)[0]["content"][&reply]["m.read"][user("anna")];
    assert!(shown["ts"].is_number() && shown["thread_id"].is_null(), "{shown}");
}

#[tokio::test]
async fn what_cannot_be_read() {
    let ward = Ward::new().await;
    let (server, bert) = (&ward.server, &ward.bert);
    let event = ward.say("1").await;
    let cora = server.token("cora").await;
    let other = server.post(&format!("{V3}/createRoom"), &ward.anna, &json!({})).await.ok();
    let other = other["room_id"].as_str().unwrap().to_owned();
    let elsewhere = format!("{V3}/rooms/{}/send/m.room.message/1", encoded(&other));
    let elsewhere = server.put(&elsewhere, &ward.anna, &json!({ "body": "x", "msgtype": "m.text" })).await.ok();
    let elsewhere = elsewhere["event_id"].as_str().unwrap();
    let unseen = ["$unknown", elsewhere];
    for event in unseen {
        for receipt_type in ["m.read", "m.read.private", "m.fully_read"] {
            let answer = server.post(&ward.receipt(receipt_type, event), bert, &json!({})).await;
            answer.expect_error(404, "M_NOT_FOUND");
        }
        let answer = server.post(&ward.path("/read_markers"), bert, &json!({ "m.fully_read": event })).await;
        answer.expect_error(404, "M_NOT_FOUND");
    }
    let mixed = json!({ "m.fully_read": event, "m.read": "$unknown" });
    server.post(&ward.path("/read_markers"), bert, &mixed).await.expect_error(404, "M_NOT_FOUND");
    let sync = ward.sync(bert, None).await;
    assert_eq!(sync["rooms"]["join"][&ward.room]["account_data"]["events"], json!([]), "all or nothing");
    for receipt_type in ["m.typing", "m.delivered", "M.READ"] {
        let answer = server.post(&ward.receipt(receipt_type, &event), bert, &json!({})).await;
        answer.expect_error(400, "M_INVALID_PARAM");
    }
    server.post(&ward.receipt("m.read", "no-event"), bert, &json!({})).await.expect_error(400, "M_INVALID_PARAM");
    server.post(&ward.path("/read_markers"), bert, &json!({ "m.read": 1 })).await.expect_error(400, "M_BAD_JSON");
    // Who is not in the room is told nothing, not even whether it exists.
    let outside = server.post(&ward.receipt("m.read", &event), &cora, &json!({})).await;
    outside.expect_error(403, "M_FORBIDDEN");
    let nowhere = format!("{V3}/rooms/%21none%3Aexample.org/receipt/m.read/{}", encoded(&event));
    server.post(&nowhere, &cora, &json!({})).await.expect_error(403, "M_FORBIDDEN");
    server.post(&ward.path("/leave"), bert, &json!({})).await.ok();
    server.post(&ward.receipt("m.read", &event), bert, &json!({})).await.expect_error(403, "M_FORBIDDEN");
}
