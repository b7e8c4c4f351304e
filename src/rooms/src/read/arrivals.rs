//! Single events by the positions at which they arrived, for who keeps positions.

use ruma::{EventId, OwnedEventId, RoomId};
use wardstead_accounts::Session;
use wardstead_engine::{Key, Position};
use wardstead_limits::engine::GET_KEYS;

use crate::{Membership, RoomError, Rooms, Seen, Sight, tables::ARRIVALS};

impl Rooms {
    /// The events of `room_id` that arrived at `positions`, in their order, each with what the user was when it had happened; `None`: there is
    /// none, the user may not see it, or it was redacted.
    ///
    /// # Errors
    /// As [`Self::access`].
    pub async fn arrived_at(
        &self,
        by: &Session,
        room_id: &RoomId,
        positions: &[Position],
    ) -> Result<Vec<Option<(Seen, Membership)>>, RoomError> {
        let access = self.access(by, room_id).await?;
        let room = access.room.short;
        let mut sight = Sight::new(by, &access);
        let keys: Vec<Key> = positions.iter().map(|position| ARRIVALS.key(room).position(*position).key()).collect();
        let mut shown = Vec::with_capacity(keys.len());
        for keys in keys.chunks(GET_KEYS) {
            let rows = self.inner.store.get_many(&ARRIVALS, keys).await?;
            let id = |(key, found): (&Key, &wardstead_store::Found<_>)| -> Result<OwnedEventId, RoomError> {
                let row: &crate::tables::ArrivalRow = &found.row;
                EventId::parse(row.event_id.as_str()).map_err(|_| RoomError::corrupt(key, "not an event id"))
            };
            let there = keys.iter().zip(&rows).filter_map(|(key, found)| Some((key, found.as_ref()?)));
            let ids = there.map(id).collect::<Result<Vec<_>, _>>()?;
            let mut events = self.inner.events.load(&access.room, &ids).await?.into_iter();
            for found in rows {
                let event = found.and_then(|_| events.next()).filter(|event| event.redaction.is_none());
                shown.push(match event {
                    Some(event) => sight.look(self, event).await?,
                    None => None,
                });
            }
        }
        Ok(shown)
    }
}
