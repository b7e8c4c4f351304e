//! Who is to be woken when a room changes.

use async_trait::async_trait;
use wardstead_engine::{EngineError, ScanRange};
use wardstead_store::{Audience, StoreError};

use crate::{Membership, RoomError, Rooms, state::key, tables::MEMBERS};

#[async_trait]
impl Audience for Rooms {
    async fn local_members(&self, room: u64) -> Result<Vec<u64>, StoreError> {
        self.joined_users(room).await.map_err(|error| match error {
            RoomError::Store(error) => error,
            other => EngineError::Unavailable(other.to_string()).into(),
        })
    }
}

impl Rooms {
    /// Short ids of the local users who are in `room` now.
    ///
    /// # Errors
    /// The store's.
    pub async fn joined_users(&self, room: u64) -> Result<Vec<u64>, RoomError> {
        let rows = self.inner.store.scan_all(&MEMBERS, ScanRange::scope(MEMBERS.id(), room)).await?;
        let joined = rows.into_iter().filter(|found| found.row.membership == Membership::Join);
        let users = joined.map(|found| {
            let user = wardstead_engine::KeyReader::new(&found.key).u64();
            user.ok_or_else(|| RoomError::corrupt(&found.key, "no user in the key"))
        });
        users.filter(|user| !user.as_ref().is_ok_and(|user| key::is_foreign(*user))).collect()
    }
}
