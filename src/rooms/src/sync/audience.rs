//! Who is to be woken when a room changes.

use async_trait::async_trait;
use wardstead_engine::{EngineError, ScanRange};
use wardstead_store::{Audience, StoreError};

use crate::{Membership, RoomError, Rooms, lets_guests_in, state::key, tables::MEMBERS};

#[async_trait]
impl Audience for Rooms {
    async fn local_members(&self, room: u64) -> Result<Vec<u64>, StoreError> {
        self.joined_users(room).await.map_err(unreadable)
    }

    async fn rooms_of(&self, user: u64) -> Result<Vec<u64>, StoreError> {
        self.joined_rooms_of(user, usize::MAX).await.map_err(unreadable)
    }
}

fn unreadable(error: RoomError) -> StoreError {
    match error {
        RoomError::Store(error) => error,
        other => EngineError::Unavailable(other.to_string()).into(),
    }
}

impl Rooms {
    /// Short ids of the local users who are in `room` now.
    ///
    /// # Errors
    /// The store's.
    pub async fn joined_users(&self, room: u64) -> Result<Vec<u64>, RoomError> {
        let present = self.present_users(room).await?.into_iter();
        Ok(present.filter(|(_, membership)| *membership == Membership::Join).map(|(user, _)| user).collect())
    }

    /// Short ids of the local users who are in `room` now, are invited, or knock, each with which of these.
    ///
    /// # Errors
    /// The store's.
    pub async fn present_users(&self, room: u64) -> Result<Vec<(u64, Membership)>, RoomError> {
        let rows = self.inner.store.scan_all(&MEMBERS, ScanRange::scope(MEMBERS.id(), room)).await?;
        let present = rows
            .into_iter()
            .filter(|found| matches!(found.row.membership, Membership::Join | Membership::Invite | Membership::Knock));
        let users = present.map(|found| {
            let user = wardstead_engine::KeyReader::new(&found.key).u64();
            let user = user.ok_or_else(|| RoomError::corrupt(&found.key, "no user in the key"))?;
            Ok((user, found.row.membership))
        });
        users.filter(|user| !user.as_ref().is_ok_and(|(user, _)| key::is_foreign(*user))).collect()
    }

    /// Whether guests may come into `room` now (Client-Server API, Guest Access). One read or more.
    ///
    /// # Errors
    /// The store's.
    pub async fn admits_guests(&self, room: u64) -> Result<bool, RoomError> {
        let Some(room) = self.inner.names.by_short(&[room]).await?.pop() else { return Ok(false) };
        let snapshot = self.inner.current_snapshot(&room).await?;
        let access = self.inner.state_of(&room, &snapshot, &[key::GUEST_ACCESS]).await?.pop().flatten();
        Ok(access.is_some_and(|access| lets_guests_in(&access)))
    }
}
