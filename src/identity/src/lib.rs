//! Sign-in: passwords, registration, registration tokens, user-interactive authentication.
//!
//! Any node can take up any request: what a flow remembers stands in its session string (MAC'd under a key kept in the
//! engine) or in the engine. An account, the use of its registration token and the use of its session are one batch. See
//! `docs/design/04-accounts.md`.

mod account;
mod attempts;
mod error;
mod expiring;
mod guests;
mod hasher;
mod leaving;
mod login;
mod login_token;
mod openid;
mod policy;
mod register;
mod shared_secret;
mod tables;
mod terms;
#[cfg(test)]
mod tests;
mod token;
mod uia;

use std::fmt;

use tokio::sync::OnceCell;
use wardstead_accounts::Accounts;
use wardstead_store::{Store, StoreError};

pub use attempts::FailedLogins;
use attempts::{Attempts, CompareError, Source};
pub use error::{AccountError, IdentityError, LoginError, RegisterError};
pub use hasher::{HashCost, HashError, PasswordHasher};
pub use leaving::{Doorkeeper, run_departures};
pub use login_token::LoginToken;
pub use openid::OpenidToken;
pub use policy::WeakPassword;
pub use register::Registered;
pub use shared_secret::{SecretError, SecretRequest, SharedSecret};
pub use terms::{Policy, Translation};
pub use token::NewRegistrationToken;
use uia::SessionKey;
pub use uia::{Act, Asked, Auth, Challenge, ConfirmError, Confirmed, Failure, PageError, Purpose, Stage};

/// Who may register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registration {
    /// Everybody (`m.login.dummy`); who has a registration token may use it. For development.
    Open,
    /// Who has a registration token (`m.login.registration_token`).
    Token,
    /// Nobody, but for the first account, which takes the first registration token.
    Closed,
}

/// How people sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityConfig {
    /// Who may register.
    pub registration: Registration,
    /// What a password hash costs.
    pub hash: HashCost,
    /// Whether a new password may be shorter than is good, for tests of others.
    pub short_passwords: bool,
    /// How often a password may be wrong.
    pub failed_logins: FailedLogins,
    /// To what they have to agree.
    pub terms: Vec<Policy>,
    /// Whether who is signed in gets a token to sign in on another device.
    pub login_tokens: bool,
    /// Whether there are guests.
    pub guests: bool,
    /// Who knows it makes accounts.
    pub shared_secret: Option<SharedSecret>,
}

impl Default for IdentityConfig {
    /// What a server does of which nothing is said.
    fn default() -> Self {
        Self {
            registration: Registration::Token,
            hash: HashCost::Production,
            short_passwords: false,
            terms: Vec::new(),
            guests: false,
            shared_secret: None,
            failed_logins: FailedLogins::production(),
            login_tokens: true,
        }
    }
}

/// Sign-in of one server.
pub struct Identity {
    store: Store,
    accounts: Accounts,
    registration: Registration,
    terms: Vec<Policy>,
    login_tokens: bool,
    guests: bool,
    shared_secret: Option<SharedSecret>,
    short_passwords: bool,
    hasher: PasswordHasher,
    attempts: Attempts,
    session_key: OnceCell<SessionKey>,
}

impl Identity {
    /// Sign-in to `accounts`, which stand in `store`.
    #[must_use]
    pub fn new(store: Store, accounts: Accounts, config: IdentityConfig) -> Self {
        let hasher = PasswordHasher::new(store.rng().clone(), config.hash);
        let IdentityConfig { registration, terms, guests, shared_secret, failed_logins, login_tokens, .. } = config;
        let short_passwords = config.short_passwords;
        let attempts = Attempts::new(failed_logins);
        let session_key = OnceCell::new();
        Self {
            store,
            accounts,
            registration,
            terms,
            login_tokens,
            guests,
            shared_secret,
            short_passwords,
            hasher,
            attempts,
            session_key,
        }
    }

    /// The hasher, for others who set or compare passwords.
    #[must_use]
    pub fn hasher(&self) -> &PasswordHasher {
        &self.hasher
    }

    async fn session_key(&self) -> Result<&SessionKey, StoreError> {
        self.session_key.get_or_try_init(|| SessionKey::load(&self.store)).await
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("registration", &self.registration).finish_non_exhaustive()
    }
}
