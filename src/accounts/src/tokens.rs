//! The tokens of a device: pairs of an access token and, where the client takes one, a refresh token.
//!
//! Each pair has a *rank*, one more than that of the pair that it was made from. The first use of a pair raises the device's least
//! rank to its own: all older ones are void from that commit on, whether or not their rows are gone.

use wardstead_engine::{Batch, Expect, Key, KeyReader, Losing, ScanRange};
use wardstead_limits::{Rng, accounts as limits};
use wardstead_store::{Found, StoreError};

use crate::{
    Account, Accounts, Login, Session,
    authenticate::{ACCESS, REFRESH, token_hash},
    floor,
    tables::{
        DEVICE_TOKENS, DeviceTokenRow, HASH_BYTES, REFRESH_TOKENS, Seed, TOKENS, TokenRow, device_token_key,
        refresh_token_key, token_key,
    },
    users::corrupt,
};

/// A session about to be opened or gone on with.
pub(crate) struct Opening<'a> {
    pub account: &'a Account,
    /// Short id.
    pub device: u64,
    pub device_id: ruma::OwnedDeviceId,
    /// The generation of tokens.
    pub generation: u64,
    pub rank: u32,
    /// Whether the client takes a refresh token.
    pub refresh: bool,
}

impl Accounts {
    /// Adds a pair of tokens that nobody had before, or an access token alone.
    pub(crate) fn add_tokens(&self, batch: &mut Batch, opening: &Opening<'_>) -> Login {
        self.add_pair(batch, opening, self.store.rng().as_ref(), &[])
    }

    /// Adds a pair of tokens whose secrets come out of `secrets`, or an access token alone. `tokens` are those of the device: where it has
    /// the refresh token already, that stays as it is, and the access token lives as long as a new one.
    pub(crate) fn add_pair(
        &self,
        batch: &mut Batch,
        opening: &Opening<'_>,
        secrets: &dyn Rng,
        tokens: &[Found<DeviceTokenRow>],
    ) -> Login {
        let account = opening.account;
        let lifetime_ms =
            if opening.refresh { Some(self.hooks.lifetimes.refreshable_ms) } else { self.hooks.lifetimes.plain_ms };
        let now_ms = self.store.clock().now_ms();
        let expires_ms = lifetime_ms.map(|lifetime_ms| now_ms.saturating_add(lifetime_ms));
        let row = TokenRow {
            user: account.user,
            device: opening.device,
            device_id: opening.device_id.to_string(),
            generation: opening.generation,
            session: account.session,
            rank: opening.rank,
            expires_ms,
            seed: None,
        };
        let (access_token, token) = token_of(ACCESS, opening.generation, secrets);
        TOKENS.put(batch, token_key(&token), &row);
        add_to_index(batch, &row, &token, false);
        let refresh_token = opening.refresh.then(|| {
            let (refresh_token, hash) = token_of(REFRESH, opening.generation, secrets);
            let in_index = device_token_key(account.user, opening.device, &hash);
            if tokens.iter().all(|token| token.key != in_index) {
                let mut seed = Seed::default();
                self.store.rng().fill(&mut seed);
                let row = TokenRow { expires_ms: None, seed: Some(seed), ..row };
                let key = refresh_token_key(&hash);
                // Another request with the same token may be quicker; its seed is the one.
                batch.expect(key.clone(), Expect::Absent, Losing::Rebuild);
                REFRESH_TOKENS.put(batch, key, &row);
                add_to_index(batch, &row, &hash, true);
            }
            refresh_token
        });
        let session = Session {
            user_id: account.user_id.clone(),
            user: account.user,
            device_id: opening.device_id.clone(),
            device: opening.device,
            admin: account.admin,
            guest: account.guest,
            token,
            expires_ms,
        };
        Login { session, access_token, refresh_token, expires_in_ms: lifetime_ms }
    }

    /// The tokens of a device.
    pub(crate) async fn tokens_of(&self, user: u64, device: u64) -> Result<Vec<Found<DeviceTokenRow>>, StoreError> {
        let of_device = DEVICE_TOKENS.key(user).u64(device).key();
        self.store.scan_all(&DEVICE_TOKENS, ScanRange::prefix(of_device)).await
    }

    /// Adds that the tokens of a device which is kept when all others go are of the user's session number `session`.
    pub(crate) async fn keep_tokens(
        &self,
        batch: &mut Batch,
        tokens: &[Found<DeviceTokenRow>],
        session: u64,
    ) -> Result<(), StoreError> {
        let keys = tokens.iter().map(row_key).collect::<Result<Vec<_>, _>>()?;
        let rows = self.store.cells(&keys).await?;
        for ((key, cell), token) in keys.into_iter().zip(rows).zip(tokens) {
            let table = if token.row.refresh { &REFRESH_TOKENS } else { &TOKENS };
            let cell = cell.ok_or_else(|| corrupt(&key, "a token in the list of its device is missing"))?;
            let row = TokenRow { session, ..table.decode(&key, &cell)? };
            table.put(batch, key, &row);
        }
        Ok(())
    }
}

fn token_of(prefix: &str, generation: u64, secrets: &dyn Rng) -> (String, [u8; HASH_BYTES]) {
    let token = floor::token(prefix, generation, &secrets.alphanumeric(limits::ACCESS_TOKEN_CHARS));
    let hash = token_hash(&token);
    (token, hash)
}

fn add_to_index(batch: &mut Batch, row: &TokenRow, hash: &[u8; HASH_BYTES], refresh: bool) {
    let index = DeviceTokenRow { refresh, rank: row.rank };
    DEVICE_TOKENS.put(batch, device_token_key(row.user, row.device, hash), &index);
}

/// Adds the removal of `tokens`.
pub(crate) fn remove_tokens<'a>(
    batch: &mut Batch,
    tokens: impl IntoIterator<Item = &'a Found<DeviceTokenRow>>,
) -> Result<(), StoreError> {
    for token in tokens {
        batch.delete(row_key(token)?);
        batch.delete(token.key.clone());
    }
    Ok(())
}

/// Adds the removal of what a device does not need any more whose least rank becomes `least_rank`. The rows of
/// [`limits::REPLACED_PAIRS`] ranks before stay: a client that still uses one of them is told that it was replaced, not that its device is gone.
pub(crate) fn remove_replaced(
    batch: &mut Batch,
    tokens: &[Found<DeviceTokenRow>],
    least_rank: u32,
) -> Result<(), StoreError> {
    remove_tokens(
        batch,
        tokens.iter().filter(|token| token.row.rank.saturating_add(limits::REPLACED_PAIRS) < least_rank),
    )
}

/// The key of the token's own row.
fn row_key(token: &Found<DeviceTokenRow>) -> Result<Key, StoreError> {
    let mut reader = KeyReader::new(&token.key);
    let hash = reader.u64().and_then(|_| reader.fixed(HASH_BYTES)?.try_into().ok());
    let hash: [u8; HASH_BYTES] = hash.ok_or_else(|| corrupt(&token.key, "not the hash of a token"))?;
    Ok(if token.row.refresh { refresh_token_key(&hash) } else { token_key(&hash) })
}
