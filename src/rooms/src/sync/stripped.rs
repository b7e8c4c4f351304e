//! What is shown of a room to whom it invites, and to who knocks (Client-Server API, Stripped state).

use bytes::{BufMut, BytesMut};
use serde_json::value::RawValue;

use crate::{
    Room, RoomError, Rooms, UserRoom,
    event::client::push_stripped,
    state::{key, store::Committed},
    tables::event_key,
};

impl Rooms {
    /// The stripped state of the invitation or the knock `of` in `room`: the state of when that happened, and nothing later, but that
    /// what was redacted since then is redacted here. What was stored with it where the event is not here. Four reads where nothing of
    /// it is in memory.
    ///
    /// # Errors
    /// The store's.
    pub async fn stripped_state(&self, room: &Room, of: &UserRoom) -> Result<Vec<Box<RawValue>>, RoomError> {
        let inner = &self.inner;
        let own = inner.events.find(room, std::slice::from_ref(&of.event_id)).await?.pop().flatten();
        let Some(own) = own.filter(|own| own.is_shown()) else { return Ok(of.stripped.clone()) };
        let mut keys = key::STRIPPED.to_vec();
        if own.state_key.as_deref() != Some(own.sender.as_str())
            && let Some(inviter) = inner.accounts.user_short_id(&own.sender).await?
        {
            keys.push(key::member(inviter));
        }
        let snapshot = inner.state.snapshot(&Committed, room.short, own.state_before).await?;
        let mut array = BytesMut::from(&b"["[..]);
        for event in inner.state_of(room, &snapshot, &keys).await?.iter().flatten() {
            push_stripped(&mut array, event);
        }
        push_stripped(&mut array, &own);
        array.put_u8(b']');
        serde_json::from_slice(&array).map_err(|_| {
            RoomError::corrupt(&event_key(room.short, own.event_id.as_str()), "an invitation that is no JSON")
        })
    }
}
