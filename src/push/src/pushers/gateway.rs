//! What pushers need of a push gateway, and which gateways there may be.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use async_trait::async_trait;
use bytes::Bytes;
use reqwest::Url;

/// What a gateway's path is (Client-Server API, `POST /pushers/set`).
const PATH: &str = "/_matrix/push/v1/notify";

/// What became of a notification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GatewayAnswer {
    /// The gateway took it; these push keys are not valid any more.
    Taken {
        /// As the gateway tells them.
        rejected: Vec<String>,
    },
    /// It did not, or nobody knows: why, in words that name neither user nor push key.
    Failed(String),
}

/// Tells push gateways of notifications (Push Gateway API, `POST /_matrix/push/v1/notify`).
#[async_trait]
pub trait Gateway: Send + Sync + 'static {
    /// Sends `body` to the gateway at `url`, once, and returns after [`wardstead_limits::pushers::REQUEST_MS`] at the latest.
    async fn notify(&self, url: &str, body: Bytes) -> GatewayAnswer;
}

/// Which gateways there may be. A user says where a gateway is, so by default it is nowhere inside the server's own network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GatewayPolicy {
    /// Hosts, as they stand in URLs, that may have private addresses and be spoken to without TLS.
    pub allowed: Vec<String>,
    /// Whether every host may: for development and tests.
    pub everywhere: bool,
    /// Whether the content of encrypted events, which the gateway cannot read, is sent to who asks for it.
    pub full_content: bool,
}

impl GatewayPolicy {
    /// Whether the gateway `host` may be inside the server's own network.
    #[must_use]
    pub fn may_be_inside(&self, host: &str) -> bool {
        self.everywhere || self.allowed.iter().any(|allowed| allowed.eq_ignore_ascii_case(host))
    }

    /// Whether there may be a gateway at `url`; else what is wrong.
    ///
    /// # Errors
    /// A sentence for the user.
    pub fn check(&self, url: &str) -> Result<Url, String> {
        let url = Url::parse(url).map_err(|_| "`data.url` is no URL.".to_owned())?;
        let host = url.host_str().ok_or_else(|| "`data.url` names no host.".to_owned())?;
        let inside = self.may_be_inside(host);
        if url.scheme() != "https" && !(inside && url.scheme() == "http") {
            return Err("`data.url` must begin with https://.".to_owned());
        }
        if url.path() != PATH {
            return Err(format!("The path of `data.url` must be {PATH}."));
        }
        if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            return Err("`data.url` has parts that it must not have.".to_owned());
        }
        if !inside && address(&url).is_some_and(|address| !is_public(address)) {
            return Err("There is no push gateway at that address.".to_owned());
        }
        Ok(url)
    }
}

/// The address that the URL names instead of a host.
fn address(url: &Url) -> Option<IpAddr> {
    let host = url.host_str()?;
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// Whether an address is one of the internet at large, to which anybody may be told to speak (IANA special-purpose address registries).
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [first, second, third, _] = address.octets();
    let inside = address.is_private() || address.is_loopback() || address.is_link_local();
    let nowhere = first == 0 || first >= 224 || address.is_documentation();
    // Shared by carriers' customers, of protocols, once of relays, for benchmarks.
    let special =
        matches!([first, second, third], [100, 64..=127, _] | [192, 0, 0] | [192, 88, 99] | [198, 18..=19, _]);
    !(inside || nowhere || special)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    // Addresses that stand for others are as those are: mapped, translated (64:ff9b::/96), 6to4.
    let bytes = address.octets();
    let inner = |at: usize| Ipv4Addr::new(bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]);
    if let Some(mapped) = address.to_ipv4_mapped() {
        return is_public_v4(mapped);
    }
    match address.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, _, _] => is_public_v4(inner(12)),
        [0x2002, ..] => is_public_v4(inner(2)),
        // Teredo, documentation, benchmarks, and what else stands there.
        [0x2001, second, ..] => second >= 0x200 && second != 0xdb8,
        // All that is not global unicast: unspecified, loopback, unique local, link-local, multicast.
        [first, ..] => (0x2000..=0x3ffe).contains(&first),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gateways_are_outside_unless_they_are_listed() {
        let strict = GatewayPolicy::default();
        let ok = |policy: &GatewayPolicy, url: &str| policy.check(url).is_ok();
        assert!(ok(&strict, "https://push.example.org/_matrix/push/v1/notify"));
        assert!(ok(&strict, "https://push.example.org:8443/_matrix/push/v1/notify?a=b"));
        for refused in [
            "http://push.example.org/_matrix/push/v1/notify",
            "https://push.example.org/",
            "https://push.example.org/_matrix/push/v1/notify/",
            "https://anna:secret@push.example.org/_matrix/push/v1/notify",
            "https://push.example.org/_matrix/push/v1/notify#a",
            "https://127.0.0.1/_matrix/push/v1/notify",
            "https://0x7f.1/_matrix/push/v1/notify",
            "https://[::1]/_matrix/push/v1/notify",
            "https://[::ffff:10.0.0.1]/_matrix/push/v1/notify",
            "https://169.254.169.254/_matrix/push/v1/notify",
            "ftp://push.example.org/_matrix/push/v1/notify",
            "push.example.org",
        ] {
            assert!(!ok(&strict, refused), "{refused}");
        }
        let allowed = GatewayPolicy { allowed: vec!["10.1.2.3".to_owned(), "push.ward".to_owned()], ..strict };
        for taken in ["https://10.1.2.3/", "http://10.1.2.3:5000/", "http://PUSH.ward/"] {
            assert!(ok(&allowed, &format!("{taken}_matrix/push/v1/notify")), "{taken}");
        }
        assert!(!ok(&allowed, "http://10.1.2.4/_matrix/push/v1/notify"));
    }

    #[test]
    fn which_addresses_are_of_the_internet() {
        for inside in [
            "0.0.0.0",
            "10.0.0.1",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001::1",
            "2001:db8::1",
            "::127.0.0.1",
        ] {
            assert!(!is_public(inside.parse().unwrap()), "{inside}");
        }
        for outside in ["1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2001:4860:4860::8888"] {
            assert!(is_public(outside.parse().unwrap()), "{outside}");
        }
    }
}
