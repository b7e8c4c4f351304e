//! Tokens by which a user shows a third party who they are (Matrix specification, Client-Server API, OpenID; Server-Server API,
//! OpenID). They let nobody in here.

use ruma::{OwnedUserId, UserId};
use wardstead_accounts::Session;
use wardstead_engine::{Batch, EngineError};
use wardstead_limits::accounts as limits;
use wardstead_store::StoreError;

use crate::{
    Identity, IdentityError,
    expiring::ExpiringToken,
    tables::{OPENID_TOKENS, OpenidTokenRow},
};

/// With what an OpenID token begins.
pub(crate) const PREFIX: &str = "wso_";

/// An OpenID token that was just made. It is stored only as a hash: this is the only moment at which it can be told.
#[derive(Clone, PartialEq, Eq)]
pub struct OpenidToken {
    /// The token.
    pub access_token: String,
    /// Seconds for which it is good.
    pub expires_in_s: u64,
}

impl std::fmt::Debug for OpenidToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenidToken").field("expires_in_s", &self.expires_in_s).finish_non_exhaustive()
    }
}

impl Identity {
    /// A token by which a third party learns from this server who `by` is.
    ///
    /// # Errors
    /// The store's.
    pub async fn make_openid_token(&self, by: &Session) -> Result<OpenidToken, IdentityError> {
        let (now_ms, lifetime_ms) = (self.store.clock().now_ms(), limits::OPENID_TOKEN_S * 1_000);
        let token = ExpiringToken::issue(PREFIX, now_ms, lifetime_ms, self.store.rng().as_ref());
        let mut batch = Batch::new();
        let row = OpenidTokenRow { user_id: by.user_id.to_string() };
        OPENID_TOKENS.put(&mut batch, token.key(&OPENID_TOKENS), &row);
        ExpiringToken::remove_past(&mut batch, &OPENID_TOKENS, now_ms, lifetime_ms);
        self.store.commit(batch).await?;
        Ok(OpenidToken { access_token: token.text, expires_in_s: limits::OPENID_TOKEN_S })
    }

    /// Who made the OpenID token that a third party presents; `None` when it is unknown or past, or its user is gone.
    ///
    /// # Errors
    /// The store's.
    pub async fn openid_user(&self, token: &str) -> Result<Option<OwnedUserId>, IdentityError> {
        let now_ms = self.store.clock().now_ms();
        let token = ExpiringToken::read(PREFIX, token).filter(|token| now_ms < token.expires_ms);
        let Some(token) = token else { return Ok(None) };
        let Some(found) = self.store.get(&OPENID_TOKENS, &token.key(&OPENID_TOKENS)).await? else { return Ok(None) };
        let not_a_user = |_| StoreError::Engine(EngineError::corrupt(&found.key, "not the user id of an OpenID token"));
        let user_id = UserId::parse(&found.row.user_id).map_err(not_a_user)?;
        let account = self.accounts.find(&user_id).await?;
        Ok(account.filter(|account| !account.deactivated).map(|account| account.user_id))
    }
}
