//! What the nodes tell each other: a format byte, then the change.

use bytes::Bytes;
use ruma::{OwnedUserId, UserId};
use serde::{Deserialize, Serialize};
use wardstead_limits::rooms::IDENTIFIER_BYTES;

const FORMAT: u8 = 1;

/// Somebody types, or does no more. Short ids are the same on all nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) room: u64,
    pub(super) user: u64,
    pub(super) user_id: OwnedUserId,
    /// Unix milliseconds; 0: types no more.
    pub(super) until_ms: u64,
    /// When it was said, in Unix milliseconds. Of two changes of one user in one room the later prevails.
    pub(super) said_ms: u64,
}

#[derive(Serialize, Deserialize)]
struct Wire<'a> {
    room: u64,
    user: u64,
    user_id: &'a str,
    until_ms: u64,
    said_ms: u64,
}

impl Change {
    pub(super) fn encode(&self) -> Bytes {
        let Self { room, user, ref user_id, until_ms, said_ms } = *self;
        let wire = Wire { room, user, user_id: user_id.as_str(), until_ms, said_ms };
        // Serialising numbers and a text into memory cannot fail; an empty message would be dropped by those who hear it.
        postcard::to_extend(&wire, vec![FORMAT]).unwrap_or_default().into()
    }

    /// `None` for anything that [`Change::encode`] did not write.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (FORMAT, rest) = bytes.split_first().map(|(format, rest)| (*format, rest))? else { return None };
        let (wire, rest) = postcard::take_from_bytes::<Wire<'_>>(rest).ok()?;
        if !rest.is_empty() || wire.user_id.len() > IDENTIFIER_BYTES {
            return None;
        }
        let Wire { room, user, user_id, until_ms, said_ms } = wire;
        Some(Self { room, user, user_id: UserId::parse(user_id).ok()?, until_ms, said_ms })
    }
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, test_runner::RngSeed};

    use super::*;

    fn change() -> impl Strategy<Value = Change> {
        (any::<[u64; 4]>(), "[a-z]{1,40}").prop_map(|([room, user, until_ms, said_ms], name)| Change {
            room,
            user,
            user_id: UserId::parse(format!("@{name}:example.org")).unwrap(),
            until_ms,
            said_ms,
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, rng_seed: RngSeed::Fixed(11), ..ProptestConfig::default() })]

        #[test]
        fn what_is_written_is_read(change in change()) {
            let bytes = change.encode();
            prop_assert!(bytes.len() <= wardstead_limits::engine::BUS_PAYLOAD_BYTES);
            prop_assert_eq!(Change::decode(&bytes), Some(change));
        }

        /// Cut, changed, longer, or anything at all: read as some change or dropped, never a panic.
        #[test]
        fn hostile_bytes_are_dropped(change in change(), noise in any::<Vec<u8>>(), at in any::<prop::sample::Index>()) {
            let mut bytes = change.encode().to_vec();
            prop_assert_eq!(Change::decode(&bytes[..at.index(bytes.len())]), None);
            prop_assert_eq!(Change::decode(&[&bytes[..], &[0]].concat()), None);
            let at = at.index(bytes.len());
            bytes[at] ^= noise.first().copied().unwrap_or(1) | 1;
            prop_assert_ne!(Change::decode(&bytes), Some(change));
            let _ = Change::decode(&noise);
            let _ = Change::decode(&[&[FORMAT], &noise[..]].concat());
        }
    }

    #[test]
    fn another_format_is_dropped() {
        let user_id = UserId::parse("@anna:example.org").unwrap();
        let mut bytes = Change { room: 1, user: 2, user_id, until_ms: 3, said_ms: 4 }.encode().to_vec();
        bytes[0] = FORMAT + 1;
        assert_eq!(Change::decode(&bytes), None);
        assert_eq!(Change::decode(&[]), None);
    }
}
