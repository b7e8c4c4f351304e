//! Tokens with which somebody who is signed in signs in on another device (Matrix specification, Client-Server API,
//! `POST /login/get_token`).
//!
//! A token says when it expires, so that its row is found by it and those that are past are one range.

use ruma::{OwnedUserId, UserId};
use wardstead_accounts::{Account, AccountsError, Session};
use wardstead_engine::{Batch, Expect, Key, Losing};
use wardstead_limits::accounts as limits;

use crate::{
    Confirmed, Identity, IdentityError, LoginError,
    expiring::ExpiringToken,
    tables::{LOGIN_TOKENS, LoginTokenRow},
    uia::password_mark,
};

/// With what a login token begins.
const PREFIX: &str = "wsl_";
const FIRST_VERSION: u64 = 1;

/// What using a login token twice means.
pub(crate) const LOGIN_TOKEN_USED: &str = "login token used";

/// A login token that was just made. It is stored only as a hash: this is the only moment at which it can be told.
#[derive(Clone, PartialEq, Eq)]
pub struct LoginToken {
    /// The token.
    pub login_token: String,
    /// Milliseconds for which it is good.
    pub expires_in_ms: u64,
}

impl std::fmt::Debug for LoginToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoginToken").field("expires_in_ms", &self.expires_in_ms).finish_non_exhaustive()
    }
}

/// A login token that a client presented and that is good.
pub(crate) struct PresentedLoginToken {
    key: Key,
    pub(crate) account: Account,
}

impl PresentedLoginToken {
    /// What belongs into the commit of the login: that the token has served.
    pub(crate) fn batch(&self) -> Batch {
        let mut batch = Batch::new();
        batch.expect(self.key.clone(), Expect::Version(FIRST_VERSION), Losing::Fail(LOGIN_TOKEN_USED));
        batch.delete(self.key.clone());
        batch
    }
}

impl Identity {
    /// Whether login tokens are given out here.
    #[must_use]
    pub fn gives_login_tokens(&self) -> bool {
        self.login_tokens
    }

    /// A token with which `by` signs in once on another device, which they have confirmed.
    ///
    /// # Errors
    /// The store's.
    pub async fn make_login_token(&self, by: &Session, confirmed: &Confirmed) -> Result<LoginToken, IdentityError> {
        let now_ms = self.store.clock().now_ms();
        let token = ExpiringToken::issue(PREFIX, now_ms, limits::LOGIN_TOKEN_MS, self.store.rng().as_ref());
        let mut batch = confirmed.batch();
        let row =
            LoginTokenRow { user_id: by.user_id.to_string(), device: by.device, password: confirmed.password_mark() };
        LOGIN_TOKENS.put_with(&mut batch, token.key(&LOGIN_TOKENS), FIRST_VERSION, &[], &row);
        ExpiringToken::remove_past(&mut batch, &LOGIN_TOKENS, now_ms, limits::LOGIN_TOKEN_MS);
        self.store.commit(batch).await?;
        Ok(LoginToken { login_token: token.text, expires_in_ms: limits::LOGIN_TOKEN_MS })
    }

    /// The account to which `token` lets somebody in now. It is good only as long as the device on which it was made,
    /// and the password by which that was confirmed.
    pub(crate) async fn find_login_token(&self, token: &str) -> Result<PresentedLoginToken, LoginError> {
        let now_ms = self.store.clock().now_ms();
        let token = ExpiringToken::read(PREFIX, token).filter(|token| self.login_tokens && now_ms < token.expires_ms);
        let key = token.ok_or(LoginError::Forbidden)?.key(&LOGIN_TOKENS);
        let found = self.store.get(&LOGIN_TOKENS, &key).await.map_err(AccountsError::from)?;
        let LoginTokenRow { user_id, device, password } = found.ok_or(LoginError::Forbidden)?.row;
        let account = self.accounts.find(&parse(&user_id)?).await?.ok_or(LoginError::Forbidden)?;
        // The login asserts the account as it was read here.
        if password_mark(&account) != password {
            return Err(LoginError::Forbidden);
        }
        let devices = self.accounts.devices(account.user).await?;
        if devices.iter().all(|good| good.device != device) {
            return Err(LoginError::Forbidden);
        }
        Ok(PresentedLoginToken { key, account })
    }
}

fn parse(user_id: &str) -> Result<OwnedUserId, LoginError> {
    UserId::parse(user_id).map_err(|_| LoginError::Forbidden)
}
