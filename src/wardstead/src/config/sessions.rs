//! `[sessions]`

#![expect(unused_qualifications, reason = "the derive macro's paths carry the spans of our fields")]

use wardstead_accounts::Lifetimes;
use wardstead_limits::accounts::{ACCESS_TOKEN_LEAST_S, ACCESS_TOKEN_LIFETIME_MS};

/// `[sessions]`
#[derive(Clone, Copy, Debug, confique::Config)]
#[config(partial_attr(derive(Debug, Clone)))]
#[config(partial_attr(serde(deny_unknown_fields)))]
pub struct Sessions {
    /// Seconds that an access token lives whose client can refresh it, at least 60. While the data cannot be written
    /// nothing is refreshed, so a short life shuts people out sooner.
    #[config(default = 3600)]
    pub access_token_lifetime_s: u64,

    /// Seconds that the access token of any other client lives, at least 60; its user then signs in again on the same
    /// device. Without it, until the session ends.
    pub unrefreshed_lifetime_s: Option<u64>,

    /// Whether somebody who is signed in can get a token with which another device of theirs signs in, once, within two
    /// minutes. They confirm that with their password.
    #[config(default = true)]
    pub login_tokens: bool,
}

impl Sessions {
    /// What a server does of which nothing is said.
    pub(crate) const fn dev() -> Self {
        Self {
            access_token_lifetime_s: ACCESS_TOKEN_LIFETIME_MS / 1_000,
            unrefreshed_lifetime_s: None,
            login_tokens: true,
        }
    }

    /// How long access tokens live.
    #[must_use]
    pub fn lifetimes(&self) -> Lifetimes {
        let ms = |seconds: u64| seconds.saturating_mul(1_000);
        Lifetimes { refreshable_ms: ms(self.access_token_lifetime_s), plain_ms: self.unrefreshed_lifetime_s.map(ms) }
    }

    pub(super) fn check(&self) -> Result<(), String> {
        let check = |key: &str, seconds: u64| {
            if seconds >= ACCESS_TOKEN_LEAST_S {
                return Ok(());
            }
            Err(format!("sessions.{key}: must be at least {ACCESS_TOKEN_LEAST_S} seconds"))
        };
        check("access_token_lifetime_s", self.access_token_lifetime_s)?;
        self.unrefreshed_lifetime_s.map_or(Ok(()), |seconds| check("unrefreshed_lifetime_s", seconds))
    }
}
