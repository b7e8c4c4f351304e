//! A user's rooms, now and at a position.

use ruma::{EventId, OwnedEventId, OwnedRoomId, RoomId};
use serde_json::value::RawValue;
use wardstead_engine::{Key, KeyReader, PageLimit, Position, ScanRange};
use wardstead_limits::{engine::GET_KEYS, rooms as limits};
use wardstead_store::Found;

use crate::{
    Membership, RoomError, Rooms,
    append::head_key,
    receipts::cell_key,
    tables::{HEADS, MEMBER_LOG, MemberLogRow, USER_ROOMS, UserRoomRow, after},
};

/// A room and what a user is in it.
#[derive(Clone, Debug)]
pub struct UserRoom {
    /// Short id of the room.
    pub room: u64,
    /// Room id.
    pub room_id: OwnedRoomId,
    /// What the user is.
    pub membership: Membership,
    /// The member event.
    pub event_id: OwnedEventId,
    /// Position of the member event.
    pub position: Position,
    /// When the user last stopped being joined; zero: never. Rows of now know it, and of others those of who has left.
    pub left: Position,
    /// With an invitation or a knock: the room's stripped state, the invitation or knock included.
    pub stripped: Vec<Box<RawValue>>,
    /// The user has forgotten the room. Only rows of now know it.
    pub forgotten: bool,
}

/// When something last happened in a room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LastMoved {
    /// An event, or a change of state.
    pub head: Position,
    /// A receipt that the members are shown; zero: never.
    pub receipts: Position,
}

/// A change of a user's membership.
#[derive(Clone, Debug)]
pub struct MembershipMove {
    /// The room, and what the user was in it after the change. Without stripped state.
    pub room: UserRoom,
    /// What the user was before; `None`: nothing ever.
    pub previous: Option<Membership>,
}

impl Rooms {
    /// All rooms in which `user` is or was anything, as of now. One read per 10,000 rooms.
    ///
    /// # Errors
    /// The store's.
    pub async fn user_rooms(&self, user: u64) -> Result<Vec<UserRoom>, RoomError> {
        let rows = self.inner.store.scan_all(&USER_ROOMS, ScanRange::scope(USER_ROOMS.id(), user)).await?;
        rows.iter().map(user_room).collect()
    }

    /// Those of `rooms` in which `user` is or was anything, as of now. One read.
    ///
    /// # Errors
    /// The store's.
    pub async fn user_rooms_among(&self, user: u64, rooms: &[u64]) -> Result<Vec<UserRoom>, RoomError> {
        let keys: Vec<Key> = rooms.iter().map(|room| USER_ROOMS.key(user).u64(*room).key()).collect();
        let mut found = Vec::new();
        for keys in keys.chunks(GET_KEYS) {
            for row in self.inner.store.get_many(&USER_ROOMS, keys).await?.into_iter().flatten() {
                found.push(user_room(&row)?);
            }
        }
        Ok(found)
    }

    /// The rooms of `user`, as of now, and when something last happened in each. Two reads per 5,000 rooms.
    ///
    /// # Errors
    /// The store's.
    pub async fn user_rooms_with_last(&self, user: u64) -> Result<Vec<(UserRoom, LastMoved)>, RoomError> {
        let rooms = self.user_rooms(user).await?;
        let mut last = Vec::with_capacity(rooms.len());
        for rooms in rooms.chunks(GET_KEYS / 2) {
            let keys: Vec<Key> = rooms.iter().flat_map(|room| [head_key(room.room), cell_key(room.room)]).collect();
            let cells = self.inner.store.cells(&keys).await?;
            for (keys, cells) in keys.chunks(2).zip(cells.chunks(2)) {
                let [head, receipts] = [0, 1].map(|at| cells[at].as_ref().map(|cell| cell.positions.first().copied()));
                let head = head.ok_or_else(|| RoomError::corrupt(&keys[0], "a room without a head"))?;
                let (head, receipts) = (head.unwrap_or_default(), receipts.flatten().unwrap_or_default());
                last.push(LastMoved { head, receipts });
            }
        }
        Ok(rooms.into_iter().zip(last).collect())
    }

    /// Position of the last event or change of state in each of `rooms`, in their order. One read per 10,000 rooms.
    ///
    /// # Errors
    /// The store's.
    pub async fn heads(&self, rooms: &[u64]) -> Result<Vec<Position>, RoomError> {
        let keys: Vec<Key> = rooms.iter().map(|room| head_key(*room)).collect();
        let mut heads = Vec::with_capacity(keys.len());
        for keys in keys.chunks(GET_KEYS) {
            for (key, found) in keys.iter().zip(self.inner.store.get_many(&HEADS, keys).await?) {
                heads.push(found.ok_or_else(|| RoomError::corrupt(key, "a room without a head"))?.position());
            }
        }
        Ok(heads)
    }

    /// The changes of `user`'s memberships after `since` up to `upto`, in their order.
    ///
    /// # Errors
    /// The store's.
    pub async fn membership_changes(
        &self,
        user: u64,
        since: Position,
        upto: Position,
    ) -> Result<Vec<MembershipMove>, RoomError> {
        let range = ScanRange::new(after(&MEMBER_LOG, user, since), after(&MEMBER_LOG, user, upto));
        if range.from >= range.to {
            return Ok(Vec::new());
        }
        let rows = self.inner.store.scan_all(&MEMBER_LOG, range).await?;
        rows.iter().map(moved).collect()
    }

    /// The rooms of `user` as of `at`. Costs the rooms, and the changes of membership since `at`.
    ///
    /// # Errors
    /// The store's.
    pub async fn user_rooms_at(&self, user: u64, at: Position) -> Result<Vec<UserRoom>, RoomError> {
        let mut rooms = self.user_rooms(user).await?;
        if rooms.iter().all(|room| room.position <= at) {
            return Ok(rooms);
        }
        let mut then = Vec::with_capacity(rooms.len());
        for room in rooms.drain(..) {
            let room = if room.position <= at { Some(room) } else { self.last_move(user, room.room, at).await? };
            then.extend(room);
        }
        Ok(then)
    }

    /// What `user` was in `room` at `at`; `None`: nothing yet. Reads the user's log from the newest change back.
    ///
    /// # Errors
    /// The store's.
    pub async fn membership_at(&self, user: u64, room: u64, at: Position) -> Result<Option<Membership>, RoomError> {
        Ok(self.last_move(user, room, at).await?.map(|room| room.membership))
    }

    /// When `user` was first in `room`; zero: never. Reads the user's log from its beginning.
    ///
    /// # Errors
    /// The store's.
    pub async fn first_joined(&self, user: u64, room: u64) -> Result<Position, RoomError> {
        let mut range = ScanRange::scope(MEMBER_LOG.id(), user);
        loop {
            let (rows, resume) =
                self.inner.store.scan(&MEMBER_LOG, &range, PageLimit::rows(limits::MEMBER_LOG_ROWS)).await?;
            let came =
                |found: &&Found<MemberLogRow>| found.row.room == room && found.row.membership == Membership::Join;
            if let Some(found) = rows.iter().find(came) {
                return Ok(moved(found)?.room.position);
            }
            let Some(resume) = resume else { return Ok(Position::ZERO) };
            range = range.resumed(resume);
        }
    }

    /// When `user` last stopped being in `room`, up to `at`; zero: never. Reads the user's log from there back.
    ///
    /// # Errors
    /// The store's.
    pub async fn left_before(&self, user: u64, room: u64, at: Position) -> Result<Position, RoomError> {
        let mut range = ScanRange::new(MEMBER_LOG.key(user).key(), after(&MEMBER_LOG, user, at)).descending();
        loop {
            let (rows, resume) =
                self.inner.store.scan(&MEMBER_LOG, &range, PageLimit::rows(limits::MEMBER_LOG_ROWS)).await?;
            let left = |found: &Found<MemberLogRow>| {
                found.row.room == room
                    && found.row.previous == Some(Membership::Join)
                    && found.row.membership != Membership::Join
            };
            if let Some(found) = rows.iter().find(|found| left(found)) {
                return Ok(moved(found)?.room.position);
            }
            let Some(resume) = resume else { return Ok(Position::ZERO) };
            range = range.resumed(resume);
        }
    }

    /// The user's last change in `room` up to `at`.
    async fn last_move(&self, user: u64, room: u64, at: Position) -> Result<Option<UserRoom>, RoomError> {
        let mut range = ScanRange::new(MEMBER_LOG.key(user).key(), after(&MEMBER_LOG, user, at)).descending();
        loop {
            let (rows, resume) =
                self.inner.store.scan(&MEMBER_LOG, &range, PageLimit::rows(limits::MEMBER_LOG_ROWS)).await?;
            if let Some(found) = rows.into_iter().find(|found| found.row.room == room) {
                let mut room = moved(&found)?.room;
                self.add_stripped(user, &mut room).await?;
                if matches!(room.membership, Membership::Leave | Membership::Ban) {
                    room.left = self.left_before(user, room.room, at).await?;
                }
                return Ok(Some(room));
            }
            let Some(resume) = resume else { return Ok(None) };
            range = range.resumed(resume);
        }
    }

    /// The stripped state of an invitation or a knock that is still the newest change.
    async fn add_stripped(&self, user: u64, room: &mut UserRoom) -> Result<(), RoomError> {
        if matches!(room.membership, Membership::Invite | Membership::Knock)
            && let Some(now) = self.user_rooms_among(user, &[room.room]).await?.pop()
            && now.event_id == room.event_id
        {
            room.stripped = now.stripped;
        }
        Ok(())
    }
}

fn user_room(found: &Found<UserRoomRow>) -> Result<UserRoom, RoomError> {
    let corrupt = || RoomError::corrupt(&found.key, "not a user's room");
    let room = KeyReader::new(&found.key).u64().ok_or_else(corrupt)?;
    let stripped = match &found.row.stripped {
        Some(content) => serde_json::from_slice(&content.0).map_err(|_| corrupt())?,
        None => Vec::new(),
    };
    Ok(UserRoom {
        room,
        room_id: RoomId::parse(found.row.room_id.as_str()).map_err(|_| corrupt())?,
        membership: found.row.membership,
        event_id: EventId::parse(found.row.event_id.as_str()).map_err(|_| corrupt())?,
        position: found.position(),
        left: found.positions.get(1).copied().unwrap_or_default(),
        stripped,
        forgotten: found.row.forgotten,
    })
}

fn moved(found: &Found<MemberLogRow>) -> Result<MembershipMove, RoomError> {
    let corrupt = || RoomError::corrupt(&found.key, "not a change of membership");
    let room = UserRoom {
        room: found.row.room,
        room_id: RoomId::parse(found.row.room_id.as_str()).map_err(|_| corrupt())?,
        membership: found.row.membership,
        event_id: EventId::parse(found.row.event_id.as_str()).map_err(|_| corrupt())?,
        position: KeyReader::new(&found.key).position().ok_or_else(corrupt)?,
        left: Position::ZERO,
        stripped: Vec::new(),
        forgotten: false,
    };
    Ok(MembershipMove { room, previous: found.row.previous })
}
