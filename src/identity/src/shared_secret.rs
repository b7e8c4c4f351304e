//! Accounts for those who know the secret of the configuration: scripts that set up a server, and test suites. The protocol is the one
//! that tools for other servers speak; see `docs/design/16-authentication.md`.

use std::fmt;

use hmac::{Hmac, Mac};
use serde::Deserialize;
use sha1::Sha1;
use wardstead_accounts::{AccountsError, Login, NewAccount};
use wardstead_engine::{Batch, Losing};

use crate::{
    Identity, IdentityError, RegisterError,
    tables::{SESSIONS, SessionRow},
    uia::{Binding, Purpose, SESSION_USED, UiaSession},
};

/// A secret that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct SharedSecret(String);

impl SharedSecret {
    /// Hides `secret`.
    #[must_use]
    pub fn new(secret: String) -> Self {
        Self(secret)
    }
}

impl fmt::Debug for SharedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// A request for an account.
#[derive(Clone, Deserialize)]
pub struct SecretRequest {
    nonce: String,
    username: String,
    password: String,
    #[serde(default)]
    admin: bool,
    /// HMAC-SHA1 under the secret, in hexadecimal digits.
    mac: String,
    /// What kind of account it is, for other servers; here it is only part of what is signed.
    user_type: Option<String>,
    /// The profile's display name. Others do not sign it either.
    displayname: Option<String>,
}

/// Why no account was made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// There is no secret in the configuration: 403 `M_FORBIDDEN`.
    #[error("this server has no registration secret")]
    Off,
    /// The nonce was not issued here, is past, or was used: 400 `M_UNKNOWN`.
    #[error("the nonce is unknown, has expired or was used")]
    UnknownNonce,
    /// 403 `M_FORBIDDEN`.
    #[error("the MAC is wrong")]
    WrongMac,
    /// What registration would refuse, too.
    #[error(transparent)]
    Register(#[from] RegisterError),
}

impl From<IdentityError> for SecretError {
    fn from(error: IdentityError) -> Self {
        Self::Register(error.into())
    }
}

/// A nonce is a session that is bound to nothing but its purpose: any node takes it, once.
const NONCE: Binding = Binding::of_nobody(Purpose::SharedSecret);

impl Identity {
    /// A nonce for [`Self::register_with_secret`].
    ///
    /// # Errors
    /// `Off`, and the store's.
    pub async fn secret_nonce(&self) -> Result<String, SecretError> {
        if self.shared_secret.is_none() {
            return Err(SecretError::Off);
        }
        let key = self.session_key().await.map_err(IdentityError::from)?;
        Ok(key.write(&UiaSession::new(NONCE, self.store.clock().now_ms(), self.store.rng().as_ref())))
    }

    /// Makes an account for whoever knows the secret, whether or not registration is open. Account, first session and the use of the
    /// nonce are one batch.
    ///
    /// # Errors
    /// [`SecretError`].
    pub async fn register_with_secret(&self, request: &SecretRequest) -> Result<Login, SecretError> {
        let secret = self.shared_secret.as_ref().ok_or(SecretError::Off)?;
        let now_ms = self.store.clock().now_ms();
        let key = self.session_key().await.map_err(IdentityError::from)?;
        let nonce = key.open(&request.nonce, now_ms).filter(|nonce| nonce.binding == NONCE);
        let nonce = nonce.ok_or(SecretError::UnknownNonce)?;
        let used = self.store.get(&SESSIONS, &nonce.key()).await.map_err(IdentityError::from)?;
        if used.is_some() {
            return Err(SecretError::UnknownNonce);
        }
        // What is signed is divided by NULs, so that one in a password would let it be read in two ways.
        if !request.is_signed(secret) || request.password.contains('\0') {
            return Err(SecretError::WrongMac);
        }
        self.available(&request.username).await?;
        self.check_password(&request.password).map_err(RegisterError::from)?;
        let password_hash = Some(self.hasher.hash(&request.password).await.map_err(RegisterError::from)?);
        let new = NewAccount {
            username: Some(request.username.clone()),
            password_hash,
            admin: request.admin,
            displayname: request.displayname.clone(),
            ..NewAccount::default()
        };
        let mut extra = Batch::new();
        nonce.put(
            &mut extra,
            None,
            &SessionRow { stages: Vec::new(), token: None, password: None, used: true },
            now_ms,
        );
        match self.accounts.register(new, extra).await {
            Err(AccountsError::Lost(Losing::Fail(SESSION_USED))) => Err(SecretError::UnknownNonce),
            made => Ok(made.map_err(IdentityError::from)?),
        }
    }
}

impl SecretRequest {
    fn is_signed(&self, secret: &SharedSecret) -> bool {
        let Some(mac) = bytes_of_hex(&self.mac) else { return false };
        // A key of any length is taken.
        let Ok(signed) = <Hmac<Sha1> as Mac>::new_from_slice(secret.0.as_bytes()) else { return false };
        let admin = if self.admin { "admin" } else { "notadmin" };
        let mut signed = signed
            .chain_update(&self.nonce)
            .chain_update(b"\0")
            .chain_update(&self.username)
            .chain_update(b"\0")
            .chain_update(&self.password)
            .chain_update(b"\0")
            .chain_update(admin);
        if let Some(user_type) = &self.user_type {
            signed = signed.chain_update(b"\0").chain_update(user_type);
        }
        signed.verify_slice(&mac).is_ok()
    }
}

fn bytes_of_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.chars().map(|digit| digit.to_digit(16)?.try_into().ok()).collect::<Option<_>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
}
