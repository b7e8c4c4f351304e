//! An account that is signed in, and what it asks of the server.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use hyper::Method;
use serde_json::{Value, json};

use crate::client::{Answer, Http, encode};

const PASSWORD: &str = "correct horse battery staple";
/// Attempts at a request that the server put off with 429 or 503.
const ATTEMPTS: usize = 200;

/// What became of a send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// 200 with this event id: promised.
    Acknowledged(String),
    /// No answer came.
    Unknown,
}

/// A user with an access token.
#[derive(Clone, Debug)]
pub struct User {
    http: Http,
    /// Full user id.
    pub id: String,
    /// Access token.
    pub token: String,
}

impl User {
    /// Registers `name` with a password (Client-Server API, Account registration).
    ///
    /// # Errors
    /// When the server does not answer with an account.
    pub async fn register(http: &Http, name: &str) -> Result<Self> {
        let body = json!({ "username": name, "password": PASSWORD, "auth": { "type": "m.login.dummy" } });
        let path = "/_matrix/client/v3/register";
        let answer = http.call(Method::POST, path, None, Some(&body)).await?.ok().context("register")?;
        Self::from_login(http, &answer)
    }

    /// Signs `name` in with `password`, or tells how it was refused.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn login(http: &Http, name: &str, password: &str) -> Result<Answer> {
        let identifier = json!({ "type": "m.id.user", "user": name });
        let body = json!({ "type": "m.login.password", "identifier": identifier, "password": password });
        http.call(Method::POST, "/_matrix/client/v3/login", None, Some(&body)).await
    }

    /// A device more of `name`, which was made by [`Self::register`].
    ///
    /// # Errors
    /// When it is refused or no answer comes.
    pub async fn sign_in(http: &Http, name: &str) -> Result<Self> {
        Self::from_login(http, &Self::login(http, name, PASSWORD).await?.ok().context("login")?)
    }

    /// `name`, which was made by [`Self::register`], signs in on its device `device` again.
    ///
    /// # Errors
    /// When it is refused or no answer comes.
    pub async fn sign_in_on(http: &Http, name: &str, device: &str) -> Result<Self> {
        let identifier = json!({ "type": "m.id.user", "user": name });
        let body = json!({
            "type": "m.login.password", "identifier": identifier, "password": PASSWORD, "device_id": device,
        });
        let answer = http.call(Method::POST, "/_matrix/client/v3/login", None, Some(&body)).await?;
        Self::from_login(http, &answer.ok().context("login")?)
    }

    /// The password of every account made by [`Self::register`].
    #[must_use]
    pub fn password() -> &'static str {
        PASSWORD
    }

    fn from_login(http: &Http, answer: &Value) -> Result<Self> {
        Ok(Self { http: http.clone(), id: text(answer, "user_id")?, token: text(answer, "access_token")? })
    }

    /// The same account over connections of its own, perhaps to a server elsewhere.
    #[must_use]
    pub fn over(&self, http: &Http) -> Self {
        Self { http: http.clone(), ..self.clone() }
    }

    /// A GET below `/_matrix/client/v3`.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn get(&self, path: &str) -> Result<Answer> {
        self.request(Method::GET, path, None).await
    }

    /// A POST below `/_matrix/client/v3`.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Answer> {
        self.request(Method::POST, path, Some(body)).await
    }

    /// A PUT below `/_matrix/client/v3`.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn put(&self, path: &str, body: &Value) -> Result<Answer> {
        self.request(Method::PUT, path, Some(body)).await
    }

    /// A request below `/_matrix/client/v3` that is made once, whatever the server answers.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn once(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer> {
        self.http.call(method, &format!("/_matrix/client/v3{path}"), Some(&self.token), body).await
    }

    async fn request(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer> {
        for _ in 0..ATTEMPTS {
            let answer = self.once(method.clone(), path, body).await?;
            if !matches!(answer.status, 429 | 503) {
                return Ok(answer);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bail!("{path} was put off {ATTEMPTS} times")
    }

    /// Makes a room and invites `invited`; its id.
    ///
    /// # Errors
    /// When it is refused or no answer comes.
    pub async fn create_room(&self, preset: &str, invited: &[&Self]) -> Result<String> {
        let invite: Vec<&str> = invited.iter().map(|user| user.id.as_str()).collect();
        let answer = self.post("/createRoom", &json!({ "preset": preset, "invite": invite })).await?;
        text(&answer.ok().context("createRoom")?, "room_id")
    }

    /// Invites `other`.
    ///
    /// # Errors
    /// When it is refused or no answer comes.
    pub async fn invite(&self, room: &str, other: &Self) -> Result<()> {
        let path = format!("/rooms/{}/invite", encode(room));
        self.post(&path, &json!({ "user_id": other.id })).await?.ok().context("invite").map(drop)
    }

    /// Joins `room`.
    ///
    /// # Errors
    /// When it is refused or no answer comes.
    pub async fn join(&self, room: &str) -> Result<()> {
        let path = format!("/rooms/{}/join", encode(room));
        self.post(&path, &json!({})).await?.ok().context("join").map(drop)
    }

    /// Sends `body` as `m.room.message` under transaction id `txn`.
    ///
    /// # Errors
    /// When the server answers with anything but an event id.
    pub async fn send(&self, room: &str, txn: &str, body: &str) -> Result<Sent> {
        let path = format!("/rooms/{}/send/m.room.message/{}", encode(room), encode(txn));
        let Ok(answer) = self.put(&path, &json!({ "msgtype": "m.text", "body": body })).await else {
            return Ok(Sent::Unknown);
        };
        Ok(Sent::Acknowledged(text(&answer.ok().context("send")?, "event_id")?))
    }

    /// As [`Self::send`], where the server is expected to stay up; the event id.
    ///
    /// # Errors
    /// When it is refused or no answer comes.
    pub async fn must_send(&self, room: &str, txn: &str, body: &str) -> Result<String> {
        match self.send(room, txn, body).await? {
            Sent::Acknowledged(event) => Ok(event),
            Sent::Unknown => bail!("no answer to a send"),
        }
    }

    /// `/sync` from `since`, waiting up to `timeout_ms`, with at most `timeline` events a room.
    ///
    /// # Errors
    /// When it is refused or no answer comes.
    pub async fn sync(&self, since: Option<&str>, timeout_ms: u64, timeline: usize) -> Result<Value> {
        let filter = encode(&json!({ "room": { "timeline": { "limit": timeline } } }).to_string());
        let since = since.map_or_else(String::new, |token| format!("&since={}", encode(token)));
        self.get(&format!("/sync?timeout={timeout_ms}&filter={filter}{since}")).await?.ok().context("sync")
    }

    /// One page of `/messages`.
    ///
    /// # Errors
    /// When it is refused or no answer comes.
    pub async fn messages(&self, room: &str, direction: &str, from: Option<&str>, limit: usize) -> Result<Value> {
        let from = from.map_or_else(String::new, |token| format!("&from={}", encode(token)));
        let path = format!("/rooms/{}/messages?dir={direction}&limit={limit}{from}", encode(room));
        self.get(&path).await?.ok().context("messages")
    }

    /// All events of `room` by paging in `direction` until the server names no further page.
    ///
    /// # Errors
    /// When a page fails, or a page ends where it began.
    pub async fn history(&self, room: &str, direction: &str, limit: usize) -> Result<Vec<Value>> {
        let mut from: Option<String> = None;
        let mut events = Vec::new();
        loop {
            let page = self.messages(room, direction, from.as_deref(), limit).await?;
            events.extend(page["chunk"].as_array().context("a page has a chunk")?.iter().cloned());
            let Some(end) = page["end"].as_str() else { return Ok(events) };
            if from.as_deref() == Some(end) {
                bail!("the page after {end} starts at {end}");
            }
            from = Some(end.to_owned());
        }
    }
}

/// The string `name` of an object.
///
/// # Errors
/// When there is none.
pub fn text(object: &Value, name: &str) -> Result<String> {
    object[name].as_str().map(str::to_owned).with_context(|| format!("no {name} in {object}"))
}
