//! Whom people could meet.

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use wardstead_limits::profiles as limits;
use wardstead_rooms::{Looker, Room, UserRoom};

use super::Candidate;
use crate::{Directory, DirectoryError};

impl Directory {
    /// Those of `people` who are in one of `rooms`, those of whoever searches, or in a room that everybody may join or read. One scan a
    /// person, and what is known of their rooms; of each person at most [`limits::PEOPLE_MET_ROOMS`] rooms are looked at.
    pub(super) async fn met(
        &self,
        rooms: &[UserRoom],
        people: Vec<Candidate>,
    ) -> Result<Vec<Candidate>, DirectoryError> {
        let own: HashSet<u64> = rooms.iter().map(|room| room.room).collect();
        let mut theirs = Vec::with_capacity(people.len());
        for person in &people {
            theirs.push(self.inner.rooms.joined_rooms_of(person.user, limits::PEOPLE_MET_ROOMS));
        }
        let theirs: Vec<Vec<u64>> = stream::iter(theirs).buffered(limits::PEOPLE_USERS_AT_ONCE).try_collect().await?;
        let shares = |theirs: &Vec<u64>| theirs.iter().any(|room| own.contains(room));
        let elsewhere: BTreeSet<u64> = theirs.iter().filter(|theirs| !shares(theirs)).flatten().copied().collect();
        let open = self.open_rooms(elsewhere.into_iter().collect()).await?;
        let met = people.into_iter().zip(theirs);
        let met = met.filter(|(_, theirs)| shares(theirs) || theirs.iter().any(|room| open.contains(room)));
        Ok(met.map(|(person, _)| person).collect())
    }

    async fn open_rooms(&self, rooms: Vec<u64>) -> Result<HashSet<u64>, DirectoryError> {
        let rooms: Vec<Arc<Room>> = self.inner.rooms.rooms_by_short_id(&rooms).await?;
        let glimpses = self.inner.rooms.glimpse(Looker::Anybody, &rooms).await?;
        let open = glimpses.into_iter().flatten().map(|glimpse| glimpse.overview);
        let open = open.filter(|room| room.join_rule.name == "public" || room.world_readable);
        Ok(open.map(|room| room.room.short).collect())
    }
}
