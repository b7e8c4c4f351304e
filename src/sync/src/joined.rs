//! Which rooms users are in, from memory: for typing and presence, which many look at and which change often.
//!
//! An entry is true up to the position that the tail has reached: each change of a membership is in the journal of the user's
//! scope, and what changed there after the entry was read makes it void.

use std::sync::Arc;

use quick_cache::{Weighter, sync::Cache};
use wardstead_engine::Position;
use wardstead_limits::ephemeral as limits;
use wardstead_rooms::Membership;

use crate::{SyncError, Syncer};

#[derive(Clone)]
struct Entry {
    /// Everything up to here was seen.
    as_of: Position,
    /// Short ids, ascending.
    rooms: Arc<[u64]>,
}

#[derive(Clone)]
struct Bytes;

impl Weighter<u64, Entry> for Bytes {
    fn weight(&self, _: &u64, entry: &Entry) -> u64 {
        96 + 8 * entry.rooms.len() as u64
    }
}

pub(crate) struct Joined(Cache<u64, Entry, Bytes>);

impl Joined {
    pub(crate) fn new() -> Self {
        let items = usize::try_from(limits::JOINED_CACHE_BYTES / 256).unwrap_or(usize::MAX);
        Self(Cache::with_weighter(items, limits::JOINED_CACHE_BYTES, Bytes))
    }
}

impl Syncer {
    /// Name, bytes and bound in bytes of what it remembers and is told, for the metrics (promise P6).
    #[must_use]
    pub fn caches(&self) -> Vec<(&'static str, u64, u64)> {
        let (typing, presence) = (self.typing.bytes() as u64, self.presence.bytes() as u64);
        let members = self.members.bytes();
        vec![
            ("joined_rooms", self.joined.0.weight(), self.joined.0.capacity()),
            self.ignored.figures(),
            self.recent.figures(),
            self.inboxes.figures(),
            self.keys.counted_figures(),
            self.sliding.connections.figures(),
            self.sliding.orders.figures(),
            self.sliding.personals.figures(),
            self.sliding.facts.figures(),
            ("typing", typing, limits::TYPING_BYTES as u64),
            ("presence", presence, limits::PRESENCE_BYTES as u64),
            ("told_members", members.0, members.1),
        ]
    }

    /// Short ids of the rooms that `user` is in, ascending. One read of the engine after each change of their memberships.
    pub(crate) async fn joined_rooms(&self, user: u64) -> Result<Arc<[u64]>, SyncError> {
        Ok(self.joined_entry(user).await?.rooms)
    }

    /// The same as of `at`, which the tail has reached. From memory where nothing of theirs has changed since.
    pub(crate) async fn joined_rooms_at(&self, user: u64, at: Position) -> Result<Arc<[u64]>, SyncError> {
        let entry = self.joined_entry(user).await?;
        if self.store.user_changed(user, entry.as_of.min(at)) == Some(false) {
            return Ok(entry.rooms);
        }
        self.read_joined(user, at).await
    }

    async fn joined_entry(&self, user: u64) -> Result<Entry, SyncError> {
        if let Some(entry) = self.joined.0.get(&user)
            && self.store.user_changed(user, entry.as_of) == Some(false)
        {
            return Ok(entry);
        }
        // Before the read, which may see more.
        let as_of = self.store.position();
        let entry = Entry { as_of, rooms: self.read_joined(user, as_of).await? };
        self.joined.0.insert(user, entry.clone());
        Ok(entry)
    }

    async fn read_joined(&self, user: u64, at: Position) -> Result<Arc<[u64]>, SyncError> {
        let rooms = self.rooms.user_rooms_at(user, at).await?;
        let joined = rooms.iter().filter(|room| room.membership == Membership::Join).map(|room| room.room);
        let mut rooms: Vec<u64> = joined.collect();
        rooms.sort_unstable();
        Ok(rooms.into())
    }
}
