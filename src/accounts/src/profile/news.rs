//! What follows a change of somebody's name or picture: whoever shows them elsewhere is told, later and at least once.

use std::sync::Arc;

use async_trait::async_trait;
use ruma::UserId;
use wardstead_engine::{Batch, Position};
use wardstead_store::{Claim, Found, Handled, Queue, QueueHandler, StoreError};

use super::tables::{PROFILE_NEWS, ProfileNewsRow};
use crate::{Accounts, AccountsError};

/// Which of the two changed, and when it last did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NamesChanged {
    /// The display name.
    pub displayname: Option<Position>,
    /// The picture.
    pub avatar_url: Option<Position>,
}

/// Shows names and pictures elsewhere: in the member events of rooms. Wired by the binary.
#[async_trait]
pub trait NamesFollower: Send + Sync + 'static {
    /// Brings everything up to date that showed what `changed` of `user` before it did, to what it is now
    /// ([`Accounts::names`]). What was said after the change stays. May be called again
    /// for the same change, and may be cut off at any await. Whether all is done; where not, it is called again.
    ///
    /// # Errors
    /// As not done, with a warning.
    async fn names_changed(&self, user: u64, user_id: &UserId, changed: NamesChanged) -> Result<bool, StoreError>;
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
        let mut changed = NamesChanged::default();
        for found in rows {
            // In the order of the journal: the last of them is the newest.
            let at = Some(Queue::<ProfileNewsRow>::position(&found.key).unwrap_or_default());
            changed.displayname = if found.row.displayname { at } else { changed.displayname };
            changed.avatar_url = if found.row.avatar_url { at } else { changed.avatar_url };
        }
        let user_id = match self.accounts.user_ids(&[user]).await {
            Ok(mut found) => found.pop().flatten(),
            Err(AccountsError::Store(error)) => return Err(error),
            Err(_) => return Ok(Handled::Later),
        };
        // A user who is not there has no rooms.
        if let Some(user_id) = user_id
            && !self.follower.names_changed(user, &user_id, changed).await?
        {
            return Ok(Handled::Later);
        }
        Ok(Handled::Done { rows: rows.len(), batch: Batch::new() })
    }
}
