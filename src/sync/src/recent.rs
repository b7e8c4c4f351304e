//! Whose presence changed a moment ago, by room: found once for all who look. After a restart everybody comes online within
//! seconds, and each of those who wait would look at each of the others.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use parking_lot::Mutex;
use tokio::sync::OnceCell;
use wardstead_limits::ephemeral as limits;

use crate::{SyncError, Syncer};

/// Short ids by room, of users who changed from one Unix millisecond on and before another, with the millisecond of their last change.
struct Recent {
    from_ms: u64,
    rooms: HashMap<u64, Vec<(u64, u64)>>,
}

/// Up to when, and what was found.
type Found = (u64, Arc<OnceCell<Option<Recent>>>);

#[derive(Default)]
pub(crate) struct RecentPresence(Mutex<Found>);

impl RecentPresence {
    fn upto(&self, upto_ms: u64) -> Arc<OnceCell<Option<Recent>>> {
        let mut found = self.0.lock();
        if found.0 != upto_ms {
            *found = (upto_ms, Arc::default());
        }
        Arc::clone(&found.1)
    }

    /// Name, bytes and bound in bytes.
    pub(crate) fn figures(&self) -> (&'static str, u64, u64) {
        let found = Arc::clone(&self.0.lock().1);
        let entries =
            found.get().and_then(Option::as_ref).map_or(0, |recent| recent.rooms.values().map(Vec::len).sum());
        let bytes = |entries: usize| (entries * limits::PRESENCE_RECENT_ENTRY_BYTES) as u64;
        ("recent_presence", bytes(entries), bytes(limits::PRESENCE_RECENT_ENTRIES))
    }
}

impl Syncer {
    /// Short ids of the users who are in one of the ascending `mine` rooms and whose presence changed from `from_ms` on and before
    /// `upto_ms`. Who came into a room since then may be missing: [`Syncer::newly_shared`] finds them.
    pub(crate) async fn changed_beside(&self, mine: &[u64], from_ms: u64, upto_ms: u64) -> Result<Vec<u64>, SyncError> {
        if from_ms >= upto_ms {
            return Ok(Vec::new());
        }
        let found = self.recent.upto(upto_ms);
        let recent = found.get_or_try_init(|| self.find_recent(upto_ms)).await?.as_ref();
        let candidates: Vec<u64> = match recent.filter(|recent| recent.from_ms <= from_ms) {
            Some(recent) => {
                let changed = mine.iter().filter_map(|room| recent.rooms.get(room)).flatten();
                let changed = changed.filter(|(changed_ms, _)| *changed_ms >= from_ms).map(|(_, user)| *user);
                changed.collect::<BTreeSet<u64>>().into_iter().collect()
            }
            None => self.presence.changed(from_ms, upto_ms).into_iter().map(|(_, user)| user).collect(),
        };
        let mut users = Vec::new();
        for user in candidates {
            // They may have left since it was found.
            if is_shared(mine, &self.joined_rooms(user).await?) {
                users.push(user);
            }
        }
        Ok(users)
    }

    /// `None`: it would be too much.
    async fn find_recent(&self, upto_ms: u64) -> Result<Option<Recent>, SyncError> {
        let from_ms = upto_ms.saturating_sub(limits::PRESENCE_RECENT_MS);
        let (mut rooms, mut entries) = (HashMap::<u64, Vec<_>>::new(), 0);
        for (changed_ms, user) in self.presence.changed(from_ms, upto_ms) {
            let joined = self.joined_rooms(user).await?;
            entries += joined.len();
            if entries > limits::PRESENCE_RECENT_ENTRIES {
                return Ok(None);
            }
            for room in joined.iter() {
                rooms.entry(*room).or_default().push((changed_ms, user));
            }
        }
        Ok(Some(Recent { from_ms, rooms }))
    }
}

/// Whether two ascending lists have a room in common.
fn is_shared(one: &[u64], other: &[u64]) -> bool {
    let (few, many) = if one.len() <= other.len() { (one, other) } else { (other, one) };
    few.iter().any(|room| many.binary_search(room).is_ok())
}
