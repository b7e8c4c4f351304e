//! Context, members, relations, threads, times, redactions, reports: over HTTP.

use serde_json::{Value, json};

use crate::server::{Answer, Server, encoded};

const V3: &str = "/_matrix/client/v3";
const V1: &str = "/_matrix/client/v1";

/// A room of Anna and Bert, and Cleo, who is not in it.
struct Ward {
    server: Server,
    anna: String,
    bert: String,
    cleo: String,
    room: String,
}

impl Ward {
    async fn new() -> Self {
        let server = Server::new().await;
        let (anna, bert, cleo) = (server.token("anna").await, server.token("bert").await, server.token("cleo").await);
        let room = server.post(&format!("{V3}/createRoom"), &anna, &json!({ "preset": "public_chat" })).await.ok();
        let room = room["room_id"].as_str().unwrap().to_owned();
        let ward = Self { server, anna, bert, cleo, room };
        ward.server.post(&ward.v3("/join"), &ward.bert, &json!({})).await.ok();
        ward
    }

    fn v3(&self, rest: &str) -> String {
        format!("{V3}/rooms/{}{rest}", encoded(&self.room))
    }

    fn v1(&self, rest: &str) -> String {
        format!("{V1}/rooms/{}{rest}", encoded(&self.room))
    }

    async fn send(&self, by: &str, event_type: &str, txn: &str, content: &Value) -> Answer {
        self.server.clock.advance_ms(10);
        self.server.put(&self.v3(&format!("/send/{event_type}/{}", encoded(txn))), by, content).await
    }

    async fn say(&self, by: &str, txn: &str) -> String {
        let sent = self.send(by, "m.room.message", txn, &json!({ "msgtype": "m.text", "body": txn })).await;
        id(&sent.ok())
    }

    /// A message `txn` that relates to `parent`.
    async fn relate(&self, by: &str, txn: &str, rel_type: &str, parent: &str) -> String {
        let content = json!({
            "msgtype": "m.text",
            "body": txn,
            "m.new_content": { "msgtype": "m.text", "body": txn },
            "m.relates_to": { "rel_type": rel_type, "event_id": parent },
        });
        id(&self.send(by, "m.room.message", txn, &content).await.ok())
    }

    async fn redact(&self, by: &str, event: &str, txn: &str) -> Answer {
        self.server.put(&self.v3(&format!("/redact/{}/{txn}", encoded(event))), by, &json!({ "reason": "slip" })).await
    }

    async fn get(&self, path: &str) -> Value {
        self.server.get(path, &self.anna).await.ok()
    }

    /// The event as `by` is shown it.
    async fn event(&self, by: &str, event: &str) -> Value {
        self.server.get(&self.v3(&format!("/event/{}", encoded(event))), by).await.ok()
    }

    async fn relations(&self, parent: &str, rest: &str) -> Value {
        self.get(&self.v1(&format!("/relations/{}{rest}", encoded(parent)))).await
    }
}

fn id(json: &Value) -> String {
    json["event_id"].as_str().unwrap().to_owned()
}

fn ids(chunk: &Value) -> Vec<String> {
    chunk.as_array().unwrap().iter().map(id).collect()
}

#[tokio::test]
async fn redacting() {
    let ward = Ward::new().await;
    let said = ward.say(&ward.bert, "1").await;
    ward.redact(&ward.cleo, &said, "1").await.expect_error(403, "M_FORBIDDEN");
    let of_anna = ward.say(&ward.anna, "2").await;
    ward.redact(&ward.bert, &of_anna, "1").await.expect_error(403, "M_FORBIDDEN");
    ward.redact(&ward.bert, "$unknown", "1").await.expect_error(404, "M_NOT_FOUND");
    let redaction = id(&ward.redact(&ward.bert, &said, "1").await.ok());
    assert_eq!(id(&ward.redact(&ward.bert, &said, "1").await.ok()), redaction, "the same transaction");
    // Another event under the same transaction id is another act.
    assert_ne!(id(&ward.redact(&ward.anna, &of_anna, "1").await.ok()), redaction);
    let shown = ward.event(&ward.anna, &said).await;
    assert_eq!((&shown["content"], &shown["sender"]), (&json!({}), &json!("@bert:example.org")));
    assert_eq!(shown["unsigned"]["redacted_because"]["event_id"], redaction);
    assert_eq!(shown["unsigned"]["redacted_because"]["content"]["reason"], "slip");
    // Who sent the redaction finds their transaction id with it.
    assert_eq!(ward.event(&ward.bert, &redaction).await["unsigned"]["transaction_id"], "1");
    assert_eq!(ward.event(&ward.anna, &redaction).await["unsigned"].get("transaction_id"), None);
    let messages = ward.get(&ward.v3("/messages?dir=b&limit=50")).await;
    let found = messages["chunk"].as_array().unwrap().iter().find(|event| event["event_id"] == said.as_str()).unwrap();
    assert_eq!(found["content"], json!({}));
    let sync = ward.server.get(&format!("{V3}/sync"), &ward.anna).await.ok();
    let events = sync["rooms"]["join"][&ward.room]["timeline"]["events"].as_array().unwrap();
    let found = events.iter().find(|event| event["event_id"] == said.as_str()).unwrap();
    assert_eq!(
        (&found["content"], &found["unsigned"]["redacted_because"]["event_id"]),
        (&json!({}), &json!(redaction))
    );
}

#[tokio::test]
async fn context() {
    let ward = Ward::new().await;
    let mut said = Vec::new();
    for number in 0..10 {
        said.push(ward.say(if number == 9 { &ward.bert } else { &ward.anna }, &number.to_string()).await);
    }
    let path = |rest: &str| ward.v3(&format!("/context/{}{rest}", encoded(&said[4])));
    let around = ward.get(&path("?limit=5")).await;
    assert_eq!(id(&around["event"]), said[4]);
    assert_eq!(ids(&around["events_before"]), [&*said[3], &said[2], &said[1]]);
    assert_eq!(ids(&around["events_after"]), [&*said[5], &said[6]]);
    assert!(around["state"].as_array().unwrap().len() >= 7);
    // The tokens go on where the context ends.
    let token = |which: &str| encoded(around[which].as_str().unwrap());
    let earlier = ward.get(&ward.v3(&format!("/messages?dir=b&limit=1&from={}", token("start")))).await;
    assert_eq!(ids(&earlier["chunk"]), [&*said[0]]);
    let later = ward.get(&ward.v3(&format!("/messages?dir=f&limit=2&from={}", token("end")))).await;
    assert_eq!(ids(&later["chunk"]), [&*said[7], &said[8]]);

    let alone = ward.get(&path("?limit=0")).await;
    assert_eq!(
        (&alone["events_before"], &alone["events_after"], id(&alone["event"])),
        (&json!([]), &json!([]), said[4].clone())
    );
    let filter = encoded(r#"{"senders":["@bert:example.org"]}"#);
    let of_bert = ward.get(&path(&format!("?limit=20&filter={filter}"))).await;
    assert_eq!((id(&of_bert["event"]), ids(&of_bert["events_after"])), (said[4].clone(), vec![said[9].clone()]));
    // The members of those who are shown, and no others.
    let lazy = ward.get(&path(&format!("?limit=4&filter={}", encoded(r#"{"lazy_load_members":true}"#)))).await;
    let members: Vec<&Value> =
        lazy["state"].as_array().unwrap().iter().filter(|event| event["type"] == "m.room.member").collect();
    assert_eq!(members.iter().map(|event| &event["state_key"]).collect::<Vec<_>>(), ["@anna:example.org"]);
    // The state is that of then.
    ward.server.put(&ward.v3("/state/m.room.topic"), &ward.anna, &json!({ "topic": "later" })).await.ok();
    assert!(!ward.get(&path("?limit=4")).await["state"].to_string().contains("later"));

    for bad in ["?limit=x", "?filter=x", "?filter=%7B%22limit%22%3A%22x%22%7D"] {
        assert_eq!(ward.server.get(&path(bad), &ward.anna).await.status, 400, "{bad}");
    }
    ward.server.get(&ward.v3("/context/%24nothing"), &ward.anna).await.expect_error(404, "M_NOT_FOUND");
    ward.server.get(&path(""), &ward.cleo).await.expect_error(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn members_at_a_place() {
    let ward = Ward::new().await;
    let members = async |query: &str| {
        let found = ward.get(&ward.v3(&format!("/members{query}"))).await;
        let mut users: Vec<String> =
            found["chunk"].as_array().unwrap().iter().map(|e| e["state_key"].as_str().unwrap().to_owned()).collect();
        users.sort();
        users
    };
    let sync = ward.server.get(&format!("{V3}/sync"), &ward.anna).await.ok();
    let then = encoded(sync["next_batch"].as_str().unwrap());
    let start = encoded(sync["rooms"]["join"][&ward.room]["timeline"]["prev_batch"].as_str().unwrap());
    ward.server.post(&ward.v3("/join"), &ward.cleo, &json!({})).await.ok();
    ward.server.post(&ward.v3("/leave"), &ward.bert, &json!({})).await.ok();
    let (anna, bert, cleo) = ("@anna:example.org", "@bert:example.org", "@cleo:example.org");
    assert_eq!(members("").await, [anna, bert, cleo]);
    assert_eq!(members(&format!("?at={then}")).await, [anna, bert]);
    assert_eq!(members(&format!("?at={start}")).await, [anna], "the beginning of the room");
    assert_eq!(members(&format!("?membership=join&at={then}")).await, [anna, bert]);
    assert_eq!(members("?membership=join").await, [anna, cleo]);
    assert_eq!(members("?membership=leave").await, [bert]);
    assert_eq!(members("?not_membership=leave").await, [anna, cleo]);
    let of_bert = ward.server.get(&format!("{V3}/sync"), &ward.bert).await.ok();
    for bad in ["x", of_bert["next_batch"].as_str().unwrap(), ""] {
        let answer = ward.server.get(&ward.v3(&format!("/members?at={}", encoded(bad))), &ward.anna).await;
        answer.expect_error(400, "M_INVALID_PARAM");
    }
}

#[tokio::test]
async fn relations_in_pages() {
    let ward = Ward::new().await;
    let root = ward.say(&ward.anna, "root").await;
    let sync = ward.server.get(&format!("{V3}/sync"), &ward.anna).await.ok();
    let since = encoded(sync["next_batch"].as_str().unwrap());
    let mut children = Vec::new();
    for number in 0..6 {
        let rel_type = ["m.thread", "m.annotation", "org.example"][number % 3];
        children.push(ward.relate(&ward.bert, &format!("c{number}"), rel_type, &root).await);
    }
    let content = json!({ "m.relates_to": { "rel_type": "m.thread", "event_id": root } });
    children.push(id(&ward.send(&ward.bert, "m.dummy", "c6", &content).await.ok()));
    let newest_first: Vec<String> = children.iter().rev().cloned().collect();

    assert_eq!(ids(&ward.relations(&root, "").await["chunk"]), newest_first);
    assert_eq!(ids(&ward.relations(&root, "?dir=f").await["chunk"]), children);
    assert_eq!(ids(&ward.relations(&root, &format!("?dir=f&from={since}")).await["chunk"]), children);
    assert_eq!(ids(&ward.relations(&root, &format!("?from={since}")).await["chunk"]), [""; 0]);
    let threaded = [children[6].clone(), children[3].clone(), children[0].clone()];
    assert_eq!(ids(&ward.relations(&root, "/m.thread").await["chunk"]), threaded);
    assert_eq!(ids(&ward.relations(&root, "/m.thread/m.room.message").await["chunk"]), threaded[1..]);
    assert_eq!(ids(&ward.relations(&root, "/m.none").await["chunk"]), [""; 0]);

    // Pages of any size, both ways.
    for (dir, expected) in [("b", &newest_first), ("f", &children)] {
        for limit in [1, 2, 3, 6, 7, 8] {
            let (mut all, mut from) = (Vec::new(), String::new());
            loop {
                let page = ward.relations(&root, &format!("?dir={dir}&limit={limit}{from}")).await;
                assert_eq!(page.get("prev_batch").is_some(), !from.is_empty());
                all.extend(ids(&page["chunk"]));
                let Some(next) = page["next_batch"].as_str() else { break };
                from = format!("&from={}", encoded(next));
            }
            assert_eq!(all, *expected, "{dir} {limit}");
        }
    }

    // What relates to what relates.
    let below = ward.relate(&ward.anna, "below", "m.annotation", &children[0]).await;
    let deeper = ward.relate(&ward.anna, "deeper", "m.annotation", &below).await;
    let recursed = ward.relations(&root, "?recurse=true&dir=f").await;
    assert_eq!(recursed["recursion_depth"], 3);
    assert_eq!(ids(&recursed["chunk"]), [&children[..], &[below.clone(), deeper]].concat());
    assert_eq!(ward.relations(&root, "").await.get("recursion_depth"), None);
    assert_eq!(ids(&ward.relations(&root, "/m.thread?recurse=true").await["chunk"]), threaded);
    let page = ward.relations(&root, "?recurse=true&dir=f&limit=8").await;
    let next = encoded(page["next_batch"].as_str().unwrap());
    let rest = ward.relations(&root, &format!("?recurse=true&dir=f&from={next}")).await;
    assert_eq!((ids(&page["chunk"]).len(), ids(&rest["chunk"]).len()), (8, 1));

    // What is redacted relates to nothing.
    ward.redact(&ward.bert, &children[1], "r").await.ok();
    assert_eq!(ids(&ward.relations(&root, "/m.annotation").await["chunk"]), [children[4].clone()]);

    let path = ward.v1(&format!("/relations/{}", encoded(&root)));
    ward.server.get(&path, &ward.cleo).await.expect_error(404, "M_NOT_FOUND");
    ward.server.get(&ward.v1("/relations/%24nothing"), &ward.anna).await.expect_error(404, "M_NOT_FOUND");
    ward.server.get(&format!("{path}?from=x"), &ward.anna).await.expect_error(400, "M_INVALID_PARAM");
}

#[tokio::test]
async fn threads() {
    let ward = Ward::new().await;
    let (one, two, three) =
        (ward.say(&ward.anna, "1").await, ward.say(&ward.bert, "2").await, ward.say(&ward.bert, "3").await);
    ward.relate(&ward.bert, "a", "m.thread", &one).await;
    let of_two = ward.relate(&ward.bert, "b", "m.thread", &two).await;
    let of_three = ward.relate(&ward.anna, "c", "m.thread", &three).await;
    let list = async |query: &str| ids(&ward.get(&ward.v1(&format!("/threads{query}"))).await["chunk"]);
    assert_eq!(list("").await, [&*three, &two, &one]);
    let latest = ward.relate(&ward.bert, "d", "m.thread", &one).await;
    assert_eq!(list("?include=all").await, [&*one, &three, &two]);
    assert_eq!(list("?include=participated").await, [&*one, &three], "her own root, her own reply");
    let page = ward.get(&ward.v1("/threads?limit=1")).await;
    let thread = &page["chunk"][0]["unsigned"]["m.relations"]["m.thread"];
    assert_eq!((&thread["count"], &thread["current_user_participated"]), (&json!(2), &json!(true)));
    assert_eq!((id(&thread["latest_event"]), &thread["latest_event"]["room_id"]), (latest.clone(), &json!(ward.room)));
    let next = encoded(page["next_batch"].as_str().unwrap());
    let rest = ward.get(&ward.v1(&format!("/threads?from={next}"))).await;
    assert_eq!((ids(&rest["chunk"]), rest.get("next_batch")), (vec![three.clone(), two.clone()], None));

    // A thread falls back to its reply before, and is gone without any.
    ward.redact(&ward.bert, &latest, "x").await.ok();
    assert_eq!(list("").await, [&*three, &two, &one]);
    ward.redact(&ward.bert, &of_two, "y").await.ok();
    assert_eq!(list("").await, [&*three, &one]);
    assert_eq!(ward.event(&ward.anna, &two).await["unsigned"].get("m.relations"), None);
    ward.redact(&ward.anna, &of_three, "z").await.ok();
    assert_eq!(list("?include=participated").await, [&*one]);

    let content = json!({ "body": "x", "m.relates_to": { "rel_type": "m.thread", "event_id": ward.relate(&ward.bert, "e", "m.thread", &one).await } });
    ward.send(&ward.bert, "m.room.message", "nested", &content).await.expect_error(400, "M_UNKNOWN");
    for bad in ["?limit=0", "?include=some", "?from=x"] {
        ward.server.get(&ward.v1(&format!("/threads{bad}")), &ward.anna).await.expect_error(400, "M_INVALID_PARAM");
    }
    ward.server.get(&ward.v1("/threads"), &ward.cleo).await.expect_error(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn what_is_shown_with_an_event() {
    let ward = Ward::new().await;
    let said = ward.say(&ward.anna, "said").await;
    let bundled = async |event: &str| ward.event(&ward.anna, event).await["unsigned"]["m.relations"].clone();
    assert_eq!(bundled(&said).await, Value::Null);
    ward.relate(&ward.bert, "not his", "m.replace", &said).await;
    assert_eq!(bundled(&said).await, Value::Null, "nobody edits what others said");
    let content = json!({ "body": "x", "m.relates_to": { "rel_type": "m.replace", "event_id": said } });
    ward.send(&ward.anna, "m.room.message", "without new content", &content).await.ok();
    assert_eq!(bundled(&said).await, Value::Null);
    let first = ward.relate(&ward.anna, "first", "m.replace", &said).await;
    let second = ward.relate(&ward.anna, "second", "m.replace", &said).await;
    assert_eq!(bundled(&said).await["m.replace"]["content"]["m.new_content"]["body"], "second");
    assert_eq!(id(&bundled(&said).await["m.replace"]), second);
    assert_eq!(ward.event(&ward.anna, &said).await["content"]["body"], "said", "the content stays");
    ward.relate(&ward.anna, "an edit's edit", "m.replace", &second).await;
    assert_eq!(bundled(&second).await, Value::Null);
    // A redacted edit is none; a redacted message has none.
    ward.redact(&ward.anna, &second, "1").await.ok();
    assert_eq!(id(&bundled(&said).await["m.replace"]), first);
    let reference = ward.relate(&ward.bert, "see there", "m.reference", &said).await;
    assert_eq!(bundled(&said).await["m.reference"], json!({ "chunk": [{ "event_id": reference }] }));
    let reply = ward.relate(&ward.bert, "reply", "m.thread", &said).await;
    let edited = ward.relate(&ward.bert, "better", "m.replace", &reply).await;
    let thread = bundled(&said).await["m.thread"].clone();
    assert_eq!((&thread["count"], &thread["current_user_participated"]), (&json!(1), &json!(true)));
    assert_eq!(id(&thread["latest_event"]["unsigned"]["m.relations"]["m.replace"]), edited);

    // Wherever the event is shown.
    let messages = ward.get(&ward.v3("/messages?dir=b&limit=50")).await;
    let around = ward.get(&ward.v3(&format!("/context/{}?limit=50", encoded(&reply)))).await;
    let filter = encoded(r#"{"room":{"timeline":{"limit":10}}}"#);
    let sync = ward.server.get(&format!("{V3}/sync?filter={filter}"), &ward.anna).await.ok();
    let timeline = &sync["rooms"]["join"][&ward.room]["timeline"];
    assert_eq!(timeline["limited"], true);
    for (events, whose) in
        [(&messages["chunk"], &said), (&around["events_before"], &said), (&timeline["events"], &reply)]
    {
        let shown = events.as_array().unwrap().iter().find(|event| event["event_id"] == whose.as_str()).unwrap();
        assert!(shown["unsigned"]["m.relations"].is_object(), "{shown}");
    }
    ward.redact(&ward.anna, &said, "2").await.ok();
    assert_eq!(bundled(&said).await.get("m.replace"), None);
    assert!(bundled(&said).await["m.thread"].is_object(), "the thread goes on");
}

#[tokio::test]
async fn messages_by_relation_and_with_members() {
    let ward = Ward::new().await;
    let sync = ward.server.get(&format!("{V3}/sync"), &ward.anna).await.ok();
    let since = encoded(sync["next_batch"].as_str().unwrap());
    let root = ward.say(&ward.anna, "root").await;
    let thread = ward.relate(&ward.anna, "thread", "m.thread", &root).await;
    let reference = ward.relate(&ward.anna, "reference", "m.reference", &root).await;
    let page = async |filter: &str| {
        ward.get(&ward.v3(&format!("/messages?dir=f&from={since}&filter={}", encoded(filter)))).await
    };
    for (filter, expected) in [
        (r#"{"org.matrix.msc3874.rel_types":["m.thread"]}"#, vec![&thread]),
        (r#"{"rel_types":["m.thread","m.reference"]}"#, vec![&thread, &reference]),
        (r#"{"rel_types":[]}"#, vec![]),
        (r#"{"org.matrix.msc3874.not_rel_types":["m.thread"]}"#, vec![&root, &reference]),
        (r#"{"not_rel_types":["m.thread","m.reference"]}"#, vec![&root]),
        (r#"{"rel_types":["m.thread"],"not_rel_types":["m.thread"]}"#, vec![]),
    ] {
        assert_eq!(ids(&page(filter).await["chunk"]).iter().collect::<Vec<_>>(), expected, "{filter}");
    }
    assert!(page("{}").await.get("state").is_none());
    let state = page(r#"{"lazy_load_members":true}"#).await["state"].clone();
    assert_eq!(state.as_array().unwrap().len(), 1);
    assert_eq!(
        (&state[0]["state_key"], &state[0]["content"]["membership"]),
        (&json!("@anna:example.org"), &json!("join"))
    );
    ward.server
        .get(&ward.v3("/messages?dir=b&filter=%7B%22rel_types%22%3A1%7D"), &ward.anna)
        .await
        .expect_error(400, "M_INVALID_PARAM");
}

#[tokio::test]
async fn the_event_nearest_to_a_time() {
    let ward = Ward::new().await;
    let mut said = Vec::new();
    for number in 0..40 {
        ward.server.clock.advance_ms(1_000);
        said.push((ward.say(&ward.anna, &number.to_string()).await, ward.server.store.clock().now_ms()));
    }
    let near = async |at_ms: u64, dir: &str| {
        ward.server.get(&ward.v1(&format!("/timestamp_to_event?ts={at_ms}&dir={dir}")), &ward.anna).await
    };
    for (event, at_ms) in &said {
        for (at_ms, dir) in [(*at_ms, "f"), (*at_ms, "b"), (at_ms - 3, "f"), (at_ms + 3, "b")] {
            let found = near(at_ms, dir).await.ok();
            assert_eq!(id(&found), *event, "{dir}");
            assert!(found["origin_server_ts"].as_u64().unwrap().abs_diff(at_ms) <= 3);
        }
    }
    near(said[39].1 + 1, "f").await.expect_error(404, "M_NOT_FOUND");
    near(1, "b").await.expect_error(404, "M_NOT_FOUND");
    // Of the same time: the first of them going forward, the last going back.
    let path = |txn: &str| ward.v3(&format!("/send/m.room.message/{txn}"));
    ward.server.clock.advance_ms(1_000);
    let first = id(&ward.server.put(&path("x"), &ward.anna, &json!({ "body": "x" })).await.ok());
    let last = id(&ward.server.put(&path("y"), &ward.anna, &json!({ "body": "y" })).await.ok());
    let at_ms = ward.server.store.clock().now_ms();
    assert_eq!((id(&near(at_ms, "f").await.ok()), id(&near(at_ms, "b").await.ok())), (first, last));
    let answer = ward.server.get(&ward.v1("/timestamp_to_event?ts=1&dir=f"), &ward.cleo).await;
    answer.expect_error(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn reports() {
    let ward = Ward::new().await;
    let said = ward.say(&ward.anna, "rude").await;
    let event = ward.v3(&format!("/report/{}", encoded(&said)));
    let body = json!({ "reason": "rude", "score": -50 });
    assert_eq!(ward.server.post(&event, &ward.bert, &body).await.ok(), json!({}));
    assert_eq!(ward.server.post(&event, &ward.bert, &json!({})).await.ok(), json!({}));
    ward.server.post(&event, &ward.cleo, &body).await.expect_error(404, "M_NOT_FOUND");
    ward.server.post(&ward.v3("/report/%24nothing"), &ward.bert, &body).await.expect_error(404, "M_NOT_FOUND");
    let elsewhere = format!("{V3}/rooms/!none:example.org/report/{}", encoded(&said));
    ward.server.post(&elsewhere, &ward.bert, &body).await.expect_error(404, "M_NOT_FOUND");
    for (bad, status, errcode) in [
        (json!({ "score": 1 }), 400, "M_INVALID_PARAM"),
        (json!({ "score": "x" }), 400, "M_BAD_JSON"),
        (json!({ "reason": 1 }), 400, "M_BAD_JSON"),
        (json!({ "reason": "x".repeat(20_000) }), 413, "M_TOO_LARGE"),
    ] {
        ward.server.post(&event, &ward.bert, &bad).await.expect_error(status, errcode);
    }
    // A room by anybody, a user by anybody.
    let reason = json!({ "reason": "rude" });
    assert_eq!(ward.server.post(&ward.v3("/report"), &ward.cleo, &reason).await.ok(), json!({}));
    let elsewhere = format!("{V3}/rooms/!none:example.org/report");
    assert_eq!(ward.server.post(&elsewhere, &ward.cleo, &reason).await.ok(), json!({}), "rooms cannot be told apart");
    for user in ["@anna:example.org", "@nobody:example.org"] {
        let path = format!("{V3}/users/{}/report", encoded(user));
        assert_eq!(ward.server.post(&path, &ward.cleo, &reason).await.ok(), json!({}));
        assert_eq!(ward.server.post(&path, &ward.cleo, &json!({})).await.status, 400);
    }
}
