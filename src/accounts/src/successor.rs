//! What a refresh token is exchanged for: one pair of tokens, the same whenever it is asked for.
//!
//! A client that did not get the answer asks again, as often as its network is bad, and two of its processes may ask at once. Whoever
//! was answered holds a pair that is good; there is nothing that one answer could take from another.

use std::sync::atomic::{AtomicU64, Ordering};

use hmac::{Hmac, Mac};
use sha2::Sha256;
use wardstead_limits::Rng;

use crate::tables::Seed;

/// Randomness of which a refresh token and the seed in its row are the only source. Who has but one of them, the token or the data, can
/// tell nothing of what comes out.
pub(crate) struct Successor {
    keyed: Hmac<Sha256>,
    block: AtomicU64,
}

impl Successor {
    pub(crate) fn of(refresh_token: &str, seed: &Seed) -> Self {
        // A key shorter than the block is filled with zeros (RFC 2104, 2).
        let mut key = hmac::digest::Key::<Hmac<Sha256>>::default();
        key[..seed.len()].copy_from_slice(seed);
        let keyed = Hmac::<Sha256>::new(&key)
            .chain_update(b"wardstead refreshed pair\0")
            .chain_update(refresh_token)
            .chain_update(b"\0");
        Self { keyed, block: AtomicU64::new(0) }
    }
}

impl Rng for Successor {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(32) {
            let number = self.block.fetch_add(1, Ordering::Relaxed);
            let block = self.keyed.clone().chain_update(number.to_be_bytes()).finalize().into_bytes();
            chunk.copy_from_slice(&block[..chunk.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_and_seed_decide() {
        let pair = |token: &str, seed: u8| {
            let from = Successor::of(token, &[seed; 32]);
            (from.alphanumeric(43), from.alphanumeric(43))
        };
        assert_eq!(pair("wsr_a", 1), pair("wsr_a", 1));
        let (access, refresh) = pair("wsr_a", 1);
        assert_ne!(access, refresh);
        for (token, seed) in [("wsr_b", 1), ("wsr_a", 2)] {
            let other = pair(token, seed);
            assert!(other.0 != access && other.1 != refresh && other.1 != access);
        }
    }
}
