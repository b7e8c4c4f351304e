//! Who sees what of a room's history: each visibility, each course of a membership, each way to read. What is expected follows from
//! the specification's rules, written out here (Client-Server API, Room History Visibility, Server behaviour).

use std::collections::BTreeSet;

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::server::{Answer, Server, encoded};

const V3: &str = "/_matrix/client/v3";
const V1: &str = "/_matrix/client/v1";
pub(crate) const VISIBILITIES: [&str; 4] = ["world_readable", "shared", "invited", "joined"];

/// What happens to Bert before each phase, and what he is then.
pub(crate) type Course = &'static [(&'static str, &'static str)];

pub(crate) const COURSES: [(&str, Course); 5] = [
    ("never in", &[("", "leave"), ("", "leave")]),
    ("invited, then joined", &[("", "leave"), ("invite", "invite"), ("join", "join")]),
    ("joined, then left", &[("", "leave"), ("join", "join"), ("leave", "leave")]),
    ("left and came back", &[("", "leave"), ("join", "join"), ("leave", "leave"), ("join", "join")]),
    ("banned", &[("", "leave"), ("join", "join"), ("ban", "ban")]),
];

/// One phase of a room: what Anna does in it.
struct Phase {
    /// A message, and Anna's reply to it in a thread.
    root: String,
    reply: String,
    /// Anna's reply in the thread below the room's first message.
    common: String,
    /// A user who joins.
    newcomer: String,
    topic: String,
    /// When the message was sent.
    at_ms: u64,
    /// A token of the place after all of it.
    place: String,
    /// What Bert is.
    membership: &'static str,
}

struct Room {
    server: Server,
    anna: String,
    bert: String,
    id: String,
    visibility: &'static str,
    /// Bert's sync from before the room.
    since: String,
    phases: Vec<Phase>,
    what: String,
}

impl Room {
    async fn new(visibility: &'static str, name: &str, course: Course) -> Self {
        let server = Server::new().await;
        let (anna, bert) = (server.token("anna").await, server.token("bert").await);
        let since = server.get(&format!("{V3}/sync"), &bert).await.ok()["next_batch"].as_str().unwrap().to_owned();
        let visible = json!({ "type": "m.room.history_visibility", "content": { "history_visibility": visibility } });
        let request = json!({ "preset": "public_chat", "initial_state": [visible] });
        let room = server.post(&format!("{V3}/createRoom"), &anna, &request).await.ok();
        let id = room["room_id"].as_str().unwrap().to_owned();
        let what = format!("{visibility}, {name}");
        let mut room = Self { server, anna, bert, id, visibility, since, phases: Vec::new(), what };
        for (number, (act, membership)) in course.iter().enumerate() {
            room.act(act).await;
            let phase = room.phase(number, membership).await;
            room.phases.push(phase);
        }
        room
    }

    fn path(&self, rest: &str) -> String {
        format!("{V3}/rooms/{}{rest}", encoded(&self.id))
    }

    async fn act(&self, act: &str) {
        let bert = json!({ "user_id": "@bert:example.org" });
        let (by, path, body) = match act {
            "" => return,
            "join" | "leave" => (&self.bert, format!("/{act}"), json!({})),
            // There is no endpoint that is nearer to the event.
            "ban" => {
                let path = self.path(&format!("/state/m.room.member/{}", encoded("@bert:example.org")));
                self.server.put(&path, &self.anna, &json!({ "membership": "ban" })).await.ok();
                return;
            }
            _ => (&self.anna, format!("/{act}"), bert),
        };
        self.server.post(&self.path(&path), by, &body).await.ok();
    }

    async fn say(&self, txn: &str, root: Option<&str>) -> String {
        let mut content = json!({ "msgtype": "m.text", "body": txn });
        if let Some(root) = root {
            content["m.relates_to"] = json!({ "rel_type": "m.thread", "event_id": root });
        }
        let path = self.path(&format!("/send/m.room.message/{txn}"));
        self.server.put(&path, &self.anna, &content).await.ok()["event_id"].as_str().unwrap().to_owned()
    }

    async fn phase(&self, number: usize, membership: &'static str) -> Phase {
        self.server.clock.advance_ms(10_000);
        let at_ms = self.server.store.clock().now_ms();
        let root = self.say(&format!("root-{number}"), None).await;
        self.server.clock.advance_ms(1_000);
        let reply = self.say(&format!("reply-{number}"), Some(&root)).await;
        let first = self.phases.first().map_or(root.clone(), |phase| phase.root.clone());
        let common = self.say(&format!("common-{number}"), Some(&first)).await;
        let topic = format!("topic {number}");
        self.server.put(&self.path("/state/m.room.topic"), &self.anna, &json!({ "topic": topic })).await.ok();
        let newcomer = self.server.token(&format!("newcomer{number}")).await;
        self.server.post(&self.path("/join"), &newcomer, &json!({})).await.ok();
        let last = self.server.get(&self.path("/messages?dir=b&limit=1"), &self.anna).await.ok();
        let place = last["start"].as_str().unwrap().to_owned();
        let newcomer = format!("@newcomer{number}:example.org");
        Phase { root, reply, common, newcomer, topic, at_ms, place, membership }
    }

    /// The five rules.
    fn visible(&self, at: usize) -> bool {
        let membership = self.phases[at].membership;
        let joined_later = self.phases[at..].iter().any(|phase| phase.membership == "join");
        self.visibility == "world_readable"
            || membership == "join"
            || (self.visibility == "shared" && joined_later)
            || (self.visibility == "invited" && membership == "invite")
    }

    /// "In all cases except `world_readable`, a user needs to join a room to view events in that room."
    fn open(&self) -> bool {
        self.visibility == "world_readable" || self.phases.iter().any(|phase| phase.membership == "join")
    }

    /// The phase whose state Bert reads: the newest, or that in which he left.
    fn newest(&self) -> usize {
        let last = self.phases.len() - 1;
        let is_in = self.phases[last].membership == "join" || self.visibility == "world_readable";
        if is_in { last } else { self.phases.iter().rposition(|phase| phase.membership == "join").unwrap_or(0) }
    }

    async fn get(&self, path: &str) -> Answer {
        self.server.get(path, &self.bert).await
    }

    /// That the messages of exactly those phases are in `json` which are expected.
    #[track_caller]
    fn expect_phases(&self, json: &Value, expected: impl Fn(usize) -> bool, how: &str) {
        let ids = ids(json);
        for (at, phase) in self.phases.iter().enumerate() {
            for id in [&phase.root, &phase.reply] {
                assert_eq!(ids.contains(id.as_str()), expected(at), "{}: phase {at} by {how}", self.what);
            }
        }
    }

    #[track_caller]
    fn expect_closed(&self, answer: &Answer, how: &str) {
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{}: {how}", self.what);
    }

    /// Messages, both ways, page by page.
    async fn messages(&self) {
        for dir in ["b", "f"] {
            let (mut all, mut from) = (Vec::new(), String::new());
            loop {
                let answer = self.get(&self.path(&format!("/messages?dir={dir}&limit=5{from}"))).await;
                if !self.open() {
                    self.expect_closed(&answer, "messages");
                    break;
                }
                let page = answer.ok();
                all.extend(page["chunk"].as_array().unwrap().clone());
                let Some(end) = page["end"].as_str() else { break };
                from = format!("&from={}", encoded(end));
            }
            self.expect_phases(&json!(all), |at| self.open() && self.visible(at), &format!("messages {dir}"));
        }
    }

    /// Single events, what is around them, what relates to them, which is nearest to their time.
    async fn events(&self) {
        for (at, phase) in self.phases.iter().enumerate() {
            let visible = self.open() && self.visible(at);
            let id = encoded(&phase.root);
            let hidden = if self.open() { StatusCode::NOT_FOUND } else { StatusCode::FORBIDDEN };
            let event = self.get(&self.path(&format!("/event/{id}"))).await;
            let expected = if visible { StatusCode::OK } else { StatusCode::NOT_FOUND };
            assert_eq!(event.status, expected, "{}: event of phase {at}", self.what);
            let context = self.get(&self.path(&format!("/context/{id}?limit=100"))).await;
            assert_eq!(context.status, if visible { StatusCode::OK } else { hidden }, "{}: context {at}", self.what);
            if visible {
                self.expect_phases(&context.ok(), |at| self.visible(at), "context");
            }
            let relations = format!("{V1}/rooms/{}/relations/{id}", encoded(&self.id));
            for path in [relations.clone(), format!("{relations}?recurse=true"), format!("{relations}/m.thread")] {
                let relations = self.get(&path).await;
                assert_eq!(relations.status, expected, "{}: relations of phase {at}", self.what);
                assert!(!visible || ids(&relations.json()).contains(phase.reply.as_str()), "{}: {at}", self.what);
            }
            let near = format!("{V1}/rooms/{}/timestamp_to_event?dir=f&ts={}", encoded(&self.id), phase.at_ms);
            let near = self.get(&near).await;
            let found = near.json()["event_id"] == phase.root.as_str();
            assert_eq!(found, visible, "{}: the event nearest to phase {at}: {:?}", self.what, near.json());
        }
    }

    /// A thread into which something is said in each phase.
    async fn thread_of_all_phases(&self) {
        let root = &self.phases[0].root;
        let seen = |at: &usize| self.open() && self.visible(*at);
        let visible: Vec<usize> = (0..self.phases.len()).filter(seen).collect();
        if !visible.contains(&0) {
            return;
        }
        let expected: BTreeSet<&str> =
            visible.iter().map(|at| self.phases[*at].common.as_str()).chain([self.phases[0].reply.as_str()]).collect();
        let path = format!("{V1}/rooms/{}/relations/{}", encoded(&self.id), encoded(root));
        let relations = self.get(&path).await.ok();
        assert_eq!(ids(&relations["chunk"]), expected, "{}: the thread", self.what);
        let event = self.get(&self.path(&format!("/event/{}", encoded(root)))).await.ok();
        let bundled = &event["unsigned"]["m.relations"]["m.thread"];
        assert_eq!(bundled["count"], expected.len(), "{}: {bundled}", self.what);
        let latest = &self.phases[*visible.last().unwrap()].common;
        assert_eq!(bundled["latest_event"]["event_id"], latest.as_str(), "{}: {bundled}", self.what);
    }

    async fn threads(&self) {
        let answer = self.get(&format!("{V1}/rooms/{}/threads", encoded(&self.id))).await;
        if !self.open() {
            return self.expect_closed(&answer, "threads");
        }
        let roots = answer.ok();
        for (at, phase) in self.phases.iter().enumerate() {
            let listed =
                roots["chunk"].as_array().unwrap().iter().filter(|root| root["event_id"] == phase.root.as_str());
            assert_eq!(listed.count(), usize::from(self.visible(at)), "{}: thread {at}", self.what);
        }
        for (at, phase) in self.phases.iter().enumerate() {
            for id in [&phase.reply, &phase.common] {
                let told = events_in(&roots).contains(id.as_str());
                assert!(self.visible(at) || !told, "{}: reply {at}", self.what);
            }
        }
    }

    /// State as of now or as of the leaving; members also at a place.
    /// What has notified Bert: since his last join, while he is in the room.
    async fn notifications(&self) {
        let page = self.get(&format!("{V3}/notifications?limit=100")).await.ok();
        let since_then = |at: usize| self.phases[at..].iter().all(|phase| phase.membership == "join");
        self.expect_phases(&page, since_then, "notifications");
    }

    async fn state(&self) {
        let newest = self.newest();
        for path in ["/state", "/state/m.room.topic", "/members"] {
            let answer = self.get(&self.path(path)).await;
            if !self.open() {
                self.expect_closed(&answer, path);
                continue;
            }
            let text = without_unsigned(answer.ok()).to_string();
            for (at, phase) in self.phases.iter().enumerate() {
                // The state has one topic; all who came are members.
                let topic = path != "/members" && at == newest;
                assert_eq!(text.contains(&phase.topic), topic, "{}: topic {at} in {path}", self.what);
                let member = path != "/state/m.room.topic" && at <= newest;
                assert_eq!(text.contains(&phase.newcomer), member, "{}: member {at} in {path}", self.what);
            }
        }
        for (at, phase) in self.phases.iter().enumerate() {
            let answer = self.get(&self.path(&format!("/members?at={}", encoded(&phase.place)))).await;
            if !self.open() || (!self.visible(at) && at <= newest) {
                self.expect_closed(&answer, &format!("members at {at}"));
                continue;
            }
            let text = answer.ok().to_string();
            for (other, phase) in self.phases.iter().enumerate() {
                let expected = other <= at.min(newest);
                assert_eq!(text.contains(&phase.newcomer), expected, "{}: member {other} at {at}", self.what);
            }
        }
    }

    /// What a sync tells of a room that Bert was ever in: its end, or that of his last stay, back to the first thing that he may not
    /// see.
    async fn syncs(&self) {
        let ever = self.phases.iter().any(|phase| phase.membership == "join");
        let end = self.phases.iter().rposition(|phase| phase.membership == "join").unwrap_or(0);
        let expected = |at: usize| ever && at <= end && (at..=end).all(|at| self.visible(at));
        let filter = encoded(r#"{"room":{"timeline":{"limit":100},"include_leave":true}}"#);
        for since in ["", &format!("&since={}", encoded(&self.since))] {
            let sync = self.get(&format!("{V3}/sync?filter={filter}{since}")).await.ok();
            let of = |section: &str| sync["rooms"][section][&self.id].clone();
            let shown = json!([of("join")["timeline"], of("leave")["timeline"]]);
            self.expect_phases(&shown, expected, &format!("sync{since}"));
            // Nor is it anywhere else in the answer.
            for (at, phase) in self.phases.iter().enumerate() {
                for id in [&phase.root, &phase.reply, &phase.common] {
                    let told = events_in(&sync).contains(id.as_str());
                    assert!(!told || self.visible(at), "{}: {at} anywhere in sync{since}", self.what);
                }
            }
        }
    }
}

impl Room {
    /// The same of a sliding sync, which tells no rooms that were left.
    async fn sliding_syncs(&self) {
        let list = json!({ "range": [0, 99], "timeline_limit": 100, "required_state": { "include": [{}] } });
        let body = json!({ "lists": { "all": list } });
        let told = self.server.post("/_matrix/client/v4/sync", &self.bert, &body).await.ok();
        let end = self.phases.len() - 1;
        let joined = self.phases[end].membership == "join";
        let expected = |at: usize| joined && (at..=end).all(|at| self.visible(at));
        let shown = json!([told["rooms"][&self.id]["timeline_events"]]);
        if joined {
            self.expect_phases(&shown, expected, "sliding sync");
        }
        for (at, phase) in self.phases.iter().enumerate() {
            for id in [&phase.root, &phase.reply, &phase.common] {
                assert!(
                    !events_in(&told).contains(id.as_str()) || self.visible(at),
                    "{}: {at} in a sliding sync",
                    self.what
                );
            }
        }
    }
}

/// `json` without what events say beside what they are: of a state event, what it took the place of.
fn without_unsigned(mut json: Value) -> Value {
    match &mut json {
        Value::Array(items) => items.iter_mut().for_each(|item| *item = without_unsigned(item.take())),
        Value::Object(fields) => {
            fields.remove("unsigned");
            fields.values_mut().for_each(|value| *value = without_unsigned(value.take()));
        }
        _ => {}
    }
    json
}

/// The ids of all events in `json`, wherever they are.
fn events_in(json: &Value) -> BTreeSet<&str> {
    match json {
        Value::Array(items) => items.iter().flat_map(events_in).collect(),
        Value::Object(fields) => {
            let own = json["event_id"].as_str().filter(|_| json["sender"].is_string());
            fields.values().flat_map(events_in).chain(own).collect()
        }
        _ => BTreeSet::new(),
    }
}

/// The ids of all events in `json`, at any depth, that stand in a list or in the field `event`.
fn ids(json: &Value) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    match json {
        Value::Array(items) => items.iter().for_each(|item| {
            found.extend(item["event_id"].as_str());
            found.extend(ids(item));
        }),
        Value::Object(fields) => fields.iter().filter(|(name, _)| *name != "unsigned").for_each(|(name, value)| {
            if name == "event" {
                found.extend(value["event_id"].as_str());
            }
            found.extend(ids(value));
        }),
        _ => {}
    }
    found
}

#[tokio::test]
async fn each_visibility_each_course_each_way_to_read() {
    for visibility in VISIBILITIES {
        for (name, course) in COURSES {
            let room = Room::new(visibility, name, course).await;
            room.messages().await;
            room.events().await;
            room.thread_of_all_phases().await;
            room.threads().await;
            room.notifications().await;
            room.state().await;
            room.syncs().await;
            room.sliding_syncs().await;
        }
    }
}

/// What a token is needed for, asked without one.
#[tokio::test]
async fn nobody_reads_without_a_token() {
    let room = Room::new("world_readable", "never in", COURSES[0].1).await;
    for path in ["/messages?dir=b", "/state", "/members", "/threads", "/context/$a", "/event/$a"] {
        let answer = room.server.ask(Method::GET, &room.path(path).replace('$', "%24"), "", "").await;
        assert!([StatusCode::UNAUTHORIZED, StatusCode::NOT_FOUND].contains(&answer.status), "{path}");
    }
}
