//! Who sees what of somebody who was erased: each visibility, each course of a membership, each moment of the erasure, each way to read.
//! What is expected follows from the specification (Client-Server API, Account deactivation: whoever had visibility on events before
//! is still able to see them, whoever joins later is served redacted copies) and from the rules of the table of visibilities.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    account::{OLD, account, credentials},
    server::{Server, encoded},
    visibility::{COURSES, Course, VISIBILITIES},
};

const V3: &str = "/_matrix/client/v3";
const V1: &str = "/_matrix/client/v1";

/// What Erin does in one phase; all of it contains `secret-` and the phase's number.
struct Phase {
    /// A message, which is edited, and to which she replies in a thread.
    root: String,
    edit: String,
    reply: String,
    /// A reply in the thread below the room's first message, which is Anna's.
    common: String,
    /// State of the room, and her own member event with another name.
    note: String,
    name: String,
    /// A token of the place after all of it.
    place: String,
    /// What Bert is.
    membership: &'static str,
}

struct Room {
    server: Server,
    anna: String,
    bert: String,
    erin: String,
    id: String,
    visibility: &'static str,
    /// Anna's first message.
    first: String,
    phases: Vec<Phase>,
    /// The phase after which Erin was erased.
    erased: usize,
    /// Bert's syncs: from before the room, and after each phase.
    since: Vec<String>,
    what: String,
}

impl Room {
    async fn new(visibility: &'static str, (name, course): (&str, Course), erased: usize) -> Self {
        let server = Server::new().await;
        let (anna, bert) = (server.token("anna").await, server.token("bert").await);
        let erin = account(&server, "erin").await;
        let visible = json!({ "type": "m.room.history_visibility", "content": { "history_visibility": visibility } });
        let levels = json!({ "state_default": 0 });
        let request =
            json!({ "preset": "public_chat", "initial_state": [visible], "power_level_content_override": levels });
        let made = server.post(&format!("{V3}/createRoom"), &anna, &request).await.ok();
        let id = made["room_id"].as_str().unwrap().to_owned();
        let what = format!("{visibility}, {name}, erased after phase {erased}");
        let (first, phases, since) = (String::new(), Vec::new(), Vec::new());
        let mut room = Self { server, anna, bert, erin, id, visibility, first, phases, erased, since, what };
        room.sync_now().await;
        room.server.post(&room.path("/join"), &room.erin, &json!({})).await.ok();
        room.first = room.say(&room.anna, "first", &json!({ "msgtype": "m.text", "body": "first" })).await;
        for (number, (act, membership)) in course.iter().enumerate() {
            room.act(act).await;
            if number <= erased {
                let phase = room.phase(number, membership).await;
                room.phases.push(phase);
            } else {
                room.say(&room.anna, &format!("later-{number}"), &json!({ "msgtype": "m.text", "body": "later" }))
                    .await;
            }
            room.sync_now().await;
            if number == erased {
                let leave = json!({ "reason": format!("secret-{number} reason") });
                room.server.post(&room.path("/leave"), &room.erin, &leave).await.ok();
                let erase = json!({ "erase": true, "auth": credentials("erin", OLD) });
                room.server.post(&format!("{V3}/account/deactivate"), &room.erin, &erase).await.ok();
            }
        }
        room
    }

    fn path(&self, rest: &str) -> String {
        format!("{V3}/rooms/{}{rest}", encoded(&self.id))
    }

    fn v1(&self, rest: &str) -> String {
        format!("{V1}/rooms/{}{rest}", encoded(&self.id))
    }

    async fn sync_now(&mut self) {
        let answer = self.server.get(&format!("{V3}/sync"), &self.bert).await.ok();
        self.since.push(answer["next_batch"].as_str().unwrap().to_owned());
    }

    async fn act(&self, act: &str) {
        let bert = json!({ "user_id": "@bert:example.org" });
        let (by, body) = if ["join", "leave"].contains(&act) { (&self.bert, json!({})) } else { (&self.anna, bert) };
        if !act.is_empty() {
            self.server.post(&self.path(&format!("/{act}")), by, &body).await.ok();
        }
    }

    async fn say(&self, by: &str, txn: &str, content: &Value) -> String {
        let path = self.path(&format!("/send/m.room.message/{}", encoded(txn)));
        self.server.put(&path, by, content).await.ok()["event_id"].as_str().unwrap().to_owned()
    }

    async fn set(&self, path: &str, content: &Value) -> String {
        let path = self.path(&format!("/state/{path}"));
        self.server.put(&path, &self.erin, content).await.ok()["event_id"].as_str().unwrap().to_owned()
    }

    async fn phase(&self, number: usize, membership: &'static str) -> Phase {
        let text = |what: &str| format!("secret-{number} {what}");
        let says = |what: &str| json!({ "msgtype": "m.text", "body": text(what) });
        let relating = |what: &str, relation: Value| {
            let mut content = says(what);
            content["m.relates_to"] = relation;
            content
        };
        let root = self.say(&self.erin, &text("root"), &says("root")).await;
        let thread = |root: &str| json!({ "rel_type": "m.thread", "event_id": root });
        let reply = self.say(&self.erin, &text("reply"), &relating("reply", thread(&root))).await;
        let common = self.say(&self.erin, &text("common"), &relating("common", thread(&self.first))).await;
        let mut edit = relating("edit", json!({ "rel_type": "m.replace", "event_id": root }));
        edit["m.new_content"] = says("edit");
        let edit = self.say(&self.erin, &text("edit"), &edit).await;
        let note = self.set("org.example.note", &json!({ "note": text("note") })).await;
        let member = json!({ "membership": "join", "displayname": text("name") });
        let name = self.set(&format!("m.room.member/{}", encoded("@erin:example.org")), &member).await;
        let last = self.server.get(&self.path("/messages?dir=b&limit=1"), &self.anna).await.ok();
        let place = last["start"].as_str().unwrap().to_owned();
        Phase { root, edit, reply, common, note, name, place, membership }
    }

    /// Whether Bert could see a phase's events before Erin was erased. Whoever may read without being in a room has not seen it.
    fn had_seen(&self, at: usize) -> bool {
        self.was_in(at) && self.could_by_joining(at)
            || (self.visibility == "invited" && self.phases[at].membership == "invite")
    }

    /// Whether Bert was in the room while state of that phase held, or later, before Erin was erased: who comes in is shown the state.
    fn was_in(&self, at: usize) -> bool {
        self.phases[at..].iter().any(|phase| phase.membership == "join")
    }

    fn could_by_joining(&self, at: usize) -> bool {
        ["shared", "world_readable"].contains(&self.visibility) || self.phases[at].membership == "join"
    }

    /// That nothing of Erin's is in `text` which is hidden from Bert. `stays`: the note that holds is not hidden.
    #[track_caller]
    fn expect_hidden(&self, text: &str, how: &str) {
        for at in (0..self.phases.len()).filter(|at| !self.had_seen(*at)) {
            // Whoever saw what took the place of a state event was shown that, too.
            let as_replaced = at + 1 < self.phases.len() && self.had_seen(at + 1);
            let holds = at == self.erased;
            for (what, may_show) in [
                ("root", false),
                ("reply", false),
                ("common", false),
                ("edit", false),
                ("reason", false),
                ("name", as_replaced || self.was_in(at)),
                ("note", as_replaced || self.was_in(at) || holds),
            ] {
                let shown = text.contains(&format!("secret-{at} {what}"));
                assert!(may_show || !shown, "{}: {what} of {at} by {how}: {text}", self.what);
            }
        }
    }

    /// That events of Erin's in `json` are whole, or redacted.
    #[track_caller]
    fn expect_events(&self, json: &Value, how: &str) -> usize {
        let mut events = BTreeMap::new();
        collect(json, &mut events);
        let mut seen = 0;
        for (at, phase) in self.phases.iter().enumerate() {
            let whole = self.had_seen(at);
            for (id, what) in [
                (&phase.root, "root"),
                (&phase.edit, "edit"),
                (&phase.reply, "reply"),
                (&phase.common, "common"),
                (&phase.note, "note"),
                (&phase.name, "name"),
            ] {
                let Some(event) = events.get(&**id) else { continue };
                seen += 1;
                let of_state = ["note", "name"].contains(&what) && self.was_in(at);
                let whole = whole || of_state || (what == "note" && at == self.erased);
                let said = event["content"].to_string().contains(&format!("secret-{at} {what}"));
                assert_eq!(said, whole, "{}: {what} of {at} by {how}: {event}", self.what);
                if what == "name" {
                    assert_eq!(event["content"]["membership"], "join", "{}: {at} by {how}: {event}", self.what);
                } else if !whole {
                    assert_eq!(event["content"], json!({}), "{}: {what} of {at} by {how}: {event}", self.what);
                }
            }
        }
        seen
    }

    /// Every way to read a room.
    fn paths(&self) -> Vec<String> {
        let mut paths: Vec<String> = ["/state", "/members", "/joined_members", "/state/org.example.note?format=event"]
            .iter()
            .chain(["/messages?dir=b&limit=100", "/messages?dir=f&limit=100", "/messages?dir=b&limit=3"].iter())
            .map(|path| self.path(path))
            .collect();
        let lazy = encoded(r#"{"lazy_load_members":true}"#);
        paths.push(self.path(&format!("/messages?dir=b&limit=100&filter={lazy}")));
        paths.push(self.path(&format!("/state/m.room.member/{}", encoded("@erin:example.org"))));
        paths.extend(["/threads", "/threads?include=participated"].map(|path| self.v1(path)));
        let ids = self.phases.iter().flat_map(|phase| [&phase.edit, &phase.reply, &phase.note, &phase.name]);
        paths.extend(ids.map(|id| self.path(&format!("/event/{}", encoded(id)))));
        let ids = self.phases.iter().map(|phase| &phase.root);
        for id in ids.chain([&self.first]).map(|id| encoded(id)) {
            paths.push(self.path(&format!("/event/{id}")));
            paths.push(self.path(&format!("/context/{id}?limit=3")));
            paths.push(self.path(&format!("/context/{id}?limit=100&filter={lazy}")));
            let rests = ["?recurse=true", "/m.thread", "/m.replace"];
            paths.extend(rests.map(|rest| self.v1(&format!("/relations/{id}{rest}"))));
        }
        paths.extend(self.phases.iter().map(|phase| self.path(&format!("/members?at={}", encoded(&phase.place)))));
        paths
    }

    /// Every sync, from the start and from each token, in each of its ways.
    fn syncs(&self) -> Vec<String> {
        let filter = |limit: usize, lazy: bool| {
            let members = if lazy { json!({ "lazy_load_members": true }) } else { json!({}) };
            let timeline = json!({ "limit": limit });
            encoded(&json!({ "room": { "timeline": timeline, "state": members, "include_leave": true } }).to_string())
        };
        let mut paths = Vec::new();
        for since in self.since.iter().map(|since| format!("&since={}", encoded(since))).chain([String::new()]) {
            for (limit, lazy, more) in [
                (100, false, ""),
                (1, false, ""),
                (3, true, ""),
                (2, false, "&use_state_after=true"),
                (5, false, "&full_state=true"),
            ] {
                paths.push(format!("{V3}/sync?timeout=0&filter={}{since}{more}", filter(limit, lazy)));
            }
        }
        paths
    }

    async fn check(&self) {
        for path in self.paths().into_iter().chain(self.syncs()) {
            let answer = self.server.get(&path, &self.bert).await;
            self.expect_hidden(&String::from_utf8_lossy(&answer.bytes), &path);
            if answer.status.is_success() {
                self.expect_events(&answer.json(), &path);
            }
            // Who was in the room all the time has lost nothing.
            if self.erased == 0 && !path.contains("/sync") {
                let text = self.server.get(&path, &self.anna).await.ok().to_string();
                assert!(!text.contains("\"content\":{}"), "{}: Anna by {path}: {text}", self.what);
            }
        }
        self.nothing_is_missing().await;
    }

    /// What Bert may see is there, redacted or not; what holds of the room is as it was.
    async fn nothing_is_missing(&self) {
        let messages = self.server.get(&self.path("/messages?dir=b&limit=100"), &self.bert).await;
        let joins_later = |at: usize| self.course_from(at).any(|membership| membership == "join");
        let visible = |at: usize| {
            let membership = self.phases[at].membership;
            self.visibility == "world_readable"
                || membership == "join"
                || (self.visibility == "shared" && joins_later(at))
                || (self.visibility == "invited" && membership == "invite")
        };
        let open = messages.status.is_success();
        let shown = if open { self.expect_events(&messages.ok(), "messages") } else { 0 };
        let expected = (0..self.phases.len()).filter(|at| open && visible(*at)).count() * 6;
        assert_eq!(shown, expected, "{}", self.what);
        let note = self.server.get(&self.path("/state/org.example.note"), &self.bert).await;
        if self.memberships().last() == Some(&"join") {
            assert_eq!(note.ok()["note"], format!("secret-{} note", self.erased), "{}", self.what);
            let member = format!("/state/m.room.member/{}", encoded("@erin:example.org"));
            let member = self.server.get(&self.path(&member), &self.bert).await.ok();
            assert_eq!(member["membership"], "leave", "{}", self.what);
        }
    }

    fn memberships(&self) -> Vec<&'static str> {
        let (_, course) = COURSES.iter().find(|(name, _)| self.what.contains(&format!(", {name}, "))).unwrap();
        course.iter().map(|(_, membership)| *membership).collect()
    }

    fn course_from(&self, at: usize) -> impl Iterator<Item = &'static str> {
        self.memberships().into_iter().skip(at)
    }
}

/// All events in `json`, by id, wherever they are.
fn collect<'a>(json: &'a Value, events: &mut BTreeMap<&'a str, &'a Value>) {
    match json {
        Value::Array(items) => items.iter().for_each(|item| collect(item, events)),
        Value::Object(fields) => {
            if let (Some(id), true) = (json["event_id"].as_str(), json["content"].is_object()) {
                events.insert(id, json);
            }
            fields.values().for_each(|value| collect(value, events));
        }
        _ => {}
    }
}

async fn each_course_each_moment_each_way_to_read(visibility: &'static str) {
    for (name, course) in COURSES {
        for erased in 0..course.len() {
            Room::new(visibility, (name, course), erased).await.check().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn where_everybody_reads() {
    each_course_each_moment_each_way_to_read(VISIBILITIES[0]).await;
}

#[tokio::test(start_paused = true)]
async fn where_who_is_in_reads_what_was() {
    each_course_each_moment_each_way_to_read(VISIBILITIES[1]).await;
}

#[tokio::test(start_paused = true)]
async fn where_who_is_invited_reads() {
    each_course_each_moment_each_way_to_read(VISIBILITIES[2]).await;
}

#[tokio::test(start_paused = true)]
async fn where_who_was_there_reads() {
    each_course_each_moment_each_way_to_read(VISIBILITIES[3]).await;
}
