//! What is left of people who leave: nothing that is their own, and of what they wrote only what others saw (Matrix specification,
//! Client-Server API, Account deactivation).

use wardstead_engine::{Batch, Key, Position, PositionSlot};
use wardstead_limits::engine::GET_KEYS;

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

/// The scope of the row that says that somebody was erased: nobody has this short id.
const ANYBODY: u64 = 0;

/// Adds that the user is erased from the batch's journal entry number `entry` on.
pub(crate) fn erase(batch: &mut Batch, user: u64, entry: usize) {
    for scope in [user, ANYBODY] {
        ERASURES.put_with(batch, erasure_key(scope), 0, &[PositionSlot::Entry(entry)], &ErasureRow);
    }
}

impl Accounts {
    /// Whether anybody was ever erased here: where nobody was, nobody has to be looked up.
    ///
    /// # Errors
    /// The store's.
    pub async fn anybody_erased(&self) -> Result<bool, AccountsError> {
        Ok(self.store.get(&ERASURES, &erasure_key(ANYBODY)).await?.is_some())
    }

    /// When each of `users`, by short ids, was erased, in their order: whoever could not see before what the user wrote sees it redacted.
    /// One read per 10,000.
    ///
    /// # Errors
    /// The store's.
    pub async fn erased_at(&self, users: &[u64]) -> Result<Vec<Option<Position>>, AccountsError> {
        let keys: Vec<Key> = users.iter().map(|user| erasure_key(*user)).collect();
        let mut erased = Vec::with_capacity(users.len());
        for keys in keys.chunks(GET_KEYS) {
            let rows = self.store.get_many(&ERASURES, keys).await?;
            erased.extend(rows.into_iter().map(|row| row.map(|found| found.position())));
        }
        Ok(erased)
    }
}
