//! This server's own signing key (Matrix specification, Server-Server API, Retrieving server keys).

use ruma::signatures::{Ed25519KeyPair, KeyPair, Signature};

pub use crate::keyring::{Keyring, Rotated, load_or_create, rotate};

/// An Ed25519 key with its id.
pub struct SigningKey {
    pair: Ed25519KeyPair,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey").field("version", &self.pair.version()).finish_non_exhaustive()
    }
}

impl SigningKey {
    /// The key that follows from 32 secret bytes. `None` when they are not taken as a key.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32], version: &str) -> Option<Self> {
        // An Ed25519 private key in PKCS #8 (RFC 8410, section 7) is this header and the seed.
        const HEADER: [u8; 16] =
            [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
        let document = [&HEADER[..], seed].concat();
        Some(Self { pair: Ed25519KeyPair::from_der(&document, version.to_owned()).ok()? })
    }

    /// What follows `ed25519:` in the key's id.
    #[must_use]
    pub fn version(&self) -> &str {
        self.pair.version()
    }

    /// The public half.
    #[must_use]
    pub fn public_key(&self) -> [u8; 32] {
        self.pair.public_key()
    }
}

impl KeyPair for SigningKey {
    fn sign(&self, message: &[u8]) -> Signature {
        self.pair.sign(message)
    }
}
