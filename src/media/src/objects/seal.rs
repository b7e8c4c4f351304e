//! How the chunks of an object are encrypted: AES-256-GCM, each object under a key of its own.
//!
//! The key of an object follows from a key of the keyring and the object's name (HKDF-SHA-256), which is random and never used again. So
//! the nonce may be the number of the chunk and whether it is the last one: chunks that are swapped, left out or cut off do not open.

use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    error::Unspecified,
    hkdf::{HKDF_SHA256, Salt},
};

use super::ObjectName;

/// What each chunk is longer by than what is in it.
pub(super) const TAG_BYTES: usize = 16;

/// For what the key is: a new form of objects takes another one.
const PURPOSE: &[u8] = b"wardstead media object 1";

/// Encrypts and decrypts the chunks of one object.
pub(super) struct Sealer(LessSafeKey);

impl Sealer {
    /// For the object `name` under `key`.
    pub(super) fn new(key: &[u8; 32], name: &ObjectName) -> Result<Self, Unspecified> {
        let info: [&[u8]; 2] = [PURPOSE, name];
        let secret = Salt::new(HKDF_SHA256, &[]).extract(key);
        let key = UnboundKey::from(secret.expand(&info, &AES_256_GCM)?);
        Ok(Self(LessSafeKey::new(key)))
    }

    /// Encrypts `chunk` and gives what comes behind it.
    pub(super) fn seal(&self, number: u64, is_last: bool, chunk: &mut [u8]) -> Result<[u8; TAG_BYTES], Unspecified> {
        let tag = self.0.seal_in_place_separate_tag(nonce(number, is_last), Aad::empty(), chunk)?;
        tag.as_ref().try_into().map_err(|_| Unspecified)
    }

    /// Decrypts the chunk that stands in `buffer` from `from` on, with what comes behind it, to the buffer's beginning. Gives its length.
    pub(super) fn open(
        &self,
        number: u64,
        is_last: bool,
        buffer: &mut [u8],
        from: usize,
    ) -> Result<usize, Unspecified> {
        self.0.open_within(nonce(number, is_last), Aad::empty(), buffer, from..).map(|chunk| chunk.len())
    }
}

fn nonce(number: u64, is_last: bool) -> Nonce {
    let mut nonce = [0; NONCE_LEN];
    nonce[..8].copy_from_slice(&number.to_be_bytes());
    nonce[NONCE_LEN - 1] = u8::from(is_last);
    Nonce::assume_unique_for_key(nonce)
}
