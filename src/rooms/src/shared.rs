//! Who may know of whom: users who share a room.

use crate::{Membership, RoomError, Rooms};

impl Rooms {
    /// Whether both users (short ids) are in one room now. Read from the engine, as each decision about access. Two reads.
    ///
    /// # Errors
    /// The store's.
    pub async fn share_a_room(&self, one: u64, other: u64) -> Result<bool, RoomError> {
        let theirs = self.user_rooms(other).await?;
        let theirs = theirs.into_iter().filter(|room| room.membership == Membership::Join);
        let theirs: Vec<u64> = theirs.map(|room| room.room).collect();
        let ours = self.user_rooms_among(one, &theirs).await?;
        Ok(ours.iter().any(|room| room.membership == Membership::Join))
    }
}
