//! Randomness as a parameter.

use parking_lot::Mutex;
use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng, TryRngCore};

/// A source of random bytes, handed to whatever needs it.
pub trait Rng: Send + Sync + 'static {
    /// Fills `bytes`.
    fn fill(&self, bytes: &mut [u8]);

    /// A uniformly distributed number.
    fn next_u64(&self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// `length` characters out of `A–Z a–z 0–9` (5.95 bits each), for tokens and identifiers that people may have to copy.
    fn alphanumeric(&self, length: usize) -> String {
        const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        let mut text = String::with_capacity(length);
        let mut block = [0; 64];
        while text.len() < length {
            self.fill(&mut block);
            // Only values below 4 × 62 are taken, so that every character is equally likely.
            let fair = block.iter().filter(|byte| **byte < 248).map(|byte| ALPHABET[usize::from(byte % 62)]);
            text.extend(fair.take(length - text.len()).map(char::from));
        }
        text
    }
}

/// The cryptographic generator of this process, seeded once by the operating system.
#[derive(Debug)]
pub struct OsRng {
    inner: Mutex<ChaCha20Rng>,
}

impl OsRng {
    /// Seeds a generator from the operating system.
    ///
    /// # Errors
    /// The operating system could not give random bytes.
    pub fn new() -> std::io::Result<Self> {
        let mut seed = [0; 32];
        rand_core::OsRng.try_fill_bytes(&mut seed).map_err(std::io::Error::other)?;
        Ok(Self { inner: Mutex::new(ChaCha20Rng::from_seed(seed)) })
    }
}

impl Rng for OsRng {
    fn fill(&self, bytes: &mut [u8]) {
        self.inner.lock().fill_bytes(bytes);
    }
}

/// A generator for tests: the same seed, the same bytes.
#[derive(Debug)]
pub struct SeededRng {
    inner: Mutex<ChaCha20Rng>,
}

impl SeededRng {
    /// A generator that always gives the same bytes for the same `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { inner: Mutex::new(ChaCha20Rng::seed_from_u64(seed)) }
    }
}

impl Rng for SeededRng {
    fn fill(&self, bytes: &mut [u8]) {
        self.inner.lock().fill_bytes(bytes);
    }
}
