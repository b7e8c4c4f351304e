//! Ending all sessions of a user: signing out everywhere, a new password, deactivation.

use ruma::{OwnedUserId, UserId};
use wardstead_engine::{Batch, Expect, Losing, ScanRange};
use wardstead_limits::{accounts as limits, store as store_limits};
use wardstead_store::{Found, StoreError};

use crate::{
    Account, AccountChange, Accounts, AccountsError, Deactivated, Session, erasure,
    removal::REMAINING,
    tables::{DEVICES, DeviceRow, USERS, UserRow, VoidDevicesRow, user_key},
    users::{corrupt, parse_user_id},
};

/// Which sessions of a user an act leaves.
#[derive(Clone, Copy, Debug)]
pub enum Keep<'a> {
    /// Every one.
    All,
    /// The device of this session, with its tokens. All others are removed.
    Only(&'a Session),
    /// None: all devices are removed.
    None,
}

/// What is done to an account's row.
struct Edit<'a> {
    user: u64,
    /// The version of the row that the caller looked at, where that decides.
    looked_at: Option<u64>,
    keep: Keep<'a>,
    /// Whether the user leaves for ever, with all that is their own.
    leaves: bool,
    extra: &'a Batch,
}

impl Accounts {
    /// Ends all sessions of the session's user and removes all devices, in one batch (Matrix specification, Client-Server
    /// API, `POST /logout/all`).
    ///
    /// # Errors
    /// `Contended`, and the store's.
    pub async fn logout_all(&self, session: &Session) -> Result<(), AccountsError> {
        let edit = Edit { user: session.user, looked_at: None, keep: Keep::None, leaves: false, extra: &Batch::new() };
        self.edit(&edit, |_| (), |_| None).await
    }

    /// Deactivates the account, empties its profile and ends all its sessions, in one batch that `extra` joins. The name stays taken. The password's hash
    /// stays, so that only who knows the password is told that the account is deactivated. `erase`: nobody who comes later is
    /// to see what the user wrote.
    ///
    /// # Errors
    /// `NoAccount`; `Lost` with what losing an assertion of `extra` means; `Contended`, and the store's.
    pub async fn deactivate(&self, user_id: &UserId, erase: bool, extra: &Batch) -> Result<(), AccountsError> {
        let user = self.user_short_id(user_id).await?.ok_or(AccountsError::NoAccount)?;
        let edit = Edit { user, looked_at: None, keep: Keep::None, leaves: true, extra };
        let change = |user_id| Some(AccountChange::Deactivated(Deactivated { user, user_id, erase }));
        let deactivate = |row: &mut UserRow| (row.deactivated, row.erased) = (true, row.erased || erase);
        self.edit(&edit, deactivate, change).await
    }

    /// Gives `account` another password, in one batch that `extra` joins and that ends the sessions which `keep` does not name.
    ///
    /// # Errors
    /// `Changed` when the account is no longer as it was when the caller read it; `Lost` with what losing an assertion of `extra`
    /// means; `Contended`, and the store's.
    pub async fn set_password(
        &self,
        account: &Account,
        password_hash: &str,
        keep: Keep<'_>,
        extra: &Batch,
    ) -> Result<(), AccountsError> {
        let edit = Edit { user: account.user, looked_at: Some(account.version), keep, leaves: false, extra };
        self.edit(&edit, |row| row.password_hash = Some(password_hash.to_owned()), |_| None).await
    }

    /// Changes the user's row and ends no session, in one batch that `extra` joins.
    pub(crate) async fn edit_keeping_all(
        &self,
        user: u64,
        extra: &Batch,
        apply: impl Fn(&mut UserRow),
    ) -> Result<(), AccountsError> {
        let edit = Edit { user, looked_at: None, keep: Keep::All, leaves: false, extra };
        self.edit(&edit, apply, |_| None).await
    }

    /// Changes the user's row. Where not all sessions are kept, every token issued so far is void from this commit on but for those of
    /// the device that is kept; devices beyond what one batch removes go by the queue row in it.
    async fn edit(
        &self,
        edit: &Edit<'_>,
        apply: impl Fn(&mut UserRow),
        change: impl Fn(OwnedUserId) -> Option<AccountChange>,
    ) -> Result<(), AccountsError> {
        let key = user_key(edit.user);
        for _ in 0..store_limits::REBUILDS {
            let found = self.store.get(&USERS, &key).await?;
            let Found { mut row, version, .. } = found.ok_or_else(|| corrupt(&key, "a session's user is missing"))?;
            if edit.looked_at.is_some_and(|looked_at| looked_at != version) {
                return Err(AccountsError::Changed);
            }
            apply(&mut row);
            let user_id = parse_user_id(&key, &row.user_id)?;
            let mut batch = edit.extra.clone();
            batch.expect(key.clone(), Expect::Version(version), Losing::Rebuild);
            let entry = Self::tell(&mut batch, edit.user);
            match edit.keep {
                Keep::All => {}
                Keep::Only(session) => {
                    row.session += 1;
                    self.end_all_but(&mut batch, (edit.user, &user_id), Some(session), &row, entry).await?;
                }
                Keep::None => {
                    row.session += 1;
                    self.end_all_but(&mut batch, (edit.user, &user_id), None, &row, entry).await?;
                }
            }
            if edit.leaves {
                erasure::remove_own_data(&mut batch, edit.user);
                self.empty_profile(&mut batch, edit.user).await?;
                if row.erased {
                    erasure::erase(&mut batch, edit.user, entry);
                }
            }
            USERS.put_with(&mut batch, key.clone(), version + 1, &[], &row);
            if let Some(change) = change(user_id) {
                self.follow(&mut batch, &change, entry).await?;
            }
            match self.store.commit(batch).await {
                Ok(_) => return Ok(()),
                Err(StoreError::Lost(Losing::Rebuild)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(AccountsError::Contended)
    }

    /// Adds the end of all sessions but the kept one. `row` is the user's, with the session number that comes into force.
    async fn end_all_but(
        &self,
        batch: &mut Batch,
        (user, user_id): (u64, &UserId),
        kept: Option<&Session>,
        row: &UserRow,
        entry: usize,
    ) -> Result<(), AccountsError> {
        let devices = self.store.scan_all(&DEVICES, ScanRange::scope(DEVICES.id(), user)).await?;
        let is_kept = |device: &Found<DeviceRow>| kept.is_some_and(|kept| kept.device == device.row.device);
        let (kept, going): (Vec<_>, Vec<_>) = devices.into_iter().partition(is_kept);
        for Found { key, row: device, version, .. } in kept {
            batch.expect(key.clone(), Expect::Version(version), Losing::Rebuild);
            let tokens = self.tokens_of(user, device.device).await?;
            self.keep_tokens(batch, &tokens, row.session).await?;
            DEVICES.put_with(batch, key, version + 1, &[], &DeviceRow { session: row.session, ..device });
        }
        let now = &going[..going.len().min(limits::DEVICES_PER_BATCH)];
        self.remove(batch, user, user_id, now, entry).await?;
        // Always: somebody may sign in on another device while this is on its way, and that device is void from its first moment.
        REMAINING.push(batch, user, entry, &VoidDevicesRow);
        Ok(())
    }
}
