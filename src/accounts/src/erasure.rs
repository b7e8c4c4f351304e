//! What is left of people who leave: nothing that is their own, and of what they wrote only what others saw (Matrix specification,
//! Client-Server API, Account deactivation).

use ruma::UserId;
use wardstead_engine::{Batch, Position, PositionSlot};

use crate::{
    Accounts, AccountsError,
    tables::{ACCOUNT_DATA, ACCOUNT_DATA_LOG, ERASURES, ErasureRow, FILTERS, erasure_key},
};

/// Adds the removal of what a user keeps for themselves alone: account data and filters.
pub(crate) fn remove_own_data(batch: &mut Batch, user: u64) {
    for scope in [ACCOUNT_DATA.key(user).key(), ACCOUNT_DATA_LOG.key(user).key(), FILTERS.key(user).key()] {
        batch.delete_range(scope.clone(), scope.after_prefix());
    }
}

/// Adds that the user is erased from the batch's journal entry number `entry` on.
pub(crate) fn erase(batch: &mut Batch, user: u64, entry: usize) {
    ERASURES.put_with(batch, erasure_key(user), 0, &[PositionSlot::Entry(entry)], &ErasureRow);
}

impl Accounts {
    /// When `user_id` was erased: whoever could not see before what the user wrote sees it redacted. `None`: not erased, or a user of
    /// another server.
    ///
    /// # Errors
    /// The store's.
    pub async fn erased_at(&self, user_id: &UserId) -> Result<Option<Position>, AccountsError> {
        let Some(user) = self.user_short_id(user_id).await? else { return Ok(None) };
        Ok(self.store.get(&ERASURES, &erasure_key(user)).await?.map(|found| found.position()))
    }
}
