//! What people do, by seeded choice. What the server refuses, because the room does not allow it, has not happened.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use harness::client::encode;
use harness::{Rng, User};
use hyper::Method;
use serde_json::{Value, json};

/// Rooms that are made on the way.
const ROOMS: usize = 4;
/// Far beyond what the queue needs to bring a name into the rooms.
const PATIENCE: Duration = Duration::from_mins(1);
/// Between two looks whether it is there.
const AGAIN: Duration = Duration::from_millis(5);

/// People, rooms, and the events that later acts refer to.
pub struct World {
    users: Vec<User>,
    rng: Rng,
    rooms: Vec<String>,
    /// Messages of a room with their senders.
    messages: BTreeMap<String, Vec<(String, usize)>>,
    /// Roots of threads and what was said in them.
    threads: BTreeMap<String, Vec<(String, String)>>,
    /// How often each act was done.
    done: BTreeMap<&'static str, usize>,
    number: usize,
}

impl World {
    pub fn new(users: Vec<User>, seed: u64) -> Self {
        let (messages, threads, done) = Default::default();
        Self { users, rng: Rng::new(seed), rooms: Vec::new(), messages, threads, done, number: 0 }
    }

    /// Which acts were done, how often.
    pub fn summary(&self) -> String {
        let counts: Vec<String> = self.done.iter().map(|(act, count)| format!("{act} {count}")).collect();
        counts.join(", ")
    }

    /// One act; what it was.
    pub async fn act(&mut self) -> Result<String> {
        self.number += 1;
        if self.rooms.len() < ROOMS && (self.rooms.is_empty() || self.rng.once_in(12)) {
            return self.create().await;
        }
        let (by, room) = (self.below(self.users.len()), self.below(self.rooms.len()));
        let room = self.rooms[room].clone();
        let (name, answer) = match self.rng.range(0, 24) {
            0..6 => ("message", self.message(by, &room).await?),
            6 | 7 => ("thread", self.thread(by, &room).await?),
            8 => ("relation", self.relation(by, &room).await?),
            9 => ("redaction", self.redaction(by, &room).await?),
            10 => ("state", self.state(by, &room).await?),
            11..15 => self.membership(by, &room).await?,
            15..19 => self.receipt(by, &room).await?,
            19 | 20 => self.room_data(by, &room).await?,
            21 => self.own_data(by).await?,
            22 => ("name", self.name(by).await?),
            _ => ("forget", self.call(by, Method::POST, &format!("/rooms/{}/forget", encode(&room)), json!({})).await?),
        };
        ensure!(answer.1["errcode"] != "M_UNRECOGNIZED", "{name}: {}", answer.1);
        ensure!(answer.0 < 500, "{name}: {} {}", answer.0, answer.1);
        if answer.0 == 200 {
            *self.done.entry(name).or_default() += 1;
        }
        Ok(format!("{name} by {} in {room}: {} {}", self.users[by].id, answer.0, answer.1))
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.rng.range(0, bound as u64)).unwrap_or_default()
    }

    async fn call(&self, by: usize, method: Method, path: &str, body: Value) -> Result<(u16, Value)> {
        let body = (method != Method::DELETE).then_some(body);
        let answer = self.users[by].once(method, path, body.as_ref()).await?;
        Ok((answer.status, answer.body))
    }

    async fn create(&mut self) -> Result<String> {
        let by = self.below(self.users.len());
        let visibility = ["shared", "shared", "joined", "invited"][self.below(4)];
        let history = json!({ "type": "m.room.history_visibility", "state_key": "", "content": { "history_visibility": visibility } });
        let body =
            json!({ "preset": "public_chat", "name": format!("room {}", self.number), "initial_state": [history] });
        let (status, answer) = self.call(by, Method::POST, "/createRoom", body).await?;
        ensure!(status == 200, "createRoom: {status} {answer}");
        let room = harness::user::text(&answer, "room_id")?;
        for other in (0..self.users.len()).filter(|other| *other != by).collect::<Vec<_>>() {
            if !self.rng.once_in(3) {
                self.call(other, Method::POST, &format!("/rooms/{}/join", encode(&room)), json!({})).await?;
            }
        }
        self.rooms.push(room);
        *self.done.entry("room").or_default() += 1;
        Ok(format!("a room of {}", self.users[by].id))
    }

    async fn send(&self, by: usize, room: &str, kind: &str, content: Value) -> Result<(u16, Value)> {
        let path = format!("/rooms/{}/send/{kind}/{}", encode(room), self.number);
        self.call(by, Method::PUT, &path, content).await
    }

    fn note(&mut self, by: usize, room: &str, answer: &(u16, Value)) -> Option<String> {
        let event = answer.1["event_id"].as_str()?.to_owned();
        self.messages.entry(room.to_owned()).or_default().push((event.clone(), by));
        Some(event)
    }

    /// Plain, or a mention of somebody.
    async fn message(&mut self, by: usize, room: &str) -> Result<(u16, Value)> {
        let mut content = json!({ "msgtype": "m.text", "body": format!("message {}", self.number) });
        if self.rng.once_in(3) {
            let mentioned = self.below(self.users.len());
            content["m.mentions"] = json!({ "user_ids": [self.users[mentioned].id] });
        }
        let answer = self.send(by, room, "m.room.message", content).await?;
        self.note(by, room, &answer);
        Ok(answer)
    }

    /// Something said before.
    fn earlier(&mut self, room: &str) -> Option<(String, usize)> {
        let count = self.messages.get(room)?.len();
        let at = self.below(count);
        self.messages[room].get(at).cloned()
    }

    async fn thread(&mut self, by: usize, room: &str) -> Result<(u16, Value)> {
        let threads = self.threads.get(room).map_or(&[][..], Vec::as_slice);
        let known: Option<String> = threads.first().map(|(below, _)| below.clone());
        let below = match known {
            Some(below) if !self.rng.once_in(4) => below,
            _ => match self.earlier(room) {
                Some((event, _)) if !self.in_thread(room, &event) => event,
                _ => return self.message(by, room).await,
            },
        };
        let relation = json!({ "rel_type": "m.thread", "event_id": below });
        let content =
            json!({ "msgtype": "m.text", "body": format!("reply {}", self.number), "m.relates_to": relation });
        let answer = self.send(by, room, "m.room.message", content).await?;
        if let Some(event) = answer.1["event_id"].as_str() {
            self.threads.entry(room.to_owned()).or_default().push((below, event.to_owned()));
        }
        Ok(answer)
    }

    fn in_thread(&self, room: &str, event: &str) -> bool {
        self.threads.get(room).is_some_and(|threads| threads.iter().any(|(_, reply)| reply == event))
    }

    /// An edit or a reaction.
    async fn relation(&mut self, by: usize, room: &str) -> Result<(u16, Value)> {
        let Some((event, sender)) = self.earlier(room) else { return self.message(by, room).await };
        if self.rng.once_in(2) {
            let relation = json!({ "rel_type": "m.annotation", "event_id": event, "key": "👍" });
            return self.send(by, room, "m.reaction", json!({ "m.relates_to": relation })).await;
        }
        let content = json!({
            "msgtype": "m.text", "body": "* edited", "m.new_content": { "msgtype": "m.text", "body": "edited" },
            "m.relates_to": { "rel_type": "m.replace", "event_id": event },
        });
        self.send(sender, room, "m.room.message", content).await
    }

    async fn redaction(&mut self, by: usize, room: &str) -> Result<(u16, Value)> {
        let Some((event, sender)) = self.earlier(room) else { return self.message(by, room).await };
        let by = if self.rng.once_in(3) { by } else { sender };
        let path = format!("/rooms/{}/redact/{}/{}", encode(room), encode(&event), self.number);
        self.call(by, Method::PUT, &path, json!({})).await
    }

    async fn state(&mut self, by: usize, room: &str) -> Result<(u16, Value)> {
        let (kind, content) = match self.below(4) {
            0 => ("m.room.topic", json!({ "topic": format!("topic {}", self.number) })),
            1 => ("m.room.name", json!({ "name": format!("name {}", self.number) })),
            _ => ("org.example.bed", json!({ "free": self.number })),
        };
        let path =
            format!("/rooms/{}/state/{kind}/{}", encode(room), if kind == "org.example.bed" { "12" } else { "" });
        self.call(by, Method::PUT, &path, content).await
    }

    async fn membership(&mut self, by: usize, room: &str) -> Result<(&'static str, (u16, Value))> {
        let other = self.below(self.users.len());
        let other = json!({ "user_id": self.users[other].id });
        let (name, body) = match self.below(10) {
            0..5 => ("join", json!({})),
            5 | 6 => ("invite", other),
            7 => ("leave", json!({})),
            8 => ("kick", other),
            _ => (if self.rng.once_in(2) { "ban" } else { "unban" }, other),
        };
        let path = format!("/rooms/{}/{name}", encode(room));
        Ok((name, self.call(by, Method::POST, &path, body).await?))
    }

    /// A receipt of either kind, in the main line, in a thread or over all, or the mark of what is read.
    async fn receipt(&mut self, by: usize, room: &str) -> Result<(&'static str, (u16, Value))> {
        let thread = self.threads.get(room).and_then(|threads| threads.last().cloned()).filter(|_| self.rng.once_in(3));
        if let Some((below, event)) = thread {
            let path = format!("/rooms/{}/receipt/m.read/{}", encode(room), encode(&event));
            return Ok(("thread receipt", self.call(by, Method::POST, &path, json!({ "thread_id": below })).await?));
        }
        let Some((event, _)) = self.earlier(room) else { return Ok(("message", self.message(by, room).await?)) };
        let (name, kind, body) = match self.below(8) {
            0..3 => ("receipt", "receipt/m.read", json!({})),
            3 | 4 => ("main receipt", "receipt/m.read", json!({ "thread_id": "main" })),
            5 | 6 => ("private receipt", "receipt/m.read.private", json!({})),
            _ => {
                let path = format!("/rooms/{}/read_markers", encode(room));
                let body = json!({ "m.fully_read": event });
                return Ok(("mark", self.call(by, Method::POST, &path, body).await?));
            }
        };
        let path = format!("/rooms/{}/{kind}/{}", encode(room), encode(&event));
        Ok((name, self.call(by, Method::POST, &path, body).await?))
    }

    /// Account data of a room and tags, set and removed.
    async fn room_data(&mut self, by: usize, room: &str) -> Result<(&'static str, (u16, Value))> {
        let below = format!("/user/{}/rooms/{}", encode(&self.users[by].id), encode(room));
        let tag = ["m.favourite", "u.ward", "u.night"][self.below(3)];
        Ok(match self.below(6) {
            0 | 1 => {
                ("tag", self.call(by, Method::PUT, &format!("{below}/tags/{tag}"), json!({ "order": 0.25 })).await?)
            }
            2 => ("untag", self.call(by, Method::DELETE, &format!("{below}/tags/{tag}"), json!({})).await?),
            3 => (
                "room data gone",
                self.call(by, Method::PUT, &format!("{below}/account_data/org.example.a"), json!({})).await?,
            ),
            _ => {
                let path = format!("{below}/account_data/org.example.{}", ["a", "b"][self.below(2)]);
                ("room data", self.call(by, Method::PUT, &path, json!({ "number": self.number })).await?)
            }
        })
    }

    async fn own_data(&mut self, by: usize) -> Result<(&'static str, (u16, Value))> {
        let below = format!("/user/{}/account_data/org.example", encode(&self.users[by].id));
        let kind = ["a", "b", "c"][self.below(3)];
        let path = format!("{below}.{kind}");
        Ok(match self.below(4) {
            0 => ("data gone", self.call(by, Method::PUT, &path, json!({})).await?),
            _ => ("data", self.call(by, Method::PUT, &path, json!({ "number": self.number })).await?),
        })
    }

    /// Another name, and the wait for it in the rooms.
    async fn name(&mut self, by: usize) -> Result<(u16, Value)> {
        let name = format!("name {}", self.number);
        let path = format!("/profile/{}/displayname", encode(&self.users[by].id));
        let answer = self.call(by, Method::PUT, &path, json!({ "displayname": name })).await?;
        if answer.0 == 200 {
            self.called_so_everywhere(by, &name).await?;
        }
        Ok(answer)
    }

    /// Waits until `by` is called `name` in all rooms that they are in. A change follows into the rooms from a queue, after the
    /// answer.
    async fn called_so_everywhere(&self, by: usize, name: &str) -> Result<()> {
        let user = &self.users[by];
        let answer = user.get("/joined_rooms").await?.ok().context("joined_rooms")?;
        let end = Instant::now() + PATIENCE;
        for room in answer["joined_rooms"].as_array().context("joined_rooms")? {
            let room = room.as_str().context("a room id")?;
            let path = format!("/rooms/{}/state/m.room.member/{}", encode(room), encode(&user.id));
            while user.get(&path).await?.ok().context("a member")?["displayname"] != name {
                ensure!(Instant::now() < end, "{room}: {} is not called {name} after {PATIENCE:?}", user.id);
                tokio::time::sleep(AGAIN).await;
            }
        }
        Ok(())
    }
}
