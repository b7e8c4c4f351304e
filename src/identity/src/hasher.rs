//! Password hashing: argon2id, off the async threads, with a bound on what runs and on what waits.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use argon2::{
    Algorithm, Argon2, Params, PasswordHash, PasswordHasher as _, PasswordVerifier as _, Version,
    password_hash::{Error as PhcError, SaltString},
};
use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use tokio::sync::Semaphore;
use wardstead_limits::{Rng, accounts as limits};

/// How much a password hash costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashCost {
    /// What the OWASP Password Storage Cheat Sheet asks for.
    Production,
    /// Next to nothing; for development and tests.
    Cheap,
}

/// Why a password was not hashed or compared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HashError {
    /// [`limits::HASHES_WAITING`] are waiting already: `M_LIMIT_EXCEEDED`.
    #[error("too many passwords are waiting to be hashed")]
    Busy,
    /// Too many passwords were wrong: `M_LIMIT_EXCEEDED`. Whether this one is right was not told.
    #[error("too many wrong passwords")]
    Limited {
        /// Milliseconds until another is compared.
        retry_after_ms: u64,
    },
    /// The stored hash or the parameters are not ones of argon2.
    #[error("password hash: {0}")]
    Argon2(String),
    /// The runtime ends.
    #[error("the server is shutting down")]
    Closed,
}

/// Hashes and compares passwords. Clones share the bounds.
#[derive(Clone)]
pub struct PasswordHasher {
    inner: Arc<Inner>,
}

struct Inner {
    cost: HashCost,
    rng: Arc<dyn Rng>,
    /// A permit for each that runs or waits.
    admitted: Arc<Semaphore>,
    /// A permit for each that runs.
    running: Arc<Semaphore>,
    /// What a password is compared with when there is no account or it has no password.
    dummy: String,
    verifications: AtomicU64,
}

impl fmt::Debug for PasswordHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasswordHasher").field("cost", &self.inner.cost).finish_non_exhaustive()
    }
}

impl PasswordHasher {
    /// A hasher whose salts come from `rng`.
    #[must_use]
    pub fn new(rng: Arc<dyn Rng>, cost: HashCost) -> Self {
        let inner = Inner {
            cost,
            admitted: Arc::new(Semaphore::new(limits::HASHES_AT_ONCE + limits::HASHES_WAITING)),
            running: Arc::new(Semaphore::new(limits::HASHES_AT_ONCE)),
            dummy: cost.dummy(rng.as_ref()),
            rng,
            verifications: AtomicU64::new(0),
        };
        Self { inner: Arc::new(inner) }
    }

    /// The hash of `password` with a new salt, as a PHC string.
    ///
    /// # Errors
    /// `Busy`, `Closed`.
    pub async fn hash(&self, password: &str) -> Result<String, HashError> {
        let mut salt = [0; 16];
        self.inner.rng.fill(&mut salt);
        let (password, cost) = (password.to_owned(), self.inner.cost);
        self.run(move || {
            let salt = SaltString::encode_b64(&salt).map_err(argon2_error)?;
            let hash = cost.argon2()?.hash_password(password.as_bytes(), &salt).map_err(argon2_error)?;
            Ok(hash.to_string())
        })
        .await
    }

    /// Whether `password` is the one behind `hash`. `None`: compared with a hash that no password has, at the same cost, so
    /// that the time of the answer does not tell whether there is an account.
    ///
    /// # Errors
    /// `Busy`, `Closed`, and `Argon2` when `hash` is not a PHC string of argon2.
    pub async fn verify(&self, password: &str, hash: Option<&str>) -> Result<bool, HashError> {
        // Nobody has such a password, and its length must not buy time.
        let hash = hash.filter(|_| password.len() <= limits::PASSWORD_BYTES);
        let password = if password.len() <= limits::PASSWORD_BYTES { password.to_owned() } else { String::new() };
        let hash = hash.unwrap_or(&self.inner.dummy).to_owned();
        self.inner.verifications.fetch_add(1, Ordering::Relaxed);
        self.run(move || {
            let hash = PasswordHash::new(&hash).map_err(argon2_error)?;
            match Argon2::default().verify_password(password.as_bytes(), &hash) {
                Ok(()) => Ok(true),
                Err(PhcError::Password) => Ok(false),
                Err(error) => Err(argon2_error(error)),
            }
        })
        .await
    }

    /// How many passwords were compared since the start; for metrics.
    #[must_use]
    pub fn verifications(&self) -> u64 {
        self.inner.verifications.load(Ordering::Relaxed)
    }

    /// What a password is compared with when there is none.
    #[cfg(test)]
    pub(crate) fn dummy(&self) -> &str {
        &self.inner.dummy
    }

    /// Nothing runs until the permit is dropped.
    #[cfg(test)]
    pub(crate) async fn stop(&self) -> tokio::sync::OwnedSemaphorePermit {
        let all = u32::try_from(limits::HASHES_AT_ONCE).unwrap();
        Arc::clone(&self.inner.running).acquire_many_owned(all).await.unwrap()
    }

    /// How many more may wait.
    #[cfg(test)]
    pub(crate) fn free(&self) -> usize {
        self.inner.admitted.available_permits()
    }

    async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> Result<T, HashError> + Send + 'static,
    ) -> Result<T, HashError> {
        let admitted = Arc::clone(&self.inner.admitted).try_acquire_owned().map_err(|_| HashError::Busy)?;
        let running = Arc::clone(&self.inner.running).acquire_owned().await.map_err(|_| HashError::Closed)?;
        let task = tokio::task::spawn_blocking(move || {
            // The permits live as long as the work, also when the request that asked for it is dropped.
            let _permits = (admitted, running);
            job()
        });
        task.await.map_err(|_| HashError::Closed)?
    }
}

impl HashCost {
    fn numbers(self) -> (u32, u32, u32) {
        match self {
            Self::Production => (limits::HASH_MEMORY_KIB, limits::HASH_PASSES, limits::HASH_LANES),
            Self::Cheap => (limits::CHEAP_HASH_MEMORY_KIB, limits::CHEAP_HASH_PASSES, limits::HASH_LANES),
        }
    }

    fn argon2(self) -> Result<Argon2<'static>, HashError> {
        let (memory_kib, passes, lanes) = self.numbers();
        let params =
            Params::new(memory_kib, passes, lanes, None).map_err(|error| HashError::Argon2(error.to_string()))?;
        Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
    }

    /// A hash with random salt and random output: it costs as much to compare with as another.
    fn dummy(self, rng: &dyn Rng) -> String {
        let (memory_kib, passes, lanes) = self.numbers();
        let (mut salt, mut output) = ([0; 16], [0; 32]);
        rng.fill(&mut salt);
        rng.fill(&mut output);
        let (salt, output) = (STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(output));
        format!("$argon2id$v=19$m={memory_kib},t={passes},p={lanes}${salt}${output}")
    }
}

fn argon2_error(error: PhcError) -> HashError {
    HashError::Argon2(error.to_string())
}
