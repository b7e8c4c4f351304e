//! What a user's own account data says of rooms, for filters of lists and for `is_dm`.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use quick_cache::{Weighter, sync::Cache};
use serde::Deserialize;
use wardstead_engine::Position;
use wardstead_limits::sliding as limits;

use crate::{SyncError, Syncer};

/// What it says.
#[derive(Debug, Default)]
pub(super) struct Personal {
    /// Ids of rooms that are direct (`m.direct`).
    pub(super) direct: HashSet<String>,
    /// Tags by room (`m.tag`).
    pub(super) tags: HashMap<u64, Vec<String>>,
}

#[derive(Clone)]
struct Entry {
    as_of: Position,
    personal: Arc<Personal>,
}

#[derive(Clone)]
struct Bytes;

impl Weighter<u64, Entry> for Bytes {
    fn weight(&self, _: &u64, entry: &Entry) -> u64 {
        128 + limits::FACTS_ENTRY_BYTES * (entry.personal.direct.len() + entry.personal.tags.len()) as u64
    }
}

/// By user.
pub(crate) struct Personals(Cache<u64, Entry, Bytes>);

impl Personals {
    pub(crate) fn new() -> Self {
        let items = usize::try_from(limits::FACTS_CACHE_BYTES / 1_024).unwrap_or(usize::MAX);
        Self(Cache::with_weighter(items, limits::FACTS_CACHE_BYTES, Bytes))
    }

    /// Name, bytes and bound in bytes.
    pub(crate) fn figures(&self) -> (&'static str, u64, u64) {
        ("sliding_personal", self.0.weight(), self.0.capacity())
    }
}

impl Syncer {
    /// What the account data of `user` says at `upto`. Read after each change in the user's own scope.
    pub(super) async fn personal(&self, user: u64, upto: Position) -> Result<Arc<Personal>, SyncError> {
        #[derive(Deserialize)]
        struct Tags {
            tags: serde_json::Map<String, serde_json::Value>,
        }
        if let Some(entry) = self.sliding.personals.0.get(&user)
            && entry.as_of <= upto
            && self.store.user_changed(user, entry.as_of) == Some(false)
        {
            return Ok(entry.personal);
        }
        let mut personal = Personal::default();
        for data in self.accounts.account_data_changes(user, Position::ZERO, upto).await? {
            let Some(content) = &data.content else { continue };
            // What is not of the specified form says nothing.
            if data.room == 0 && data.event_type == "m.direct" {
                let rooms = serde_json::from_str::<BTreeMap<String, Vec<String>>>(content.get());
                personal.direct = rooms.unwrap_or_default().into_values().flatten().collect();
            } else if data.room != 0 && data.event_type == "m.tag" {
                let tags = serde_json::from_str::<Tags>(content.get()).map(|content| content.tags).unwrap_or_default();
                personal.tags.insert(data.room, tags.into_iter().map(|(tag, _)| tag).collect());
            }
        }
        let personal = Arc::new(personal);
        self.sliding.personals.0.insert(user, Entry { as_of: upto, personal: Arc::clone(&personal) });
        Ok(personal)
    }
}
