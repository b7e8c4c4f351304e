//! State, members and rooms of a user, as requests ask for them.

use std::{ops::RangeInclusive, sync::Arc};

use ruma::{EventId, OwnedRoomId, RoomId};
use wardstead_accounts::Session;
use wardstead_engine::ScanRange;

use crate::{
    Access, Inner, Membership, Reach, Room, RoomError, Rooms, Sight, StoredEvent,
    state::{Snapshot, key::MEMBERS, store::Committed},
    tables::USER_ROOMS,
};

impl Rooms {
    /// The state of a room: now, or when the user left (Client-Server API, GET state).
    ///
    /// # Errors
    /// As [`Self::access`].
    pub async fn state(&self, by: &Session, room_id: &RoomId) -> Result<Vec<Arc<StoredEvent>>, RoomError> {
        self.state_in(by, room_id, 0..=u64::MAX).await
    }

    /// The member events of a room: now, or when the user left (Client-Server API, GET members).
    ///
    /// # Errors
    /// As [`Self::access`].
    pub async fn members(&self, by: &Session, room_id: &RoomId) -> Result<Vec<Arc<StoredEvent>>, RoomError> {
        self.state_in(by, room_id, MEMBERS..=u64::MAX).await
    }

    /// One state event: now, or when the user left (Client-Server API, GET state with type and key).
    ///
    /// # Errors
    /// As [`Self::access`]; `NotFound`.
    pub async fn state_event(
        &self,
        by: &Session,
        room_id: &RoomId,
        event_type: &str,
        state_key: &str,
    ) -> Result<Arc<StoredEvent>, RoomError> {
        let access = self.access(by, room_id).await?;
        let missing = || RoomError::NotFound("The room has no such state.".into());
        let key = self.inner.find_key(access.room.short, event_type, state_key).await?.ok_or_else(missing)?;
        let snapshot = self.inner.reached_snapshot(&access).await?;
        let found = self.inner.state_of(&access.room, &snapshot, &[key]).await?;
        found.into_iter().next().flatten().ok_or_else(missing)
    }

    /// An event that the user may see (Client-Server API, GET event).
    ///
    /// # Errors
    /// As [`Self::access`]; `NotFound` also for events that the user may not see.
    pub async fn event(
        &self,
        by: &Session,
        room_id: &RoomId,
        event_id: &EventId,
    ) -> Result<(Arc<StoredEvent>, Membership), RoomError> {
        let missing = || RoomError::NotFound("There is no such event, or you may not see it.".into());
        if event_id.as_str().len() > wardstead_limits::rooms::IDENTIFIER_BYTES {
            return Err(missing());
        }
        let access = self.access(by, room_id).await?;
        let found = self.inner.events.find(&access.room, &[event_id.to_owned()]).await?;
        let event = found.into_iter().next().flatten().ok_or_else(missing)?;
        let membership = Sight::new(by, &access).look(self, &event).await?.ok_or_else(missing)?;
        Ok((event, membership))
    }

    /// The rooms that the user is in (Client-Server API, GET `joined_rooms`).
    ///
    /// # Errors
    /// The store's.
    pub async fn joined_rooms(&self, by: &Session) -> Result<Vec<OwnedRoomId>, RoomError> {
        let rows = self.inner.store.scan_all(&USER_ROOMS, ScanRange::scope(USER_ROOMS.id(), by.user)).await?;
        let joined = rows.into_iter().filter(|found| found.row.membership == Membership::Join);
        joined
            .map(|found| {
                RoomId::parse(found.row.room_id.as_str()).map_err(|_| RoomError::corrupt(&found.key, "not a room id"))
            })
            .collect()
    }

    /// The room `room_id`, if this server knows it. Tells nothing about who may read it.
    ///
    /// # Errors
    /// The store's.
    pub async fn room(&self, room_id: &RoomId) -> Result<Option<Arc<Room>>, RoomError> {
        self.inner.names.by_id(room_id).await
    }

    async fn state_in(
        &self,
        by: &Session,
        room_id: &RoomId,
        keys: RangeInclusive<u64>,
    ) -> Result<Vec<Arc<StoredEvent>>, RoomError> {
        let access = self.access(by, room_id).await?;
        let snapshot = self.inner.reached_snapshot(&access).await?;
        let entries = self.inner.state.list(&Committed, access.room.short, &snapshot, keys).await?;
        let shorts: Vec<u64> = entries.into_iter().map(|entry| entry.event).collect();
        self.inner.events.load_short(&access.room, &shorts).await
    }
}

impl Inner {
    /// The newest state that may be read.
    async fn reached_snapshot(&self, access: &Access) -> Result<Arc<Snapshot>, RoomError> {
        match access.reach {
            Reach::Now => self.current_snapshot(&access.room).await,
            Reach::Until(left) => {
                let id = self.state_row(access.room.short, left).await?.map_or(0, |(_, row)| row.snapshot);
                self.state.snapshot(&Committed, access.room.short, id).await
            }
        }
    }
}
