//! What follows a change of somebody's name or picture: whoever shows them elsewhere is told, later and at least once.

use std::sync::Arc;

use async_trait::async_trait;
use ruma::UserId;
use wardstead_engine::Batch;
use wardstead_store::{Claim, Found, Handled, QueueHandler, StoreError};

use super::tables::{PROFILE_NEWS, ProfileNewsRow};
use crate::{Accounts, AccountsError};

/// Shows names and pictures elsewhere: in the member events of rooms. Wired by the binary.
#[async_trait]
pub trait NamesFollower: Send + Sync + 'static {
    /// Brings everything up to date that shows another name or picture of `user` than they have ([`Accounts::names`]), and has done so
    /// since before the last change of it. What was said after that stays. May be called again when all is done, and may be cut
    /// off at any await. Whether all is done; where not, it is called again.
    ///
    /// # Errors
    /// As not done, with a warning.
    async fn names_changed(&self, user: u64, user_id: &UserId) -> Result<bool, StoreError>;
}

impl Accounts {
    /// Has `follower` told of every change of a name or a picture from now on, and of those that nobody was told of yet.
    pub fn follow_names(&self, follower: Arc<dyn NamesFollower>) {
        let handler = Teller { accounts: self.clone(), follower };
        self.store.run_queue(&PROFILE_NEWS, Arc::new(handler));
    }
}

struct Teller {
    accounts: Accounts,
    follower: Arc<dyn NamesFollower>,
}

#[async_trait]
impl QueueHandler<ProfileNewsRow> for Teller {
    /// All changes that wait are told as one: what is told is what is so now, which none of them precedes.
    async fn handle(&self, user: u64, rows: &[Found<ProfileNewsRow>], _: &Claim) -> Result<Handled, StoreError> {
        let user_id = match self.accounts.user_id(user).await {
            Ok(user_id) => user_id,
            Err(AccountsError::Store(error)) => return Err(error),
            Err(_) => return Ok(Handled::Later),
        };
        if !self.follower.names_changed(user, &user_id).await? {
            return Ok(Handled::Later);
        }
        Ok(Handled::Done { rows: rows.len(), batch: Batch::new() })
    }
}
