//! Who may read a room (promise P7): one function to ask.

use std::sync::Arc;

use ruma::RoomId;
use wardstead_accounts::Session;
use wardstead_engine::Position;

use crate::{
    HistoryVisibility, Membership, Room, RoomError, Rooms, event::content::history_visibility, state::key,
    tables::USER_ROOMS,
};

/// Up to when a user may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Up to now: the user is in the room, or everybody may read it.
    Now,
    /// Up to the position at which the user left.
    Until(Position),
}

/// What a user may read of a room, as found in this request.
///
/// Only [`Rooms::access`] gives it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Access {
    /// The room.
    pub room: Arc<Room>,
    /// What the user is in it; `None`: never was anything.
    pub membership: Option<Membership>,
    /// When the user last stopped being joined; zero: never.
    pub left: Position,
    /// Up to when.
    pub reach: Reach,
}

impl Rooms {
    /// What `by` may read of `room_id`. Each event still has to be [`crate::Sight::look`]ed at.
    ///
    /// # Errors
    /// `Forbidden` for those who never were in the room, unless everybody may read it; the same where there is no such room.
    pub async fn access(&self, by: &Session, room_id: &RoomId) -> Result<Access, RoomError> {
        let room = self.inner.names.by_id(room_id).await?.ok_or_else(RoomError::not_in_room)?;
        let key = USER_ROOMS.key(by.user).u64(room.short).key();
        // Who has forgotten a room is a stranger to it.
        let found = self.inner.store.get(&USER_ROOMS, &key).await?.filter(|found| !found.row.forgotten);
        let membership = found.as_ref().map(|found| found.row.membership);
        let left = found.and_then(|found| found.positions.get(1).copied()).unwrap_or_default();
        let reach = if membership == Some(Membership::Join) || self.is_world_readable(&room).await? {
            Reach::Now
        } else if left > Position::ZERO {
            Reach::Until(left)
        } else {
            return Err(RoomError::not_in_room());
        };
        Ok(Access { room, membership, left, reach })
    }

    /// A room that concerns `by`: in which the user is or was anything, invited and left rooms among them, and which the user has not
    /// forgotten. For what users keep about rooms for themselves; it opens nothing of the room.
    ///
    /// # Errors
    /// `Forbidden`; the same where there is no such room.
    pub async fn concerning(&self, by: &Session, room_id: &RoomId) -> Result<Arc<Room>, RoomError> {
        let room = self.inner.names.by_id(room_id).await?.ok_or_else(RoomError::not_in_room)?;
        let key = USER_ROOMS.key(by.user).u64(room.short).key();
        let found = self.inner.store.get(&USER_ROOMS, &key).await?;
        found.filter(|found| !found.row.forgotten).map(|_| room).ok_or_else(RoomError::not_in_room)
    }

    async fn is_world_readable(&self, room: &Room) -> Result<bool, RoomError> {
        let snapshot = self.inner.current_snapshot(room).await?;
        let event = self.inner.state_of(room, &snapshot, &[key::HISTORY_VISIBILITY]).await?.pop().flatten();
        Ok(history_visibility(event.as_ref().map(|event| &*event.event)) == HistoryVisibility::WorldReadable)
    }
}
