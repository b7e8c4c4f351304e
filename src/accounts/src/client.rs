//! From where a request came.

use std::net::{IpAddr, Ipv4Addr};

use wardstead_limits::accounts::USER_AGENT_BYTES;

/// From where a request came: what is kept with a session for its owner to see, and what limits are counted by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// The client's address, that of no proxy of ours; an IPv4 address is never written as one of IPv6. Unspecified (`0.0.0.0`) when
    /// nobody knows it.
    pub address: IpAddr,
    /// What the client calls itself, at most [`USER_AGENT_BYTES`].
    pub user_agent: Option<String>,
}

/// What counts as one place: an IPv4 address, or the 64 bits of an IPv6 address that a provider gives to one customer, who has all
/// addresses below them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Network {
    /// An address.
    V4([u8; 4]),
    /// A /64.
    V6([u8; 8]),
}

impl Client {
    /// A client at `address` that calls itself `user_agent`, which is cut at [`USER_AGENT_BYTES`].
    #[must_use]
    pub fn new(address: IpAddr, user_agent: Option<&str>) -> Self {
        let cut = |text: &str| {
            let ends = text.char_indices().map(|(start, char)| start + char.len_utf8());
            let end = ends.take_while(|end| *end <= USER_AGENT_BYTES).last().unwrap_or_default();
            text[..end].to_owned()
        };
        Self { address: address.to_canonical(), user_agent: user_agent.map(cut) }
    }

    /// A client of which nothing is known.
    #[must_use]
    pub fn unknown() -> Self {
        Self::new(Ipv4Addr::UNSPECIFIED.into(), None)
    }

    /// The place that its limits are counted for.
    #[must_use]
    pub fn network(&self) -> Network {
        Network::of(self.address)
    }
}

impl Network {
    /// The place that `address` is in.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.octets()),
            IpAddr::V6(address) => {
                let prefix = address.to_bits() >> 64;
                Self::V6(u64::try_from(prefix).unwrap_or_default().to_be_bytes())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_in_a_64_are_one_place() {
        let network = |text: &str| Network::of(text.parse().unwrap());
        assert_eq!(network("2001:db8:1:2::1"), network("2001:db8:1:2:ffff::2"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"), "a listener for both families writes it so");
    }

    #[test]
    fn a_long_name_is_cut_between_characters() {
        let client = Client::new("::ffff:192.0.2.1".parse().unwrap(), Some(&"é".repeat(USER_AGENT_BYTES)));
        assert_eq!(client.address.to_string(), "192.0.2.1");
        let name = client.user_agent.unwrap();
        assert!(name.len() <= USER_AGENT_BYTES && name.len() > USER_AGENT_BYTES - 2 && name.chars().all(|c| c == 'é'));
    }
}
