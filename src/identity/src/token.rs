//! Registration tokens (Matrix specification, Client-Server API, Token-authenticated registration).

use sha2::{Digest, Sha256};
use wardstead_engine::{Batch, Expect, Key, Losing};
use wardstead_limits::{accounts as limits, store as store_limits};
use wardstead_store::{Found, StoreError};

use crate::{
    Identity, IdentityError,
    tables::{
        FIRST_TOKEN, FirstTokenRow, HASH_BYTES, REGISTRATION_TOKENS, RegistrationTokenRow, first_token_key,
        registration_token_key,
    },
};

/// The registration token to make.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NewRegistrationToken {
    /// How many accounts it makes; `None`: any number.
    pub uses: Option<u32>,
    /// Whether those accounts administer the server.
    pub admin: bool,
    /// From when on it is refused, in milliseconds since 1970; `None`: never.
    pub expires_ms: Option<u64>,
}

/// A registration token that a client presented and that is good, as it was when it was read.
#[derive(Clone, Debug)]
pub(crate) struct PresentedToken {
    hash: [u8; HASH_BYTES],
    key: Key,
    row: RegistrationTokenRow,
    version: u64,
}

impl PresentedToken {
    /// Under what it is stored.
    pub(crate) fn hash(&self) -> [u8; HASH_BYTES] {
        self.hash
    }

    pub(crate) fn admin(&self) -> bool {
        self.row.admin
    }

    /// Adds one use to `batch`. Losing means that somebody else used it meanwhile: look again whether uses are left.
    pub(crate) fn use_up(&self, batch: &mut Batch) {
        batch.expect(self.key.clone(), Expect::Version(self.version), Losing::Rebuild);
        match self.row.uses_left {
            Some(0 | 1) => {
                batch.delete(self.key.clone());
            }
            uses => {
                let row = RegistrationTokenRow { uses_left: uses.map(|uses| uses - 1), ..self.row.clone() };
                REGISTRATION_TOKENS.put_with(batch, self.key.clone(), self.version + 1, &[], &row);
            }
        }
    }
}

impl Identity {
    /// Makes a registration token. Only its hash is stored: this is the only moment at which it can be told.
    ///
    /// # Errors
    /// The store's.
    pub async fn create_registration_token(&self, new: NewRegistrationToken) -> Result<String, IdentityError> {
        let mut batch = Batch::new();
        let (token, _) = self.add_registration_token(&mut batch, new);
        self.store.commit(batch).await?;
        Ok(token)
    }

    /// Whether an account could be made with `token` now (`GET /register/m.login.registration_token/validity`).
    ///
    /// # Errors
    /// `RegistrationDisabled`, and the store's.
    pub async fn registration_token_validity(&self, token: &str) -> Result<bool, IdentityError> {
        self.register_flows().await?;
        Ok(self.find_registration_token(token).await?.is_some())
    }

    /// The token with which the first account, an administrator, is made; `None` once there is an account.
    ///
    /// To be called at each start and printed: only the hash is stored, so that a new token is made each time, and the one
    /// of the start before is void.
    ///
    /// # Errors
    /// `Contended` when many nodes start at once, and the store's.
    pub async fn ensure_first_token(&self) -> Result<Option<String>, IdentityError> {
        for _ in 0..store_limits::REBUILDS {
            let mut batch = Batch::new();
            let older = self.remove_first_token(&mut batch).await?;
            // Read after the older token: where that one was just used, its account is seen.
            let token = match (self.accounts.is_empty().await?, older) {
                (true, older) => Some(self.add_first_token(&mut batch, older.unwrap_or(0) + 1)),
                (false, Some(_)) => None,
                (false, None) => return Ok(None),
            };
            match self.store.commit(batch).await {
                Ok(_) => return Ok(token),
                Err(StoreError::Lost(Losing::Rebuild)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(IdentityError::Contended)
    }

    /// Adds the removal of the first token, if there is one, and returns the version of its cell. Losing means that another
    /// node replaced it or that it was used.
    async fn remove_first_token(&self, batch: &mut Batch) -> Result<Option<u64>, IdentityError> {
        let cell = first_token_key();
        let Some(first) = self.store.get(&FIRST_TOKEN, &cell).await? else {
            batch.expect(cell, Expect::Absent, Losing::Rebuild);
            return Ok(None);
        };
        let key = registration_token_key(&first.row.hash);
        let unused = self.store.get(&REGISTRATION_TOKENS, &key).await?;
        let expect = unused.map_or(Expect::Absent, |unused| Expect::Version(unused.version));
        batch.expect(key.clone(), expect, Losing::Rebuild);
        batch.expect(cell.clone(), Expect::Version(first.version), Losing::Rebuild);
        batch.delete(key).delete(cell);
        Ok(Some(first.version))
    }

    fn add_first_token(&self, batch: &mut Batch, version: u64) -> String {
        let new = NewRegistrationToken { uses: Some(1), admin: true, expires_ms: None };
        let (token, hash) = self.add_registration_token(batch, new);
        FIRST_TOKEN.put_with(batch, first_token_key(), version, &[], &FirstTokenRow { hash });
        token
    }

    /// The token's row, when it has uses left and is not past.
    pub(crate) async fn find_registration_token(&self, token: &str) -> Result<Option<PresentedToken>, IdentityError> {
        if token.len() > limits::REGISTRATION_TOKEN_BYTES {
            return Ok(None);
        }
        self.registration_token_of(&hash(token)).await
    }

    /// As [`Self::find_registration_token`], by the token's hash.
    pub(crate) async fn registration_token_of(
        &self,
        hash: &[u8; HASH_BYTES],
    ) -> Result<Option<PresentedToken>, IdentityError> {
        let key = registration_token_key(hash);
        let found = self.store.get(&REGISTRATION_TOKENS, &key).await?;
        let now_ms = self.store.clock().now_ms();
        let good = |row: &RegistrationTokenRow| {
            row.uses_left != Some(0) && row.expires_ms.is_none_or(|expires_ms| now_ms < expires_ms)
        };
        Ok(found.filter(|found| good(&found.row)).map(|Found { row, version, .. }| PresentedToken {
            hash: *hash,
            key,
            row,
            version,
        }))
    }

    fn add_registration_token(&self, batch: &mut Batch, new: NewRegistrationToken) -> (String, [u8; HASH_BYTES]) {
        let token = self.store.rng().alphanumeric(limits::REGISTRATION_TOKEN_CHARS);
        let hash = hash(&token);
        let row = RegistrationTokenRow { uses_left: new.uses, admin: new.admin, expires_ms: new.expires_ms };
        REGISTRATION_TOKENS.put_with(batch, registration_token_key(&hash), 1, &[], &row);
        (token, hash)
    }
}

/// Under what a token is stored.
fn hash(token: &str) -> [u8; HASH_BYTES] {
    Sha256::digest(token.as_bytes()).into()
}
