//! Finding what is committed: heads, snapshots, state events, names of state keys.

use std::sync::Arc;

use ruma::UserId;
use wardstead_engine::{PageLimit, Position, ScanRange};

use crate::{
    Inner, Room, RoomError, StoredEvent,
    append::head_key,
    state::{Snapshot, key, store::Committed},
    tables::{HEADS, STATE_AT, STATE_KEYS, StateAtRow, after},
};

impl Inner {
    /// The snapshot of the current state.
    pub(crate) async fn current_snapshot(&self, room: &Room) -> Result<Arc<Snapshot>, RoomError> {
        let key = head_key(room.short);
        let found = self.store.get(&HEADS, &key).await?;
        let found = found.ok_or_else(|| RoomError::corrupt(&key, "a room without a head"))?;
        self.state.snapshot(&Committed, room.short, found.row.snapshot).await
    }

    /// The newest row of the state's history up to `at`, with its position.
    pub(crate) async fn state_row(&self, room: u64, at: Position) -> Result<Option<(Position, StateAtRow)>, RoomError> {
        let range = ScanRange::new(STATE_AT.key(room).key(), after(&STATE_AT, room, at)).descending();
        let (rows, _) = self.store.scan(&STATE_AT, &range, PageLimit::rows(1)).await?;
        let Some(found) = rows.into_iter().next() else { return Ok(None) };
        let position = wardstead_engine::KeyReader::new(&found.key).position();
        let position = position.ok_or_else(|| RoomError::corrupt(&found.key, "no position in the key"))?;
        Ok(Some((position, found.row)))
    }

    /// The state events under `keys` in `snapshot`, in their order.
    pub(crate) async fn state_of(
        &self,
        room: &Room,
        snapshot: &Snapshot,
        keys: &[u64],
    ) -> Result<Vec<Option<Arc<StoredEvent>>>, RoomError> {
        let shorts = self.state.get(&Committed, room.short, snapshot, keys).await?;
        let wanted: Vec<u64> = shorts.iter().copied().filter(|short| *short != 0).collect();
        let mut events = self.events.load_short(room, &wanted).await?.into_iter();
        Ok(shorts.into_iter().map(|short| if short == 0 { None } else { events.next() }).collect())
    }

    /// The short id of a state key that some event of the room has.
    pub(crate) async fn find_key(
        &self,
        room: u64,
        event_type: &str,
        state_key: &str,
    ) -> Result<Option<u64>, RoomError> {
        if let Some(id) = key::well_known(event_type, state_key) {
            return Ok(Some(id));
        }
        if event_type == "m.room.member" {
            let Ok(user_id) = UserId::parse(state_key) else { return Ok(None) };
            if user_id.server_name() == self.server_name
                && let Some(user) = self.accounts.user_short_id(&user_id).await?
            {
                return Ok(Some(key::member(user)));
            }
        }
        self.named_key(room, event_type, state_key).await
    }

    /// The short id of a state key that has a row.
    pub(crate) async fn named_key(
        &self,
        room: u64,
        event_type: &str,
        state_key: &str,
    ) -> Result<Option<u64>, RoomError> {
        if event_type.len().max(state_key.len()) > wardstead_limits::rooms::IDENTIFIER_BYTES {
            return Ok(None);
        }
        let key = STATE_KEYS.key(room).text(event_type).text(state_key).key();
        Ok(self.store.get(&STATE_KEYS, &key).await?.map(|found| found.row.id))
    }
}
