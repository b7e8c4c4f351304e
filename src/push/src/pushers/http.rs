//! Push gateways over HTTP.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use reqwest::{
    Client, StatusCode,
    dns::{Addrs, Name, Resolve, Resolving},
    header::CONTENT_TYPE,
    redirect,
};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use serde::Deserialize;
use wardstead_limits::pushers as limits;

use super::gateway::{Gateway, GatewayAnswer, GatewayPolicy, is_public};

/// Speaks to gateways with HTTP/1.1 and HTTP/2. It follows no redirect, uses no proxy, and speaks to no address inside the server's own
/// network but those of the hosts that are allowed there, whatever names lead to them.
pub struct HttpGateway {
    client: Client,
    policy: Arc<GatewayPolicy>,
}

impl std::fmt::Debug for HttpGateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpGateway").field("policy", &self.policy).finish_non_exhaustive()
    }
}

/// Names are looked up as the system does; what is inside is left out unless it may be.
struct Outside(Arc<GatewayPolicy>);

impl Resolve for Outside {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = Arc::clone(&self.0);
        Box::pin(async move {
            let inside = policy.may_be_inside(name.as_str());
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let allowed: Vec<_> = found.into_iter().filter(|found| inside || is_public(found.ip())).collect();
            if allowed.is_empty() {
                return Err("the name leads nowhere where a gateway may be".into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

impl HttpGateway {
    /// Gateways as `policy` allows them; certificates are held against the system's.
    ///
    /// # Errors
    /// What the HTTP client says, such as that there is no certificate.
    pub fn new(policy: GatewayPolicy) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let policy = Arc::new(policy);
        let client = Client::builder()
            .use_preconfigured_tls(tls)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .dns_resolver(Arc::new(Outside(Arc::clone(&policy))))
            .connect_timeout(Duration::from_millis(limits::CONNECT_MS))
            .timeout(Duration::from_millis(limits::REQUEST_MS))
            .pool_idle_timeout(Duration::from_millis(limits::IDLE_MS))
            .pool_max_idle_per_host(limits::IDLE_CONNECTIONS)
            .user_agent(concat!("wardstead/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self { client, policy })
    }

    async fn post(&self, url: &str, body: Bytes) -> Result<Vec<String>, String> {
        #[derive(Deserialize)]
        struct Answer {
            #[serde(default)]
            rejected: Vec<String>,
        }
        // What was allowed when the pusher was set may not be now.
        let url = self.policy.check(url)?;
        let request = self.client.post(url).header(CONTENT_TYPE, "application/json").body(body);
        // The text of an error has the URL, which may have what is nobody's business.
        let mut response = request.send().await.map_err(|error| sentence(&error.without_url()))?;
        if response.status() != StatusCode::OK {
            return Err(format!("status {}", response.status().as_u16()));
        }
        let mut answer = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| sentence(&error.without_url()))? {
            if answer.len() + chunk.len() > limits::ANSWER_BYTES {
                return Err("its answer is too long".to_owned());
            }
            answer.extend_from_slice(&chunk);
        }
        let answer: Answer =
            serde_json::from_slice(&answer).map_err(|_| "its answer is not of a gateway".to_owned())?;
        Ok(answer.rejected)
    }
}

/// The error with what led to it.
fn sentence(error: &reqwest::Error) -> String {
    let mut sentence = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        sentence = format!("{sentence}: {cause}");
        source = cause.source();
    }
    sentence
}

#[async_trait]
impl Gateway for HttpGateway {
    async fn notify(&self, url: &str, body: Bytes) -> GatewayAnswer {
        match self.post(url, body).await {
            Ok(rejected) => GatewayAnswer::Taken { rejected },
            Err(why) => GatewayAnswer::Failed(why),
        }
    }
}
