//! A long-poll, without a client library: what that takes on the same two cores is not the server's.

use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use harness::client::encode;
use harness::server::SERVER_NAME;
use harness::user::text;
use harness::{Launch, User};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A connection of a user that has synced.
pub struct Poll {
    stream: TcpStream,
    token: String,
    since: String,
}

impl Poll {
    /// Connects with a token that has everything up to now, and was told nothing of it.
    pub async fn new(launch: &Launch, user: &User) -> Result<Self> {
        let nothing = encode(&json!({ "room": { "rooms": [] } }).to_string());
        let first = user.get(&format!("/sync?timeout=0&set_presence=offline&filter={nothing}")).await?.ok()?;
        let stream = TcpStream::connect(launch.address().trim_start_matches("http://")).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, token: user.token.clone(), since: text(&first, "next_batch")? })
    }

    /// Waits for news of a room; itself with the next token, when the answer was complete, the answer. Presence is told in answers of
    /// its own; after those it asks again.
    pub async fn news(mut self) -> Result<(Self, Instant, Value)> {
        loop {
            let (at, answer) = self.ask(60_000, "online").await?;
            if answer["rooms"].is_object() {
                return Ok((self, at, answer));
            }
        }
    }

    /// Waits `timeout_ms` in vain, unseen by others.
    pub async fn idle(mut self, timeout_ms: u64) -> Result<Self> {
        let (_, answer) = self.ask(timeout_ms, "offline").await?;
        ensure!(answer["rooms"].is_null(), "{answer}");
        Ok(self)
    }

    async fn ask(&mut self, timeout_ms: u64, presence: &str) -> Result<(Instant, Value)> {
        let since = encode(&self.since);
        let request = format!(
            "GET /_matrix/client/v3/sync?timeout={timeout_ms}&set_presence={presence}&since={since} HTTP/1.1\r\nHost: {SERVER_NAME}\r\nAuthorization: Bearer {}\r\n\r\n",
            self.token
        );
        self.stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::with_capacity(4_096);
        let body = loop {
            ensure!(self.stream.read_buf(&mut answer).await? > 0, "the server ended the connection");
            if let Some(body) = body(&answer)? {
                break body;
            }
        };
        let answer: Value = serde_json::from_slice(&answer[body..])?;
        self.since = text(&answer, "next_batch")?;
        Ok((Instant::now(), answer))
    }
}

/// Where the body of a complete answer starts.
fn body(answer: &[u8]) -> Result<Option<usize>> {
    let Some(end) = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&answer[..end])?.to_ascii_lowercase();
    if !head.starts_with("http/1.1 200") {
        bail!("{head}");
    }
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.context("an answer states its length")?.trim().parse()?;
    Ok((answer.len() >= end + 4 + length).then_some(end + 4))
}
