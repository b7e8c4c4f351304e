//! Who tries, and from where.

use ruma::UserId;
use sha2::{Digest as _, Sha256};
use wardstead_accounts::Network;
use wardstead_engine::Key;

use crate::tables::{FAILED_LOGINS, KNOWN_PLACES, SUBJECT_BYTES};

/// From where a password comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// From somebody at this address who has no session.
    Network(Network),
    /// From somebody who has a session on this device, by short id, and wants to do something grave. Whoever found the telephone does
    /// not hinder its owner at another one.
    Device(u64),
}

/// What the buckets of an attempt belong to. The names in keys are hashes: of one length, and no list of who signs in from where.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    user_id: Option<String>,
    source: Source,
}

/// Hash of a name.
pub(super) type Name = [u8; SUBJECT_BYTES];

impl Subject {
    pub(super) fn of(user_id: Option<&UserId>, source: Source) -> Self {
        Self { user_id: user_id.map(ToString::to_string), source }
    }

    /// The account here. `None` where the attempt names nobody who could be here.
    pub(super) fn pair(&self) -> Option<Name> {
        self.user_id.as_deref().map(|user_id| name(b"pair", &[user_id.as_bytes(), &self.source.bytes()]))
    }

    /// The account anywhere. Who has a session is known on its device.
    pub(super) fn account(&self) -> Option<Name> {
        let user_id = self.user_id.as_deref().filter(|_| matches!(self.source, Source::Network(_)))?;
        Some(name(b"account", &[user_id.as_bytes()]))
    }

    /// Anybody here.
    pub(super) fn address(&self) -> Option<Name> {
        matches!(self.source, Source::Network(_)).then(|| name(b"address", &[&self.source.bytes()]))
    }

    /// Where it is written down that the account has signed in from here in `window`.
    pub(super) fn place(&self, window: u64) -> Option<Key> {
        self.account()?;
        Some(KNOWN_PLACES.key(0).u64(window).fixed(&self.pair()?).key())
    }
}

/// The bucket called `name` in `window`.
pub(super) fn bucket(window: u64, name: &Name) -> Key {
    FAILED_LOGINS.key(0).u64(window).fixed(name).key()
}

impl Source {
    fn bytes(self) -> Vec<u8> {
        match self {
            Self::Network(Network::V4(address)) => [b"4".as_slice(), &address].concat(),
            Self::Network(Network::V6(network)) => [b"6".as_slice(), &network].concat(),
            Self::Device(device) => [b"d".as_slice(), &device.to_be_bytes()].concat(),
        }
    }
}

fn name(kind: &[u8], parts: &[&[u8]]) -> Name {
    let mut hash = Sha256::new();
    hash.update(kind);
    for part in parts {
        // No part has so many bytes; with its length before it none runs into the next.
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part);
    }
    let mut name = Name::default();
    name.copy_from_slice(&hash.finalize()[..SUBJECT_BYTES]);
    name
}
