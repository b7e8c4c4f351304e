//! What people do with their own account: another password, the end of it (Matrix specification, Client-Server API, Account
//! management).

use wardstead_accounts::{AccountsError, Keep, Session};
use wardstead_engine::Losing;
use wardstead_limits::store as limits;

use crate::{
    AccountError, Act, Auth, Identity, IdentityError,
    leaving::{DEPARTURES, DepartureRow},
    uia::SESSION_USED,
};

impl Identity {
    /// Gives `by` another password, once they confirmed it (`POST /account/password`). `logout_devices`: all other devices are
    /// removed, with all that is kept for them, in the same commit. The device that asks stays signed in.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn change_password(
        &self,
        by: &Session,
        new_password: &str,
        logout_devices: bool,
        auth: Option<&Auth>,
    ) -> Result<(), AccountError> {
        self.check_password(new_password)?;
        let act = Act::ChangePassword { new_password, logout_devices };
        let keep = if logout_devices { Keep::Only(by) } else { Keep::All };
        let mut hash = None;
        for _ in 0..limits::REBUILDS {
            let confirmed = self.confirm(by, &act, auth).await?;
            let hash = match &hash {
                Some(hash) => hash,
                None => hash.insert(self.hasher.hash(new_password).await?),
            };
            let account = self.accounts.find(&by.user_id).await?.ok_or(AccountsError::NoAccount)?;
            if account.deactivated {
                return Err(AccountsError::Deactivated.into());
            }
            match self.accounts.set_password(&account, hash, keep, &confirmed.batch()).await {
                // Another password, or another use of the session, came first.
                Err(AccountsError::Changed | AccountsError::Lost(Losing::Fail(SESSION_USED))) => {}
                done => return Ok(done?),
            }
        }
        Err(IdentityError::Contended.into())
    }

    /// Ends the account of `by`, once they confirmed it (`POST /account/deactivate`): all sessions, account data and filters in one
    /// commit, in which a row stands by which some node then leaves all rooms. `erase`: nobody who comes later sees what the user
    /// wrote.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn deactivate(&self, by: &Session, erase: bool, auth: Option<&Auth>) -> Result<(), AccountError> {
        let number = self.store.next_id().await.map_err(IdentityError::from)?;
        for _ in 0..limits::REBUILDS {
            let confirmed = self.confirm(by, &Act::Deactivate { erase }, auth).await?;
            let mut extra = confirmed.batch();
            DEPARTURES.push_after(&mut extra, by.user, self.store.position(), number, &DepartureRow);
            match self.accounts.deactivate(&by.user_id, erase, &extra).await {
                Err(AccountsError::Lost(Losing::Fail(SESSION_USED))) => {}
                done => return Ok(done?),
            }
        }
        Err(IdentityError::Contended.into())
    }
}
