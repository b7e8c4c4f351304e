//! What people who are not in a room see of it, and who (Matrix specification, Client-Server API, Room summaries, Published room
//! directory, Spaces): the one function behind the list of published rooms, summaries and space hierarchies (promise P7).

mod children;
mod overview;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use ruma::OwnedRoomId;
use wardstead_accounts::Session;
use wardstead_engine::Key;
use wardstead_limits::{engine::GET_KEYS, rooms as limits};

use crate::{
    Membership, Room, RoomError, Rooms,
    append::head_key,
    state::store::Committed,
    tables::{HEADS, HeadRow},
};

pub use children::Child;
pub use overview::{JoinRule, Overview};

/// Who looks at a room from outside.
#[derive(Clone, Copy, Debug)]
pub enum Looker<'a> {
    /// Somebody who is not signed in.
    Anybody,
    /// A user.
    User(&'a Session),
    /// Whoever reads the list of published rooms, in which the caller has found each of the rooms in this request.
    Listed,
}

/// A room as it may be seen from outside.
#[derive(Clone, Debug)]
pub struct Glimpse {
    /// The room now.
    pub overview: Overview,
    /// What the user is in it; `None`: never was anything, or nobody knows who looks.
    pub membership: Option<Membership>,
}

impl Rooms {
    /// What `looker` may see of each of `rooms` as they are now, in their order; `None` of those of which nothing may be seen.
    ///
    /// Those who are in a room or invited see it. So does everybody where everybody may join, knock, or read. So do, in a restricted
    /// room, those who are in a room that it lets in, unless they are banned. Being in the list of published rooms shows a
    /// room as part of that list, and nowhere else.
    ///
    /// # Errors
    /// The store's.
    pub async fn glimpse(&self, looker: Looker<'_>, rooms: &[Arc<Room>]) -> Result<Vec<Option<Glimpse>>, RoomError> {
        let overviews = self.overviews(rooms).await?;
        let Looker::User(session) = looker else {
            let listed = matches!(looker, Looker::Listed);
            let seen = |overview: &Overview| listed || overview.is_open();
            let glimpses =
                overviews.into_iter().map(|overview| seen(&overview).then_some(Glimpse { overview, membership: None }));
            return Ok(glimpses.collect());
        };
        let shorts: Vec<u64> = rooms.iter().map(|room| room.short).collect();
        let standing = self.user_rooms_among(session.user, &shorts).await?;
        let standing: HashMap<u64, Membership> = standing.into_iter().map(|row| (row.room, row.membership)).collect();
        let membership = |overview: &Overview| standing.get(&overview.room.short).copied();
        let closed = overviews.iter().filter(|overview| !overview.shown_to(membership(overview)));
        let letting_in: HashSet<&OwnedRoomId> = closed.flat_map(Overview::lets_in).collect();
        let joined = self.joined_among(session, letting_in).await?;
        let glimpses = overviews.into_iter().map(|overview| {
            let membership = membership(&overview);
            let let_in =
                || membership != Some(Membership::Ban) && overview.lets_in().iter().any(|room| joined.contains(room));
            let seen = overview.shown_to(membership) || let_in();
            seen.then_some(Glimpse { overview, membership })
        });
        Ok(glimpses.collect())
    }

    /// The rooms `ids`, in their order, `None` where this server knows none. Tells nothing about who may read them.
    ///
    /// # Errors
    /// The store's.
    pub async fn rooms_by_id(&self, ids: &[OwnedRoomId]) -> Result<Vec<Option<Arc<Room>>>, RoomError> {
        self.inner.names.by_ids(ids).await
    }

    /// Those of `rooms` that the user is in.
    async fn joined_among(
        &self,
        by: &Session,
        rooms: HashSet<&OwnedRoomId>,
    ) -> Result<HashSet<OwnedRoomId>, RoomError> {
        if rooms.is_empty() {
            return Ok(HashSet::new());
        }
        let rooms: Vec<OwnedRoomId> = rooms.into_iter().cloned().collect();
        let known = self.inner.names.by_ids(&rooms).await?;
        let shorts: Vec<u64> = known.into_iter().flatten().map(|room| room.short).collect();
        let rows = self.user_rooms_among(by.user, &shorts).await?;
        let joined = rows.into_iter().filter(|row| row.membership == Membership::Join);
        Ok(joined.map(|row| row.room_id).collect())
    }

    /// Whether what is said in `room` is encrypted from now on (Client-Server API, `m.room.encryption`).
    ///
    /// # Errors
    /// The store's.
    pub async fn is_encrypted(&self, room: u64) -> Result<bool, RoomError> {
        let rooms = self.rooms_by_short_id(&[room]).await?;
        Ok(self.overviews(&rooms).await?.iter().any(|overview| overview.encryption.is_some()))
    }

    /// What `rooms` are now, in their order. Tells nothing about who may see it.
    async fn overviews(&self, rooms: &[Arc<Room>]) -> Result<Vec<Overview>, RoomError> {
        let keys: Vec<Key> = rooms.iter().map(|room| head_key(room.short)).collect();
        let mut heads = Vec::with_capacity(keys.len());
        for keys in keys.chunks(GET_KEYS) {
            for (key, found) in keys.iter().zip(self.inner.store.get_many(&HEADS, keys).await?) {
                heads.push(found.ok_or_else(|| RoomError::corrupt(key, "a room without a head"))?.row);
            }
        }
        let mut overviews = Vec::with_capacity(rooms.len());
        for (room, head) in rooms.iter().zip(heads) {
            overviews.push(self.overview(Arc::clone(room), head));
        }
        stream::iter(overviews).buffered(limits::OVERVIEW_ROOMS).try_collect().await
    }

    async fn overview(&self, room: Arc<Room>, head: HeadRow) -> Result<Overview, RoomError> {
        let snapshot = self.inner.state.snapshot(&Committed, room.short, head.snapshot).await?;
        let events = self.inner.state_of(&room, &snapshot, &overview::KEYS).await?;
        Ok(Overview::of(room, head.joined, snapshot.id, &events))
    }
}
