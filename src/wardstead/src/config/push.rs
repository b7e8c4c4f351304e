//! `[push]`

#![expect(unused_qualifications, reason = "the derive macro's paths carry the spans of our fields")]

use wardstead_push::GatewayPolicy;

/// `[push]`
#[derive(Clone, Debug, confique::Config)]
#[config(partial_attr(derive(Debug, Clone)))]
#[config(partial_attr(serde(deny_unknown_fields)))]
pub struct Push {
    /// Push gateways inside your own network: hosts as they stand in URLs, such as "push.example.nhs.uk". They alone may have
    /// private addresses, and be spoken to without TLS. All others have to be in the internet, with TLS: a user says where
    /// a gateway is, and must not make this server speak to your network.
    #[config(default = [])]
    pub allowed_gateways: Vec<String>,

    /// Whether gateways are sent more than ids and counts: type, sender and content of encrypted events, which nobody can read
    /// on the way, where the app does not ask for ids alone. Of what is not encrypted nothing is ever sent but ids.
    #[config(default = false)]
    pub full_content: bool,
}

impl Push {
    /// What a server does of which nothing is said.
    pub(crate) const fn dev() -> Self {
        Self { allowed_gateways: Vec::new(), full_content: false }
    }

    /// Which gateways there may be; with `everywhere` at every address.
    #[must_use]
    pub fn policy(&self, everywhere: bool) -> GatewayPolicy {
        GatewayPolicy { allowed: self.allowed_gateways.clone(), everywhere, full_content: self.full_content }
    }
}
