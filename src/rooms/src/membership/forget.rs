//! Forgetting a room (Matrix specification, Client-Server API, POST forget): it is as if the user had never been in it, until
//! their membership changes again.

use ruma::RoomId;
use wardstead_accounts::Session;
use wardstead_engine::{Batch, Expect, Losing, PositionSlot};
use wardstead_limits::store::REBUILDS;
use wardstead_store::StoreError;

use crate::{
    Membership, RoomError, Rooms,
    tables::{USER_ROOMS, UserRoomRow},
};

impl Rooms {
    /// `by` forgets a room that they left, or never entered. Forgetting twice is forgetting once.
    ///
    /// # Errors
    /// `Unsupported` for those who are in the room, are invited, or knock; `Forbidden` for those who never were anything in it.
    pub async fn forget(&self, by: &Session, room_id: &RoomId) -> Result<(), RoomError> {
        let room = self.inner.names.by_id(room_id).await?.ok_or_else(RoomError::not_in_room)?;
        let key = USER_ROOMS.key(by.user).u64(room.short).key();
        for _ in 0..=REBUILDS {
            let found = self.inner.store.get(&USER_ROOMS, &key).await?.ok_or_else(RoomError::not_in_room)?;
            match found.row.membership {
                Membership::Leave | Membership::Ban => {}
                Membership::Join | Membership::Invite | Membership::Knock => {
                    let user_id = &by.user_id;
                    return Err(RoomError::Unsupported(format!("{user_id} has not left {room_id}: leave it first.")));
                }
            }
            if found.row.forgotten {
                return Ok(());
            }
            let mut batch = Batch::new();
            // Each change of the membership states another version: what was read is what is forgotten.
            batch.expect(key.clone(), Expect::Version(found.version), Losing::Rebuild);
            let positions: Vec<PositionSlot> =
                found.positions.iter().map(|position| PositionSlot::Known(*position)).collect();
            let row = UserRoomRow { forgotten: true, ..found.row };
            USER_ROOMS.put_with(&mut batch, key.clone(), found.version, &positions, &row);
            match self.inner.store.commit(batch).await {
                Ok(_) => return Ok(()),
                Err(StoreError::Lost(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(RoomError::Busy("your membership is being changed"))
    }
}
