//! State keys of users' memberships. A name once given to a user is never another's, so what is found is remembered.

use std::collections::BTreeSet;

use quick_cache::{Weighter, sync::Cache};
use ruma::{OwnedUserId, UserId};
use wardstead_limits::{engine::GET_KEYS, rooms as limits};

use crate::{Inner, RoomError, state::key, tables::STATE_KEYS};

#[derive(Clone)]
struct Bytes;

impl Weighter<OwnedUserId, u64> for Bytes {
    fn weight(&self, user_id: &OwnedUserId, _: &u64) -> u64 {
        96 + user_id.as_str().len() as u64
    }
}

/// Short ids of users with an account here, by name.
pub(crate) struct People(Cache<OwnedUserId, u64, Bytes>);

impl People {
    pub(crate) fn new() -> Self {
        let items = usize::try_from(limits::PEOPLE_CACHE_BYTES / 128).unwrap_or(usize::MAX);
        Self(Cache::with_weighter(items, limits::PEOPLE_CACHE_BYTES, Bytes))
    }

    /// Name, bytes and bound of the cache.
    pub(crate) fn cache(&self) -> (&'static str, u64, u64) {
        ("people", self.0.weight(), self.0.capacity())
    }
}

impl Inner {
    /// The keys of the member events of `users` in `room`, without those who never were anything in it. At most two reads per 10,000.
    pub(crate) async fn member_keys(
        &self,
        room: u64,
        users: impl Iterator<Item = &UserId>,
    ) -> Result<Vec<u64>, RoomError> {
        let (mut keys, mut unknown) = (Vec::new(), Vec::new());
        for user_id in users.collect::<BTreeSet<_>>() {
            match self.people.0.get(user_id) {
                Some(user) => keys.push(key::member(user)),
                None if user_id.as_str().len() <= limits::IDENTIFIER_BYTES => unknown.push(user_id),
                None => {}
            }
        }
        if unknown.is_empty() {
            return Ok(keys);
        }
        let mut foreign = Vec::new();
        for (user_id, user) in unknown.iter().zip(self.accounts.user_short_ids(&unknown).await?) {
            if let Some(user) = user {
                self.people.0.insert((*user_id).to_owned(), user);
                keys.push(key::member(user));
            } else {
                foreign.push(STATE_KEYS.key(room).text("m.room.member").text(user_id.as_str()).key());
            }
        }
        for foreign in foreign.chunks(GET_KEYS) {
            let rows = self.store.get_many(&STATE_KEYS, foreign).await?;
            keys.extend(rows.into_iter().flatten().map(|found| found.row.id));
        }
        Ok(keys)
    }
}
