//! The session floor: a number that a restore raises, so that tokens issued before it are refused softly.
//!
//! After a restore from a backup the server does not know which of the sessions in it were ended since. It refuses them
//! all, with `soft_logout`, so that clients sign in again and keep their keys.

use wardstead_engine::{Batch, Cell, Expect, Losing};
use wardstead_limits::store as limits;
use wardstead_store::StoreError;

use crate::{
    Accounts, AccountsError,
    tables::{FLOOR, FloorRow, floor_key},
};

impl Accounts {
    /// The session floor; 0 until it is raised for the first time.
    ///
    /// # Errors
    /// The store's.
    pub async fn session_floor(&self) -> Result<u64, AccountsError> {
        Ok(self.store.get(&FLOOR, &floor_key()).await?.map_or(0, |found| found.version))
    }

    /// Raises the session floor: every token issued so far is refused with `soft_logout` from now on. Returns the new
    /// floor.
    ///
    /// # Errors
    /// `Contended`, and the store's.
    pub async fn raise_session_floor(&self) -> Result<u64, AccountsError> {
        for _ in 0..limits::REBUILDS {
            let floor = self.session_floor().await?;
            let expect = if floor == 0 { Expect::Absent } else { Expect::Version(floor) };
            let mut batch = Batch::new();
            batch.expect(floor_key(), expect, Losing::Rebuild);
            let row = FloorRow { raised_ms: self.store.clock().now_ms() };
            FLOOR.put_with(&mut batch, floor_key(), floor + 1, &[], &row);
            match self.store.commit(batch).await {
                Ok(_) => return Ok(floor + 1),
                Err(StoreError::Lost(Losing::Rebuild)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(AccountsError::Contended)
    }
}

/// The floor that stands in its cell.
pub(crate) fn floor_of(cell: Option<&Cell>) -> u64 {
    cell.map_or(0, |cell| cell.version)
}
