//! From an access token to who makes the request.

use std::sync::Arc;

use quick_cache::{Weighter, sync::Cache};
use ruma::OwnedDeviceId;
use sha2::{Digest, Sha256};
use wardstead_engine::{Batch, Cell, Expect, Key, Losing};
use wardstead_limits::{accounts as limits, store as store_limits};
use wardstead_store::{Found, StoreError};

use crate::{
    Account, Accounts, AuthError, Session,
    floor::{Floor, generation_of},
    tables::{DEVICES, DeviceRow, HASH_BYTES, TOKENS, TokenRow, USERS, device_key, floor_key, token_key, user_key},
    tokens::remove_replaced,
    users::corrupt,
};

/// With what every access token begins, so that one that was published by mistake is recognised by scanners.
pub(crate) const ACCESS: &str = "wst_";
/// With what every refresh token begins.
pub(crate) const REFRESH: &str = "wsr_";

/// The token was never issued, or its session is over.
pub(crate) const UNKNOWN: AuthError = AuthError::Unknown { soft_logout: false };
/// The token is no longer good, its device is.
pub(crate) const SOFT: AuthError = AuthError::Unknown { soft_logout: true };

/// Under what a token is stored. It has 256 bits of randomness, so that one round of SHA-256 cannot be turned back.
pub(crate) fn token_hash(token: &str) -> [u8; HASH_BYTES] {
    Sha256::digest(token.as_bytes()).into()
}

/// Whether `token` can be one of those that begin with `prefix`.
pub(crate) fn can_be(prefix: &str, token: &str) -> bool {
    token.starts_with(prefix) && token.len() <= limits::ACCESS_TOKEN_BYTES
}

/// Whose token it is: names of the rows that decide, and no decision.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Of {
    user: u64,
    device_id: Arc<str>,
}

impl Of {
    pub(crate) fn new(token: &TokenRow) -> Self {
        Self { user: token.user, device_id: token.device_id.as_str().into() }
    }

    /// Of the user, the device and the session floor.
    pub(crate) fn keys(&self) -> [Key; 3] {
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

/// What a token leads to, once it is let in.
pub(crate) struct Bearer {
    pub(crate) account: Account,
    pub(crate) device: Found<DeviceRow>,
    /// What tokens get that are issued now.
    pub(crate) generation: u64,
}

impl Bearer {
    /// The bearer of `token`, from the cells under [`Of::keys`].
    ///
    /// # Errors
    /// Why the token is not let in; `Corrupt`.
    pub(crate) fn admit(
        token: &TokenRow,
        keys: &[Key; 3],
        cells: Vec<Option<Cell>>,
        now_ms: u64,
    ) -> Result<Self, AuthError> {
        let [user_key, device_key, _] = keys;
        let [user, device, floor] =
            <[_; 3]>::try_from(cells).map_err(|_| corrupt(user_key, "the store did not answer each key"))?;
        let user = user.ok_or_else(|| corrupt(user_key, "the user of a token is missing"))?;
        let user = USERS.found(user_key.clone(), user).map_err(StoreError::from)?;
        if user.row.deactivated {
            return Err(AuthError::Deactivated);
        }
        // Between two reads the device may have been removed, and even made again under its name.
        let device =
            device.map(|cell| DEVICES.found(device_key.clone(), cell)).transpose().map_err(StoreError::from)?;
        let device = device.filter(|device| device.row.device == token.device).ok_or(UNKNOWN)?;
        if token.session < user.row.session {
            return Err(UNKNOWN);
        }
        let floor = Floor::read(floor.as_ref()).map_err(StoreError::from)?;
        let past = token.expires_ms.is_some_and(|expires_ms| expires_ms <= now_ms);
        if token.generation < floor.lowest || token.rank < device.row.least_rank || past {
            return Err(SOFT);
        }
        let account = Account::of(token.user, user).map_err(|error| match error {
            crate::AccountsError::Store(error) => AuthError::Store(error),
            error => AuthError::Store(corrupt(user_key, &error.to_string())),
        })?;
        Ok(Self { account, device, generation: floor.generation })
    }
}

impl Accounts {
    /// Who presents `access_token` (Matrix specification, Client-Server API, Client Authentication).
    ///
    /// One engine read where this node has seen the token before, two where it has not: the token's row says which rows of user
    /// and device to read. Only that is remembered, and all rows are read for each request, so that a logout on another node
    /// counts from the moment of its commit. The first use of a token that another one was refreshed to is a commit: from then on the
    /// older ones are void.
    ///
    /// # Errors
    /// `Unknown`, `Deactivated`, and the store's. A token that a restore took the row of, that has expired or was replaced, is refused
    /// with `soft_logout`.
    pub async fn authenticate(&self, access_token: &str) -> Result<Session, AuthError> {
        if !can_be(ACCESS, access_token) {
            return Err(UNKNOWN);
        }
        match self.bearer(token_hash(access_token)).await? {
            Some(session) => Ok(session),
            None => Err(AuthError::Unknown { soft_logout: self.lost_in_a_restore(ACCESS, access_token).await? }),
        }
    }

    /// Whether the session would still be let in: for a request that waits.
    ///
    /// # Errors
    /// As [`Self::authenticate`].
    pub async fn check(&self, session: &Session) -> Result<(), AuthError> {
        self.bearer(session.token).await?.map(drop).ok_or(UNKNOWN)
    }

    /// Who bears the token with this hash; `None`: there is no such token.
    async fn bearer(&self, hash: [u8; HASH_BYTES]) -> Result<Option<Session>, AuthError> {
        let key = token_key(&hash);
        let seen = self.seen.get(&hash);
        let mut keys = vec![key.clone()];
        keys.extend(seen.iter().flat_map(Of::keys));
        let mut cells = self.store.cells(&keys).await?;
        let token = cells.first().and_then(Option::as_ref).map(|cell| TOKENS.decode(&key, cell)).transpose();
        let Some(token) = token.map_err(StoreError::from)? else {
            self.seen.remove(&hash);
            return Ok(None);
        };
        let of = Of::new(&token);
        let keys = of.keys();
        if seen.is_some_and(|seen| seen == of) {
            cells.remove(0);
        } else {
            cells = self.store.cells(&keys).await?;
            self.seen.insert(hash, of);
        }
        let Bearer { account, device, .. } = Bearer::admit(&token, &keys, cells, self.store.clock().now_ms())?;
        if token.rank > device.row.least_rank {
            self.used_first(&token, device).await?;
        }
        Ok(Some(Session {
            user_id: account.user_id,
            user: token.user,
            device_id: OwnedDeviceId::from(token.device_id),
            device: token.device,
            admin: account.admin,
            guest: account.guest,
            token: hash,
            expires_ms: token.expires_ms,
        }))
    }

    /// Makes void what `token` was refreshed from.
    async fn used_first(&self, token: &TokenRow, device: Found<DeviceRow>) -> Result<(), AuthError> {
        let key = device.key.clone();
        let mut device = Some(device);
        for _ in 0..store_limits::REBUILDS {
            let found = device.take().filter(|device| device.row.device == token.device).ok_or(UNKNOWN)?;
            if token.rank < found.row.least_rank {
                return Err(SOFT);
            }
            if token.rank == found.row.least_rank {
                return Ok(());
            }
            let mut batch = Batch::new();
            let tokens = self.tokens_of(token.user, token.device).await?;
            raise_least_rank(&mut batch, found, token.rank);
            remove_replaced(&mut batch, &tokens, token.rank)?;
            match self.store.commit(batch).await {
                Ok(_) => return Ok(()),
                Err(StoreError::Lost(Losing::Rebuild)) => device = self.store.get(&DEVICES, &key).await?,
                Err(error) => return Err(error.into()),
            }
        }
        Err(AuthError::Contended)
    }

    /// Whether a token without a row is of another generation than those issued now. It may have been issued after the
    /// backup from which the server was restored; a client that is told that it is simply unknown deletes its keys.
    pub(crate) async fn lost_in_a_restore(&self, prefix: &str, token: &str) -> Result<bool, StoreError> {
        let Some(generation) = generation_of(prefix, token) else { return Ok(false) };
        let cells = self.store.cells(&[floor_key()]).await?;
        Ok(generation != Floor::read(cells.first().and_then(Option::as_ref))?.generation)
    }
}

/// Adds that tokens of `device` below `rank` are void. Losing means that the device changed.
pub(crate) fn raise_least_rank(batch: &mut Batch, device: Found<DeviceRow>, rank: u32) {
    let Found { key, row, version, .. } = device;
    batch.expect(key.clone(), Expect::Version(version), Losing::Rebuild);
    DEVICES.put_with(batch, key, version + 1, &[], &DeviceRow { least_rank: rank, ..row });
}
