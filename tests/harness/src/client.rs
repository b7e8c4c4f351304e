//! HTTP with JSON, as a Matrix client speaks it, to one server or to several in turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use hyper::{Method, Request};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

/// Longer than any long-poll that the tests ask for. Only a server that hangs exceeds it.
const ANSWER: Duration = Duration::from_secs(90);

/// An answer with its status.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The `Retry-After` header (RFC 9110, section 10.2.3), as it came.
    pub retry_after: Option<String>,
    /// Parsed body.
    pub body: Value,
}

impl Answer {
    /// The body of a 200.
    ///
    /// # Errors
    /// On any other status.
    pub fn ok(self) -> Result<Value> {
        if self.status != 200 {
            bail!("{} {}", self.status, self.body);
        }
        Ok(self.body)
    }
}

/// The servers that requests go to. Clients of the same servers share it, so that all of them stop asking one that is gone.
#[derive(Debug)]
struct Nodes {
    bases: Vec<String>,
    gone: Vec<AtomicBool>,
    put_off: AtomicUsize,
}

/// A client of one server, or of several that it asks in turn; clones share connections and the turn.
#[derive(Clone, Debug)]
pub struct Http {
    client: Client<HttpConnector, Full<Bytes>>,
    nodes: Arc<Nodes>,
    turn: Arc<AtomicUsize>,
}

impl Http {
    /// A client of the server at `base`.
    #[must_use]
    pub fn new(base: &str) -> Self {
        Self::in_turn(vec![base.to_owned()])
    }

    /// A client of the servers at `bases`: each request goes to the next of them.
    #[must_use]
    pub fn in_turn(bases: Vec<String>) -> Self {
        let gone = bases.iter().map(|_| AtomicBool::new(false)).collect();
        Self {
            client: Client::builder(TokioExecutor::new()).build_http(),
            nodes: Arc::new(Nodes { bases, gone, put_off: AtomicUsize::new(0) }),
            turn: Arc::default(),
        }
    }

    /// The same servers and connections with a turn of its own, which starts at server `first`.
    #[must_use]
    pub fn own_turn(&self, first: usize) -> Self {
        Self { turn: Arc::new(AtomicUsize::new(first)), ..self.clone() }
    }

    /// From now on `node` is asked no more (or again).
    pub fn set_gone(&self, node: usize, gone: bool) {
        self.nodes.gone[node].store(gone, Ordering::SeqCst);
    }

    /// How many requests were answered 503 so far, by all clients of these servers.
    #[must_use]
    pub fn put_off(&self) -> usize {
        self.nodes.put_off.load(Ordering::SeqCst)
    }

    /// The server whose turn it is.
    fn base(&self) -> &str {
        let count = self.nodes.bases.len();
        for _ in 0..count {
            let node = self.turn.fetch_add(1, Ordering::SeqCst) % count;
            if !self.nodes.gone[node].load(Ordering::SeqCst) {
                return &self.nodes.bases[node];
            }
        }
        &self.nodes.bases[0]
    }

    /// One request. An error means that no answer came: whether it was carried out is unknown.
    ///
    /// # Errors
    /// When the connection fails, no answer comes in time, or it is not JSON.
    pub async fn call(&self, method: Method, path: &str, token: Option<&str>, body: Option<&Value>) -> Result<Answer> {
        let (status, retry_after, bytes) = self.exchange(method, path, token, body).await?;
        let body = serde_json::from_slice(&bytes)
            .with_context(|| format!("{status} without JSON: {}", String::from_utf8_lossy(&bytes)))?;
        Ok(Answer { status, retry_after, body })
    }

    /// A GET whose answer need not be JSON: status and text.
    ///
    /// # Errors
    /// When the connection fails or no answer comes in time.
    pub async fn text(&self, path: &str) -> Result<(u16, String)> {
        let (status, _, bytes) = self.exchange(Method::GET, path, None, None).await?;
        Ok((status, String::from_utf8_lossy(&bytes).into_owned()))
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> Result<(u16, Option<String>, Bytes)> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base()));
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let body = match body {
            Some(json) => {
                request = request.header(CONTENT_TYPE, "application/json");
                Full::from(serde_json::to_vec(json)?)
            }
            None => Full::default(),
        };
        let exchange = async {
            let response = self.client.request(request.body(body)?).await?;
            let status = response.status().as_u16();
            let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
            let retry_after = retry_after.map(str::to_owned);
            let bytes = response.into_body().collect().await?.to_bytes();
            Ok((status, retry_after, bytes))
        };
        let answer = tokio::time::timeout(ANSWER, exchange).await.with_context(|| format!("no answer to {path}"))?;
        if matches!(answer, Ok((503, ..))) {
            self.nodes.put_off.fetch_add(1, Ordering::SeqCst);
        }
        answer
    }
}

/// Percent-encodes `text` for use in a path segment or a query value (RFC 3986, section 2).
#[must_use]
pub fn encode(text: &str) -> String {
    use std::fmt::Write;
    let mut encoded = String::with_capacity(text.len() + 16);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(byte.into());
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}
