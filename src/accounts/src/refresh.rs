//! Another access token for a session that goes on (Matrix specification, Client-Server API, Refreshing access tokens).

use ruma::OwnedDeviceId;
use wardstead_engine::{Batch, Expect, Losing};
use wardstead_limits::store as store_limits;
use wardstead_store::StoreError;

use crate::{
    Accounts, AuthError, Login,
    authenticate::{Bearer, Of, REFRESH, UNKNOWN, can_be, raise_least_rank, token_hash},
    successor::Successor,
    tables::{REFRESH_TOKENS, TokenRow, refresh_token_key, user_key},
    tokens::{Opening, remove_replaced},
    users::corrupt,
};

impl Accounts {
    /// The next pair of tokens for the device of `refresh_token`, which is the same whenever it is asked for. The older pair stays good until
    /// one of the new pair is used, so that a client that the answer did not reach asks again.
    ///
    /// # Errors
    /// `Unknown`, with `soft_logout` where the token was replaced or a restore took its row; `Deactivated`, `Contended`, and the
    /// store's.
    pub async fn refresh(&self, refresh_token: &str) -> Result<Login, AuthError> {
        if !can_be(REFRESH, refresh_token) {
            return Err(UNKNOWN);
        }
        let key = refresh_token_key(&token_hash(refresh_token));
        for _ in 0..store_limits::REBUILDS {
            let Some(token) = self.store.get(&REFRESH_TOKENS, &key).await? else {
                let soft_logout = self.lost_in_a_restore(REFRESH, refresh_token).await?;
                return Err(AuthError::Unknown { soft_logout });
            };
            let (batch, login) = self.build_refresh(refresh_token, token.row).await?;
            match self.store.commit(batch).await {
                Ok(_) => return Ok(login),
                Err(StoreError::Lost(Losing::Rebuild)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(AuthError::Contended)
    }

    /// The short id of the device that a refresh token is of; `None` for a token that nobody knows. Whether the token is good for anything
    /// [`Self::refresh`] says. One read.
    ///
    /// # Errors
    /// The store's.
    pub async fn device_of_refresh_token(&self, refresh_token: &str) -> Result<Option<u64>, StoreError> {
        if !can_be(REFRESH, refresh_token) {
            return Ok(None);
        }
        let found = self.store.get(&REFRESH_TOKENS, &refresh_token_key(&token_hash(refresh_token))).await?;
        Ok(found.map(|token| token.row.device))
    }

    async fn build_refresh(&self, refresh_token: &str, token: TokenRow) -> Result<(Batch, Login), AuthError> {
        let keys = Of::new(&token).keys();
        let cells = self.store.cells(&keys).await?;
        let Bearer { account, device, generation } = Bearer::admit(&token, &keys, cells, self.store.clock().now_ms())?;
        let mut batch = Batch::new();
        // Whatever ends sessions changes one of the two rows.
        batch.expect(user_key(account.user), Expect::Version(account.version), Losing::Rebuild);
        let tokens = self.tokens_of(account.user, device.row.device).await?;
        let rank = token.rank.saturating_add(1);
        if token.rank > device.row.least_rank {
            // This is the first use of its own pair.
            raise_least_rank(&mut batch, device, token.rank);
            remove_replaced(&mut batch, &tokens, token.rank)?;
        } else {
            batch.expect(device.key, Expect::Version(device.version), Losing::Rebuild);
        }
        let opening = Opening {
            account: &account,
            device: token.device,
            device_id: OwnedDeviceId::from(token.device_id),
            generation,
            rank,
            refresh: true,
        };
        let seed = token.seed.ok_or_else(|| corrupt(&keys[1], "a refresh token without a seed"))?;
        let login = self.add_pair(&mut batch, &opening, &Successor::of(refresh_token, &seed), &tokens);
        Ok((batch, login))
    }
}
