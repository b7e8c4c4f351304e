//! The client's address, where a reverse proxy stands between it and this server. See `docs/design/18-rate-limits.md`.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use axum::extract::ConnectInfo;
use http::{HeaderMap, Request, header};
use serde::Deserialize;
use wardstead_accounts::Client;
use wardstead_limits::api::PROXY_STEPS;

const FORWARDED_FOR: &str = "x-forwarded-for";

/// Reverse proxies whose `X-Forwarded-For` counts. From anybody else the header is what a client may write to be taken for another.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies {
    blocks: Arc<[AddressBlock]>,
    warned: Arc<AtomicBool>,
}

/// An address, or the addresses that begin with the same bits: `192.0.2.7`, `10.1.0.0/16`, `2001:db8::/32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct AddressBlock {
    base: IpAddr,
    bits: u8,
}

impl TrustedProxies {
    /// The proxies in `blocks`.
    #[must_use]
    pub fn new(blocks: Vec<AddressBlock>) -> Self {
        Self { blocks: blocks.into(), warned: Arc::default() }
    }

    /// From where the request came: the peer of its connection, or who that one says it is when it is a proxy of ours.
    pub(crate) fn client<B>(&self, head: &Request<B>) -> Client {
        let user_agent = head.headers().get(header::USER_AGENT).and_then(|name| name.to_str().ok());
        let peer = head.extensions().get::<ConnectInfo<SocketAddr>>();
        let address = peer.map(|ConnectInfo(peer)| self.behind(peer.ip().to_canonical(), head.headers()));
        Client::new(address.unwrap_or(Ipv4Addr::UNSPECIFIED.into()), user_agent)
    }

    /// Walks from the peer outwards, as far as proxies of ours say who was before them. Each adds the address that it saw on the right;
    /// what stands left of the first address that is not ours was written by a stranger. An entry that is no address ends the walk,
    /// too: then the last proxy stands for its clients.
    fn behind(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        if !self.trusts(peer) {
            if headers.contains_key(FORWARDED_FOR) && !self.warned.swap(true, Ordering::Relaxed) {
                tracing::warn!(
                    %peer,
                    "X-Forwarded-For from an address that is not in server.trusted_proxies is not believed; if it is your proxy's, \
                     all who come through it count as one client"
                );
            }
            return peer;
        }
        let mut address = peer;
        // Several lines of the header are one list (RFC 9110, 5.3).
        let lines = headers.get_all(FORWARDED_FOR).iter().collect::<Vec<_>>();
        let entries = lines.iter().rev().flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
        for entry in entries.take(PROXY_STEPS) {
            let Some(said) = address_in(entry) else { break };
            address = said;
            if !self.trusts(address) {
                break;
            }
        }
        address
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.blocks.iter().any(|block| block.contains(address))
    }
}

/// The address in an entry; some proxies add the port.
fn address_in(entry: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(entry).ok()?.trim();
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    Some(text.parse().ok().or_else(bracketed).or_else(with_port)?.to_canonical())
}

impl AddressBlock {
    fn contains(self, address: IpAddr) -> bool {
        match (self.base, address) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                let differing = u32::from(base) ^ u32::from(address);
                differing.checked_shr(32 - u32::from(self.bits)).unwrap_or(0) == 0
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => {
                let differing = u128::from(base) ^ u128::from(address);
                differing.checked_shr(128 - u32::from(self.bits)).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

impl FromStr for AddressBlock {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let base: IpAddr =
            address.parse().map_err(|_| format!("\"{text}\" is no address, and no range such as \"10.1.0.0/16\""))?;
        if base != base.to_canonical() {
            return Err(format!("\"{text}\": write the IPv4 address {} as such", base.to_canonical()));
        }
        let most = if base.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => most,
            Some(bits) => match bits.parse() {
                Ok(bits) if bits <= most => bits,
                _ => return Err(format!("\"{text}\": behind the slash stands a number from 0 to {most}")),
            },
        };
        let first = Self { base, bits }.first();
        // More likely a slip than meant.
        if first != base {
            return Err(format!("\"{text}\" is not where its range begins; that is \"{first}/{bits}\""));
        }
        Ok(Self { base, bits })
    }
}

impl AddressBlock {
    fn first(self) -> IpAddr {
        let bits = u32::from(self.bits);
        match self.base {
            IpAddr::V4(base) => Ipv4Addr::from(u32::from(base) & u32::MAX.checked_shl(32 - bits).unwrap_or(0)).into(),
            IpAddr::V6(base) => {
                Ipv6Addr::from(u128::from(base) & u128::MAX.checked_shl(128 - bits).unwrap_or(0)).into()
            }
        }
    }
}

impl TryFrom<String> for AddressBlock {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for AddressBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.bits)
    }
}

#[cfg(test)]
mod tests;
