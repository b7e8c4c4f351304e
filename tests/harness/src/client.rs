//! HTTP with JSON, as a Matrix client speaks it.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
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

/// A client of one server; clones share connections.
#[derive(Clone, Debug)]
pub struct Http {
    client: Client<HttpConnector, Full<Bytes>>,
    base: String,
}

impl Http {
    /// A client of the server at `base`.
    #[must_use]
    pub fn new(base: &str) -> Self {
        Self { client: Client::builder(TokioExecutor::new()).build_http(), base: base.to_owned() }
    }

    /// One request. An error means that no answer came: whether it was carried out is unknown.
    ///
    /// # Errors
    /// When the connection fails, no answer comes in time, or it is not JSON.
    pub async fn call(&self, method: Method, path: &str, token: Option<&str>, body: Option<&Value>) -> Result<Answer> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base));
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
            let bytes = response.into_body().collect().await?.to_bytes();
            let body = serde_json::from_slice(&bytes)
                .with_context(|| format!("{status} without JSON: {}", String::from_utf8_lossy(&bytes)))?;
            Ok(Answer { status, body })
        };
        tokio::time::timeout(ANSWER, exchange).await.with_context(|| format!("no answer to {path}"))?
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
