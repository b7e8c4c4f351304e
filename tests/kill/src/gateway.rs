//! A push gateway as the Push Gateway API has it, on a port of its own, beside the server.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The path of every gateway.
pub const PATH: &str = "/_matrix/push/v1/notify";

/// What it does with notifications.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Does {
    /// Takes them.
    Takes,
    /// Answers 502.
    Fails,
    /// Reads them and never answers.
    Hangs,
}

#[derive(Debug)]
struct State {
    does: Does,
    /// Requests that came while it did not take them.
    refused: usize,
    taken: Vec<Value>,
    /// What was wrong with a request.
    wrong: Option<String>,
}

/// The gateway. Clones are the same.
#[derive(Clone, Debug)]
pub struct Gateway {
    port: u16,
    state: Arc<Mutex<State>>,
}

impl Gateway {
    /// Begins to listen.
    pub async fn start(does: Does) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let state = State { does, refused: 0, taken: Vec::new(), wrong: None };
        let gateway = Self { port, state: Arc::new(Mutex::new(state)) };
        let serving = gateway.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let gateway = serving.clone();
                tokio::spawn(async move {
                    if let Err(error) = gateway.serve(stream).await {
                        gateway.with(|state| state.wrong = Some(format!("{error:#}")));
                    }
                });
            }
        });
        Ok(gateway)
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Where pushers find it.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}{PATH}", self.port)
    }

    /// From now on it does this.
    pub fn does(&self, does: Does) {
        self.with(|state| state.does = does);
    }

    /// Requests that it did not take.
    pub fn refused(&self) -> usize {
        self.with(|state| state.refused)
    }

    /// The notifications that it took, in order.
    ///
    /// # Errors
    /// When a request was none of the Push Gateway API, or told more than ids and numbers.
    pub fn taken(&self) -> Result<Vec<Value>> {
        self.with(|state| match &state.wrong {
            Some(wrong) => bail!("the gateway was asked wrongly: {wrong}"),
            None => Ok(state.taken.clone()),
        })
    }

    async fn serve(&self, mut stream: TcpStream) -> Result<()> {
        let mut bytes = Vec::new();
        loop {
            let Some((head, body)) = request(&mut stream, &mut bytes).await? else { return Ok(()) };
            let notification = checked(&head, &body)?;
            let answer = match self.with(|state| state.does) {
                Does::Takes => {
                    self.with(|state| state.taken.push(notification));
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 15\r\n\r\n{\"rejected\":[]}"
                }
                Does::Fails => {
                    self.with(|state| state.refused += 1);
                    "HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n"
                }
                Does::Hangs => {
                    self.with(|state| state.refused += 1);
                    // Until the server gives up, or is gone.
                    let _ = stream.read(&mut [0]).await;
                    return Ok(());
                }
            };
            // Whoever asked may have been killed.
            if stream.write_all(answer.as_bytes()).await.is_err() {
                return Ok(());
            }
        }
    }
}

/// The next request: its head, and its body. `None`: the connection ended.
async fn request(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Result<Option<(String, Vec<u8>)>> {
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8(bytes[..end].to_vec())?;
            let length = head
                .lines()
                .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:").map(str::to_owned));
            let length: usize = length.context("a request without content-length")?.trim().parse()?;
            if bytes.len() >= end + 4 + length {
                let body = bytes[end + 4..end + 4 + length].to_vec();
                bytes.drain(..end + 4 + length);
                return Ok(Some((head, body)));
            }
        }
        match stream.read_buf(bytes).await {
            Ok(0) | Err(_) => return Ok(None),
            Ok(_) => {}
        }
    }
}

/// The notification, if it is one, and tells nothing of what was said.
fn checked(head: &str, body: &[u8]) -> Result<Value> {
    if !head.starts_with(&format!("POST {PATH} ")) {
        bail!("{}", head.lines().next().unwrap_or_default());
    }
    let body: Value = serde_json::from_slice(body)?;
    let notification = body["notification"].as_object().context("no notification")?;
    for field in notification.keys() {
        if !["event_id", "room_id", "prio", "counts", "devices"].contains(&field.as_str()) {
            bail!("{field} was told");
        }
    }
    let device = &body["notification"]["devices"][0];
    for field in ["app_id", "pushkey"] {
        device[field].as_str().with_context(|| format!("a device without {field}"))?;
    }
    if body["notification"]["event_id"].is_string() != body["notification"]["room_id"].is_string() {
        bail!("an event without a room, or the other way round");
    }
    Ok(body["notification"].clone())
}
