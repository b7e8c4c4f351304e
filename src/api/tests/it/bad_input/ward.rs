//! A server with people and rooms, which is asked bad things and must not change.

use std::sync::Mutex;

use axum::body::Body;
use http::Method;
use serde_json::{Value, json};

use crate::{
    paths::{self, escaped},
    server::{Answer, Server},
};

const V3: &str = "/_matrix/client/v3";

/// Anna and Bert are in a room that Anna made; Carl is in one of his own, which neither of them knows.
pub struct Ward {
    pub server: Server,
    pub anna: String,
    pub bert: String,
    /// Anna's and Bert's.
    pub room: String,
    /// A message of Anna's there.
    pub event: String,
    /// Carl's room.
    pub foreign: String,
    /// A message there.
    pub foreign_event: String,
    /// What was wrong so far. All of it is told at once.
    found: Mutex<Vec<String>>,
}

impl Ward {
    pub async fn new() -> Self {
        let server = Server::new().await;
        // The key of interactive authentication is made when it is first needed.
        assert_eq!(server.post(&format!("{V3}/register"), "", &json!({})).await.status, 401);
        let (anna, bert, carl) = (server.token("anna").await, server.token("bert").await, server.token("carl").await);
        let room = made(&server, &anna, &json!({ "invite": ["@bert:example.org"] })).await;
        server.post(&format!("{V3}/rooms/{}/join", escaped(&room)), &bert, &json!({})).await.ok();
        let foreign = made(&server, &carl, &json!({})).await;
        let event = said(&server, &anna, &room).await;
        let foreign_event = said(&server, &carl, &foreign).await;
        Self { server, anna, bert, room, event, foreign, foreign_event, found: Mutex::default() }
    }

    /// The value for a variable of a path that makes sense here.
    pub fn value(&self, variable: &str) -> String {
        escaped(match variable {
            "room_id" | "room_id_or_alias" => &self.room,
            "event_id" => &self.event,
            other => paths::example(other),
        })
    }

    /// `text` with `{room}`, `{event}`, `{foreign}` and `{foreign_event}` replaced by what `written` makes of each.
    pub fn named(&self, text: &str, written: fn(&str) -> String) -> String {
        let names = [
            ("{room}", &self.room),
            ("{event}", &self.event),
            ("{foreign}", &self.foreign),
            ("{foreign_event}", &self.foreign_event),
        ];
        names.into_iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, &written(value)))
    }

    /// Asks with Anna's token. Whatever it is, the answer is no failure of the server's own; a refusal is a Matrix error, and leaves
    /// every row as it was.
    pub async fn ask(&self, what: &str, (method, uri, body): (&Method, &str, impl Into<Body>)) -> Answer {
        let before = self.server.rows();
        let answer = self.server.ask(method.clone(), uri, &self.anna, body).await;
        let shown = String::from_utf8_lossy(&answer.bytes);
        let find = |sentence: String| self.find(format!("{method} {uri}: {what}: {sentence}"));
        if answer.status.as_u16() >= 500 {
            find(format!("{} {shown}", answer.status));
        }
        if answer.status.is_success() {
            return answer;
        }
        let json: Value = serde_json::from_slice(&answer.bytes).unwrap_or_default();
        if !json["errcode"].as_str().is_some_and(|errcode| errcode.starts_with("M_")) || !json["error"].is_string() {
            find(format!("{} {shown}", answer.status));
        }
        let changed = changed(&before, &self.server.rows());
        if !changed.is_empty() {
            find(format!("refused with {shown}, and yet wrote {changed:?}"));
        }
        answer
    }

    /// As [`Ward::ask`], for what must be refused so.
    pub async fn refused(&self, what: &str, request: (&Method, &str, impl Into<Body>), (status, errcode): (u16, &str)) {
        let (method, uri) = (request.0.clone(), request.1.to_owned());
        let answer = self.ask(what, request).await;
        let shown = String::from_utf8_lossy(&answer.bytes);
        let json: Value = serde_json::from_slice(&answer.bytes).unwrap_or_default();
        if (answer.status.as_u16(), json["errcode"].as_str().unwrap_or_default()) != (status, errcode) {
            self.find(format!("{method} {uri}: {what}: {} {shown}, not {status} {errcode}", answer.status));
        }
    }

    /// An answer is wrong.
    pub fn find(&self, sentence: String) {
        self.found.lock().unwrap().push(sentence);
    }

    /// What was wrong with the answers so far.
    pub fn found(self) -> Vec<String> {
        self.found.into_inner().unwrap()
    }

    /// That nothing was.
    #[track_caller]
    pub fn assert_sound(self) {
        let found = self.found();
        assert!(found.is_empty(), "{} answers are wrong:\n{}", found.len(), found[..found.len().min(SHOWN)].join("\n"));
    }
}

/// At most so many wrong answers are shown.
pub const SHOWN: usize = 40;

/// Keys whose rows differ.
fn changed(before: &crate::server::Rows, after: &crate::server::Rows) -> Vec<String> {
    let other = |(key, row): &(&_, &_), rows: &crate::server::Rows| rows.get(*key) != Some(*row);
    let gone = before.iter().filter(|row| other(row, after));
    let come = after.iter().filter(|row| other(row, before));
    gone.chain(come).map(|(key, _)| format!("{key:?}")).collect()
}

async fn made(server: &Server, token: &str, how: &Value) -> String {
    let made = server.post(&format!("{V3}/createRoom"), token, how).await.ok();
    made["room_id"].as_str().unwrap().to_owned()
}

async fn said(server: &Server, token: &str, room: &str) -> String {
    let path = format!("{V3}/rooms/{}/send/m.room.message/first", escaped(room));
    let sent = server.put(&path, token, &json!({ "msgtype": "m.text", "body": "Bed 4 is free." })).await.ok();
    sent["event_id"].as_str().unwrap().to_owned()
}
