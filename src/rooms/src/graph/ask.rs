//! What other servers ask about the graph. Nobody's access is looked at here: that is for those who answer them.

use std::sync::Arc;

use ruma::{EventId, RoomId};

use crate::{Room, RoomError, Rooms, Status, StoredEvent, state::store::Committed};

impl Rooms {
    /// The event `event_id` of `room_id`, whatever its status.
    ///
    /// # Errors
    /// The store's.
    pub async fn stored_event(
        &self,
        room_id: &RoomId,
        event_id: &EventId,
    ) -> Result<Option<Arc<StoredEvent>>, RoomError> {
        let Some(room) = self.inner.names.by_id(room_id).await? else { return Ok(None) };
        Ok(self.inner.events.find(&room, &[event_id.to_owned()]).await?.pop().flatten())
    }

    /// The state before `event_id` (Server-Server API, GET state).
    ///
    /// # Errors
    /// `NotFound` when the event, or the state before it, is not known; the store's.
    pub async fn state_before(&self, room_id: &RoomId, event_id: &EventId) -> Result<Vec<Arc<StoredEvent>>, RoomError> {
        let missing = || RoomError::NotFound("The state before that event is not known here.".into());
        let room = self.inner.names.by_id(room_id).await?.ok_or_else(missing)?;
        let found = self.inner.events.find(&room, &[event_id.to_owned()]).await?.pop().flatten();
        let event = found.filter(|event| event.status != Status::Outlier).ok_or_else(missing)?;
        self.events_in(&room, event.state_before).await
    }

    /// The current state.
    ///
    /// # Errors
    /// `NotFound` for a room that is not here; the store's.
    pub async fn state_now(&self, room_id: &RoomId) -> Result<Vec<Arc<StoredEvent>>, RoomError> {
        let missing = || RoomError::NotFound("There is no such room on this server.".into());
        let room = self.inner.names.by_id(room_id).await?.ok_or_else(missing)?;
        let snapshot = self.inner.current_snapshot(&room).await?.id;
        self.events_in(&room, snapshot).await
    }

    async fn events_in(&self, room: &Room, snapshot: u64) -> Result<Vec<Arc<StoredEvent>>, RoomError> {
        let snapshot = self.inner.state.snapshot(&Committed, room.short, snapshot).await?;
        let entries = self.inner.state.list(&Committed, room.short, &snapshot, 0..=u64::MAX).await?;
        let shorts: Vec<u64> = entries.into_iter().map(|entry| entry.event).collect();
        self.inner.events.load_short(room, &shorts).await
    }
}
