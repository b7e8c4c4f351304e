//! What the nodes tell each other: a format byte, then entries one after another.

use bytes::Bytes;
use ruma::{OwnedUserId, UserId};
use serde::{Deserialize, Serialize};
use wardstead_limits::{accounts::USER_ID_BYTES, engine::BUS_PAYLOAD_BYTES, ephemeral as limits};

use super::PresenceState;

const FORMAT: u8 = 1;

/// News of one user. Short ids are the same on all nodes; times are Unix milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) user: u64,
    pub(super) user_id: OwnedUserId,
    /// When it was said. Of two entries about the same thing the later prevails.
    pub(super) said_ms: u64,
    pub(super) what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// A node vouches for a device.
    Device(Vouched),
    /// The user says how they are there.
    Said { state: PresenceState, status: Option<String> },
    /// The user did something.
    Acted,
    /// The user has another name or picture, which is told with presence.
    Renamed,
}

/// A node vouches that a device is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Vouched {
    pub(super) node: u64,
    pub(super) device: u64,
    /// How it shows its user; never offline.
    #[serde(with = "number")]
    pub(super) state: PresenceState,
    /// Until then.
    pub(super) until_ms: u64,
    /// When a sync of it last said so.
    pub(super) marked_ms: u64,
    /// When the user last did something.
    pub(super) active_ms: u64,
}

#[derive(Serialize, Deserialize)]
struct Wire<'a> {
    user: u64,
    user_id: &'a str,
    said_ms: u64,
    #[serde(borrow)]
    what: WireWhat<'a>,
}

#[derive(Serialize, Deserialize)]
enum WireWhat<'a> {
    Device(Vouched),
    Said {
        #[serde(with = "number")]
        state: PresenceState,
        status: Option<&'a str>,
    },
    Acted,
    Renamed,
}

/// States as one byte.
mod number {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use super::PresenceState::{self, Offline, Online, Unavailable};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
    pub(super) fn serialize<S: Serializer>(state: &PresenceState, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(match state {
            Offline => 0,
            Unavailable => 1,
            Online => 2,
        })
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PresenceState, D::Error> {
        match u8::deserialize(deserializer)? {
            0 => Ok(Offline),
            1 => Ok(Unavailable),
            2 => Ok(Online),
            _ => Err(D::Error::custom("no state")),
        }
    }
}

/// As few messages as carry `entries`.
pub(super) fn encode(entries: &[Entry]) -> Vec<Bytes> {
    let mut messages = Vec::new();
    let mut message = vec![FORMAT];
    for entry in entries {
        let what = match &entry.what {
            What::Device(device) => WireWhat::Device(*device),
            What::Said { state, status } => WireWhat::Said { state: *state, status: status.as_deref() },
            What::Acted => WireWhat::Acted,
            What::Renamed => WireWhat::Renamed,
        };
        let wire = Wire { user: entry.user, user_id: entry.user_id.as_str(), said_ms: entry.said_ms, what };
        // Serialising numbers and texts into memory cannot fail; an empty entry adds nothing.
        let bytes = postcard::to_allocvec(&wire).unwrap_or_default();
        if message.len() + bytes.len() > BUS_PAYLOAD_BYTES {
            messages.push(std::mem::replace(&mut message, vec![FORMAT]).into());
        }
        message.extend_from_slice(&bytes);
    }
    if message.len() > 1 {
        messages.push(message.into());
    }
    messages
}

/// The entries of one message; `None` for anything that [`encode`] did not write.
pub(super) fn decode(bytes: &[u8]) -> Option<Vec<Entry>> {
    let (FORMAT, mut rest) = bytes.split_first().map(|(format, rest)| (*format, rest))? else { return None };
    let mut entries = Vec::new();
    while !rest.is_empty() {
        let (wire, after) = postcard::take_from_bytes::<Wire<'_>>(rest).ok()?;
        entries.push(wire.read()?);
        rest = after;
    }
    Some(entries)
}

impl Wire<'_> {
    fn read(self) -> Option<Entry> {
        let Self { user, user_id, said_ms, what } = self;
        if user_id.len() > USER_ID_BYTES {
            return None;
        }
        let what = match what {
            WireWhat::Device(device) => What::Device(device),
            WireWhat::Said { status: Some(status), .. } if status.len() > limits::PRESENCE_STATUS_BYTES => return None,
            WireWhat::Said { state, status } => What::Said { state, status: status.map(str::to_owned) },
            WireWhat::Acted => What::Acted,
            WireWhat::Renamed => What::Renamed,
        };
        Some(Entry { user, user_id: UserId::parse(user_id).ok()?, said_ms, what })
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, test_runner::RngSeed};

    use super::*;

    fn state() -> impl Strategy<Value = PresenceState> {
        prop_oneof![Just(PresenceState::Online), Just(PresenceState::Unavailable), Just(PresenceState::Offline)]
    }

    fn what() -> impl Strategy<Value = What> {
        let device =
            (any::<[u64; 5]>(), state()).prop_map(|([node, device, until_ms, marked_ms, active_ms], state)| {
                What::Device(Vouched { node, device, state, until_ms, marked_ms, active_ms })
            });
        let status = proptest::option::of("[ -~é]{0,200}");
        let said = (state(), status).prop_map(|(state, status)| What::Said { state, status });
        prop_oneof![device, said, Just(What::Acted), Just(What::Renamed)]
    }

    fn entry() -> impl Strategy<Value = Entry> {
        (any::<u64>(), "[a-z]{1,200}", any::<u64>(), what()).prop_map(|(user, name, said_ms, what)| {
            let user_id = UserId::parse(format!("@{name}:example.org")).unwrap();
            Entry { user, user_id, said_ms, what }
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, rng_seed: RngSeed::Fixed(11), ..ProptestConfig::default() })]

        #[test]
        fn what_is_written_is_read(entries in vec(entry(), 0..60)) {
            let messages = encode(&entries);
            prop_assert!(messages.iter().all(|message| message.len() <= BUS_PAYLOAD_BYTES));
            let read: Vec<Entry> = messages.iter().flat_map(|message| decode(message).unwrap()).collect();
            prop_assert_eq!(read, entries);
        }

        /// Cut, changed, longer, or anything at all: read as some entries or dropped, never a panic.
        #[test]
        fn hostile_bytes_are_dropped(entry in entry(), noise in any::<Vec<u8>>(), at in any::<prop::sample::Index>()) {
            let mut bytes = encode(std::slice::from_ref(&entry))[0].to_vec();
            let cut = 2 + at.index(bytes.len() - 2);
            prop_assert_eq!(decode(&bytes[..cut]), None);
            let at = at.index(bytes.len());
            bytes[at] ^= noise.first().copied().unwrap_or(1) | 1;
            prop_assert_ne!(decode(&bytes), Some(vec![entry]));
            let _ = decode(&noise);
            let _ = decode(&[&[FORMAT], &noise[..]].concat());
        }
    }

    #[test]
    fn another_format_is_dropped() {
        let user_id = UserId::parse("@anna:example.org").unwrap();
        let mut bytes = encode(&[Entry { user: 1, user_id, said_ms: 2, what: What::Acted }])[0].to_vec();
        bytes[0] = FORMAT + 1;
        assert_eq!(decode(&bytes), None);
        assert_eq!(decode(&[]), None);
    }
}
