//! The rooms that two users are both in (Matrix specification, Client-Server API, Mutual Rooms).

use std::collections::HashSet;

use ruma::{OwnedRoomId, UserId};
use wardstead_accounts::Session;
use wardstead_engine::{Key, KeyReader, PageLimit, ScanRange};
use wardstead_limits::{engine::GET_KEYS, rooms as limits};
use wardstead_store::{PageToken, Token};

use crate::{
    Membership, RoomError, Rooms,
    tables::{USER_ROOMS, UserRoomRow},
};

/// The list's number: that of the table that it is read from.
const LIST: u16 = 0x04d;

/// A page of the rooms that two users are both in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MutualRooms {
    /// The page, in the order of the rooms' short ids.
    pub joined: Vec<OwnedRoomId>,
    /// How many there are on all pages.
    pub count: usize,
    /// Token of the next page.
    pub next_batch: Option<String>,
}

impl Rooms {
    /// A page of the rooms that `by` and `other` are both in, as they are now. Tells `by` nothing but of rooms that they are in. Nobody of
    /// whom this server knows nothing is in a room.
    ///
    /// # Errors
    /// `InvalidParam` for oneself, and for a token that is none of this list with the same user; the store's.
    pub async fn mutual_rooms(
        &self,
        by: &Session,
        other: &UserId,
        from: Option<&str>,
    ) -> Result<MutualRooms, RoomError> {
        if *other == by.user_id {
            return Err(RoomError::InvalidParam("With yourself you share all your rooms.".into()));
        }
        let Some(user) = self.inner.accounts.user_short_id(other).await? else {
            return if from.is_none() { Ok(MutualRooms::default()) } else { Err(unknown_token()) };
        };
        let after = from.map(|text| self.read_place(text, user)).transpose()?;
        let mutual = self.mutual(by.user, user).await?;
        let start = after.map_or(0, |after| mutual.partition_point(|(room, _)| *room <= after));
        let page: Vec<_> = mutual.iter().skip(start).take(limits::MUTUAL_ROOMS_PAGE).collect();
        let more = start + page.len() < mutual.len();
        let last = page.last().filter(|_| more).map(|(room, _)| self.write_place(*room, user));
        let joined = page.into_iter().map(|(_, room_id)| room_id.clone()).collect();
        Ok(MutualRooms { joined, count: mutual.len(), next_batch: last })
    }

    /// Those of `users` who are in one of `rooms` now. One read per 10,000 pairs.
    ///
    /// # Errors
    /// The store's.
    pub async fn joined_to_any(&self, users: &[u64], rooms: &[u64]) -> Result<HashSet<u64>, RoomError> {
        let pairs: Vec<(u64, u64)> = users.iter().flat_map(|user| rooms.iter().map(|room| (*user, *room))).collect();
        let mut there = HashSet::new();
        for pairs in pairs.chunks(GET_KEYS) {
            let keys: Vec<Key> = pairs.iter().map(|(user, room)| USER_ROOMS.key(*user).u64(*room).key()).collect();
            let found = self.inner.store.get_many(&USER_ROOMS, &keys).await?;
            let joined =
                pairs.iter().zip(found).filter(|(_, found)| found.as_ref().is_some_and(|found| is_in(&found.row)));
            there.extend(joined.map(|((user, _), _)| *user));
        }
        Ok(there)
    }

    /// Short ids of rooms that `user` is in now, among the first `most` that the user ever was anything in. One read.
    ///
    /// # Errors
    /// The store's.
    pub async fn joined_rooms_of(&self, user: u64, most: usize) -> Result<Vec<u64>, RoomError> {
        let range = ScanRange::scope(USER_ROOMS.id(), user);
        let (rows, _) = self.inner.store.scan(&USER_ROOMS, &range, PageLimit::rows(most)).await?;
        let joined = rows.iter().filter(|found| is_in(&found.row));
        Ok(joined.filter_map(|found| KeyReader::new(&found.key).u64()).collect())
    }

    /// Short ids and ids, in the order of the former. One scan, and one read per 10,000 rooms.
    async fn mutual(&self, by: u64, other: u64) -> Result<Vec<(u64, OwnedRoomId)>, RoomError> {
        let rooms = self.user_rooms(by).await?;
        let mut mutual: Vec<_> = rooms.into_iter().filter(|room| room.membership == Membership::Join).collect();
        mutual.sort_unstable_by_key(|room| room.room);
        let keys: Vec<Key> = mutual.iter().map(|room| USER_ROOMS.key(other).u64(room.room).key()).collect();
        let mut there = Vec::with_capacity(keys.len());
        for keys in keys.chunks(GET_KEYS) {
            let found = self.inner.store.get_many(&USER_ROOMS, keys).await?;
            there.extend(found.into_iter().map(|found| found.is_some_and(|found| is_in(&found.row))));
        }
        let mutual = mutual.into_iter().zip(there).filter(|(_, there)| *there);
        Ok(mutual.map(|(room, _)| (room.room, room.room_id)).collect())
    }

    fn write_place(&self, room: u64, other: u64) -> String {
        let key = [room.to_be_bytes(), other.to_be_bytes()].concat();
        self.inner.store.tokens().write(&Token::Page(PageToken { list: LIST, key }))
    }

    fn read_place(&self, text: &str, other: u64) -> Result<u64, RoomError> {
        let Ok(Token::Page(PageToken { list: LIST, key })) = self.inner.store.tokens().read(text) else {
            return Err(unknown_token());
        };
        let (room, user) = key.split_first_chunk().ok_or_else(unknown_token)?;
        if *user != other.to_be_bytes() {
            return Err(unknown_token());
        }
        Ok(u64::from_be_bytes(*room))
    }
}

fn is_in(row: &UserRoomRow) -> bool {
    row.membership == Membership::Join
}

fn unknown_token() -> RoomError {
    RoomError::InvalidParam("from is no token of this list.".into())
}
