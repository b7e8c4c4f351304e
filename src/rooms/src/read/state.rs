//! State, members and rooms of a user, as requests ask for them.

use std::{ops::RangeInclusive, sync::Arc};

use ruma::{EventId, OwnedRoomId, RoomId, UserId};
use wardstead_accounts::Session;
use wardstead_engine::{Position, ScanRange};
use wardstead_store::Token;

use crate::{
    Access, Inner, Membership, Reach, Room, RoomError, Rooms, Seen, Sight, StoredEvent,
    state::{Snapshot, key::MEMBERS, store::Committed},
    tables::USER_ROOMS,
};

use super::places::BOTTOM;

impl Rooms {
    /// The state of a room: now, or when the user left (Client-Server API, GET state).
    ///
    /// # Errors
    /// As [`Self::access`].
    pub async fn state(&self, by: &Session, room_id: &RoomId) -> Result<Vec<Seen>, RoomError> {
        let access = self.access(by, room_id).await?;
        let snapshot = self.inner.reached_snapshot(&access).await?;
        self.listed(&mut Sight::new(by, &access), &snapshot, 0..=u64::MAX).await
    }

    /// The member events of a room: now, or when the user left, or at the place that the token `at` stands for where that is earlier
    /// (Client-Server API, GET members).
    ///
    /// # Errors
    /// As [`Self::access`]; `InvalidParam` for a token of another room or user; `Forbidden` where the user sees nothing of that time.
    pub async fn members_at(&self, by: &Session, room_id: &RoomId, at: Option<&str>) -> Result<Vec<Seen>, RoomError> {
        let access = self.access(by, room_id).await?;
        let mut sight = Sight::new(by, &access);
        let snapshot = match at {
            None => self.inner.reached_snapshot(&access).await?,
            Some(at) => self.snapshot_of(by, &access, &mut sight, at).await?,
        };
        self.listed(&mut sight, &snapshot, MEMBERS..=u64::MAX).await
    }

    /// The member events of a room: now, or when the user left.
    ///
    /// # Errors
    /// As [`Self::access`].
    pub async fn members(&self, by: &Session, room_id: &RoomId) -> Result<Vec<Seen>, RoomError> {
        self.members_at(by, room_id, None).await
    }

    /// The state at a token's place, or when the user left, where that is earlier.
    async fn snapshot_of(
        &self,
        by: &Session,
        access: &Access,
        sight: &mut Sight,
        at: &str,
    ) -> Result<Arc<Snapshot>, RoomError> {
        let room = &access.room;
        let place = self.place(by, room, Some(at)).await?.unwrap_or(BOTTOM).min(self.newest_readable(access).await?);
        // Before the beginning there is nobody; a client that has the whole timeline asks about its start.
        let event = match self.nearest(room, place, true).await? {
            Some(event) if event.depth > 1 => Some(event),
            _ => self.first_join(room).await?,
        };
        let nobody = || RoomError::forbidden("You see nothing of that time.");
        let event = event.ok_or_else(nobody)?;
        let (position, state_before) = (event.position, event.state_before);
        sight.look(self, event).await?.ok_or_else(nobody)?;
        // What a token of a sync stands for may be later than the event: a change of state without one.
        let position = match self.inner.store.tokens().read(at) {
            Ok(Token::Sync(token)) if position != Position::ZERO => match access.reach {
                Reach::Now => token.position.max(position),
                Reach::Until(left) => token.position.min(left).max(position),
            },
            _ => position,
        };
        let id = match self.inner.state_row(room.short, position).await? {
            Some((_, row)) if position != Position::ZERO => row.snapshot,
            _ => state_before,
        };
        self.inner.state.snapshot(&Committed, room.short, id).await
    }

    /// The first event after the room's create event.
    async fn first_join(&self, room: &Room) -> Result<Option<Arc<StoredEvent>>, RoomError> {
        let from = crate::TimelineKey { depth: 2, order: i64::MIN };
        self.nearest(room, from, false).await
    }

    /// The member events of `users` in a snapshot of the room that `sight` looks at, for a client that does not want all members, without
    /// those of which it `has` the short ids.
    ///
    /// # Errors
    /// The store's.
    pub async fn members_among<'a>(
        &self,
        sight: &mut Sight,
        snapshot: u64,
        users: impl Iterator<Item = &'a UserId>,
        has: impl Fn(u64) -> bool,
    ) -> Result<Vec<Seen>, RoomError> {
        let room = sight.room().short;
        let keys = self.inner.member_keys(room, users).await?;
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let snapshot = self.inner.state.snapshot(&Committed, room, snapshot).await?;
        let mut shorts = self.inner.state.get(&Committed, room, &snapshot, &keys).await?;
        shorts.retain(|short| *short != 0 && !has(*short));
        sight.state(self, &shorts).await
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
    ) -> Result<Seen, RoomError> {
        let access = self.access(by, room_id).await?;
        let missing = || RoomError::NotFound("The room has no such state.".into());
        let key = self.inner.find_key(access.room.short, event_type, state_key).await?.ok_or_else(missing)?;
        let snapshot = self.inner.reached_snapshot(&access).await?;
        let mut shorts = self.inner.state.get(&Committed, access.room.short, &snapshot, &[key]).await?;
        shorts.retain(|short| *short != 0);
        Sight::new(by, &access).state(self, &shorts).await?.pop().ok_or_else(missing)
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
    ) -> Result<(Seen, Membership), RoomError> {
        let access = self.access(by, room_id).await?;
        let mut sight = Sight::new(by, &access);
        let mut event = [self.look_at(&mut sight, event_id).await?];
        self.bundle(by, &mut sight, &mut event, true).await?;
        let [event] = event;
        Ok(event)
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

    async fn listed(
        &self,
        sight: &mut Sight,
        snapshot: &Snapshot,
        keys: RangeInclusive<u64>,
    ) -> Result<Vec<Seen>, RoomError> {
        let entries = self.inner.state.list(&Committed, sight.room().short, snapshot, keys).await?;
        let shorts: Vec<u64> = entries.into_iter().map(|entry| entry.event).collect();
        sight.state(self, &shorts).await
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
