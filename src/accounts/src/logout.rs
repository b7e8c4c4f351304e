//! Ending sessions.

use ruma::UserId;
use wardstead_engine::{Batch, Expect, Key, KeyReader, Losing, ScanRange, Urgency};
use wardstead_limits::{accounts as limits, store as store_limits};
use wardstead_store::{Found, StoreError};

use crate::{
    Accounts, AccountsError, Session, account_changed,
    tables::{DEVICE_TOKENS, DEVICES, DeviceTokenRow, HASH_BYTES, USERS, UserRow, device_key, token_key, user_key},
    users::corrupt,
};

impl Accounts {
    /// Ends the session and removes its device, with all tokens of it, in one batch (Matrix specification, Client-Server
    /// API, `POST /logout`). Does nothing when the device is gone already.
    ///
    /// # Errors
    /// `Contended`, and the store's.
    pub async fn logout(&self, session: &Session) -> Result<(), AccountsError> {
        let key = device_key(session.user, session.device_id.as_str());
        for _ in 0..store_limits::REBUILDS {
            let device = self.store.get(&DEVICES, &key).await?;
            let Some(device) = device.filter(|device| device.row.device == session.device) else { return Ok(()) };
            let mut batch = Batch::new();
            batch.expect(key.clone(), Expect::Version(device.version), Losing::Rebuild);
            batch.delete(key.clone());
            self.remove_device_tokens(&mut batch, session.user, session.device).await?;
            batch.journal(account_changed(session.user));
            match self.store.commit(batch).await {
                Ok(_) => return Ok(()),
                Err(StoreError::Lost(Losing::Rebuild)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(AccountsError::Contended)
    }

    /// Ends all sessions of the session's user and removes all devices, in one batch (Matrix specification, Client-Server
    /// API, `POST /logout/all`).
    ///
    /// # Errors
    /// `Contended`, and the store's.
    pub async fn logout_all(&self, session: &Session) -> Result<(), AccountsError> {
        self.end_sessions(session.user, |_| ()).await
    }

    /// Deactivates the account and ends all its sessions, in one batch. The name stays taken. The password's hash stays,
    /// so that only who knows the password is told that the account is deactivated.
    ///
    /// # Errors
    /// `NoAccount`, `Contended`, and the store's.
    pub async fn deactivate(&self, user_id: &UserId) -> Result<(), AccountsError> {
        let user = self.user_short_id(user_id).await?.ok_or(AccountsError::NoAccount)?;
        self.end_sessions(user, |row| row.deactivated = true).await
    }

    /// Changes the user's row so that every token issued so far is void, and removes devices and tokens.
    async fn end_sessions(&self, user: u64, change: impl Fn(&mut UserRow)) -> Result<(), AccountsError> {
        for _ in 0..store_limits::REBUILDS {
            let key = user_key(user);
            let found = self.store.get(&USERS, &key).await?;
            let Found { mut row, version, .. } = found.ok_or_else(|| corrupt(&key, "a session's user is missing"))?;
            let of_user = DEVICE_TOKENS.key(user).key();
            let tokens = self.store.scan_all(&DEVICE_TOKENS, ScanRange::prefix(of_user)).await?;
            row.session += 1;
            change(&mut row);

            let (now, later) = tokens.split_at(tokens.len().min(limits::TOKENS_PER_BATCH));
            let mut batch = Batch::new();
            batch.expect(key.clone(), Expect::Version(version), Losing::Rebuild);
            USERS.put_with(&mut batch, key, version + 1, &[], &row);
            let devices = DEVICES.key(user).key();
            batch.delete_range(devices.clone(), devices.after_prefix());
            remove_tokens(&mut batch, now)?;
            batch.journal(account_changed(user));
            match self.store.commit(batch).await {
                Ok(_) => return self.remove_void_tokens(later).await,
                Err(StoreError::Lost(Losing::Rebuild)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(AccountsError::Contended)
    }

    /// Removes tokens that the user's session number has made void. A crash in between leaves rows that let nobody in and
    /// that the next end of all sessions removes.
    async fn remove_void_tokens(&self, tokens: &[Found<DeviceTokenRow>]) -> Result<(), AccountsError> {
        for tokens in tokens.chunks(limits::TOKENS_PER_BATCH) {
            let mut batch = Batch { urgency: Urgency::Soon, ..Batch::new() };
            remove_tokens(&mut batch, tokens)?;
            self.store.commit(batch).await?;
        }
        Ok(())
    }

    /// Adds the removal of all tokens of a device.
    pub(crate) async fn remove_device_tokens(
        &self,
        batch: &mut Batch,
        user: u64,
        device: u64,
    ) -> Result<(), AccountsError> {
        let of_device = DEVICE_TOKENS.key(user).u64(device).key();
        let tokens = self.store.scan_all(&DEVICE_TOKENS, ScanRange::prefix(of_device)).await?;
        Ok(remove_tokens(batch, &tokens)?)
    }
}

fn remove_tokens(batch: &mut Batch, tokens: &[Found<DeviceTokenRow>]) -> Result<(), StoreError> {
    for token in tokens {
        batch.delete(token_key(&hash_in(&token.key)?));
        batch.delete(token.key.clone());
    }
    Ok(())
}

/// The hash of the token in a key of the index.
fn hash_in(key: &Key) -> Result<[u8; HASH_BYTES], StoreError> {
    let mut reader = KeyReader::new(key);
    let hash = reader.u64().and_then(|_| reader.fixed(HASH_BYTES)?.try_into().ok());
    hash.ok_or_else(|| corrupt(key, "not the hash of a token"))
}
