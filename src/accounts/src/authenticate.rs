//! From an access token to who makes the request.

use std::sync::Arc;

use quick_cache::{Weighter, sync::Cache};
use ruma::OwnedDeviceId;
use sha2::{Digest, Sha256};
use wardstead_engine::Key;
use wardstead_limits::accounts as limits;
use wardstead_store::StoreError;

use crate::{
    Accounts, AuthError, Session,
    floor::{Floor, generation_of},
    tables::{DEVICES, HASH_BYTES, TOKENS, USERS, device_key, floor_key, token_key, user_key},
    users::{corrupt, parse_user_id},
};

/// With what every access token begins, so that one that was published by mistake is recognised by scanners.
pub(crate) const TOKEN_PREFIX: &str = "wst_";

/// Under what a token is stored. It has 256 bits of randomness, so that one round of SHA-256 cannot be turned back.
pub(crate) fn token_hash(access_token: &str) -> [u8; HASH_BYTES] {
    Sha256::digest(access_token.as_bytes()).into()
}

/// Whose token it is: names of the rows that decide, and no decision.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Of {
    user: u64,
    device_id: Arc<str>,
}

impl Of {
    /// Of the user, the device and the session floor.
    fn keys(&self) -> [Key; 3] {
        [user_key(self.user), device_key(self.user, &self.device_id), floor_key()]
    }
}

/// Tokens that this node has seen, by hash.
pub(crate) type Seen = Cache<[u8; HASH_BYTES], Of, Weigh>;

#[derive(Clone)]
pub(crate) struct Weigh;

impl Weighter<[u8; HASH_BYTES], Of> for Weigh {
    fn weight(&self, _: &[u8; HASH_BYTES], of: &Of) -> u64 {
        limits::SEEN_TOKEN_BYTES + of.device_id.len() as u64
    }
}

pub(crate) fn nothing_seen() -> Arc<Seen> {
    let items = usize::try_from(limits::SEEN_TOKENS_BYTES / limits::SEEN_TOKEN_BYTES).unwrap_or(usize::MAX);
    Arc::new(Cache::with_weighter(items, limits::SEEN_TOKENS_BYTES, Weigh))
}

impl Accounts {
    /// Who presents `access_token` (Matrix specification, Client-Server API, Client Authentication).
    ///
    /// One engine read where this node has seen the token before, two where it has not: the token's row says which rows of user
    /// and device to read. Only that is remembered, and all rows are read for each request, so that a logout on another node
    /// counts from the moment of its commit.
    ///
    /// # Errors
    /// `Unknown`, `Deactivated`, and the store's. A token that a restore took the row of is refused with `soft_logout`.
    pub async fn authenticate(&self, access_token: &str) -> Result<Session, AuthError> {
        const UNKNOWN: AuthError = AuthError::Unknown { soft_logout: false };
        if !access_token.starts_with(TOKEN_PREFIX) || access_token.len() > limits::ACCESS_TOKEN_BYTES {
            return Err(UNKNOWN);
        }
        let hash = token_hash(access_token);
        let key = token_key(&hash);
        let seen = self.seen.get(&hash);
        let mut keys = vec![key.clone()];
        keys.extend(seen.iter().flat_map(Of::keys));
        let mut cells = self.store.cells(&keys).await?;
        let token = cells.first().and_then(Option::as_ref).map(|cell| TOKENS.decode(&key, cell)).transpose();
        let Some(token) = token.map_err(StoreError::from)? else {
            self.seen.remove(&hash);
            return Err(AuthError::Unknown { soft_logout: self.lost_in_a_restore(access_token).await? });
        };
        let of = Of { user: token.user, device_id: token.device_id.as_str().into() };
        let keys = of.keys();
        if seen.is_some_and(|seen| seen == of) {
            cells.remove(0);
        } else {
            cells = self.store.cells(&keys).await?;
            self.seen.insert(hash, of);
        }
        let [user, device, floor] = cells.as_slice() else {
            return Err(corrupt(&keys[0], "the store did not answer each key").into());
        };
        let user = user.as_ref().ok_or_else(|| corrupt(&keys[0], "the user of a token is missing"))?;
        let user = USERS.decode(&keys[0], user).map_err(StoreError::from)?;
        if user.deactivated {
            return Err(AuthError::Deactivated);
        }
        // Between two reads the device may have been removed, and even made again under its name.
        let device =
            device.as_ref().map(|cell| DEVICES.decode(&keys[1], cell)).transpose().map_err(StoreError::from)?;
        if device.is_none_or(|device| device.device != token.device) || token.session < user.session {
            return Err(UNKNOWN);
        }
        if token.generation < Floor::read(floor.as_ref()).map_err(StoreError::from)?.lowest {
            return Err(AuthError::Unknown { soft_logout: true });
        }
        Ok(Session {
            user_id: parse_user_id(&keys[0], &user.user_id)?,
            user: token.user,
            device_id: OwnedDeviceId::from(token.device_id),
            device: token.device,
            admin: user.admin,
        })
    }

    /// Whether a token without a row is of another generation than those issued now. It may have been issued after the
    /// backup from which the server was restored; a client that is told that it is simply unknown deletes its keys.
    async fn lost_in_a_restore(&self, access_token: &str) -> Result<bool, StoreError> {
        let Some(generation) = generation_of(access_token) else { return Ok(false) };
        let cells = self.store.cells(&[floor_key()]).await?;
        Ok(generation != Floor::read(cells.first().and_then(Option::as_ref))?.generation)
    }
}
