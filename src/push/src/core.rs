//! What counting and asking have in common.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicU64, Ordering},
};

use quick_cache::sync::Cache;
use ruma::{RoomId, UserId, push::Ruleset, user_id};
use wardstead_accounts::{Accounts, Ignored};
use wardstead_limits::push as limits;
use wardstead_store::{Envelope, Overlay, Store, StoreError};

use crate::{
    class::{self, Class},
    defaults::default_rules,
    error::{corrupt, of_accounts},
    index::{Bytes, Index},
    split::split,
    tables::{CLASSES, ClassRow, DEFAULT_CLASS, NO_CLASS, RULES, rules_key},
};

pub(crate) struct Core {
    pub(crate) store: Store,
    pub(crate) accounts: Accounts,
    pub(crate) indices: Cache<u64, Arc<Index>, Bytes>,
    classes: Cache<u64, Arc<Class>>,
    evaluated: AtomicU64,
    concerned: AtomicU64,
}

/// How a user stands to a room.
pub(crate) struct Standing {
    pub(crate) class: u64,
    pub(crate) rules: ClassRow,
    pub(crate) watched: bool,
    /// Version of the user's rules; 0: none are stored.
    pub(crate) version: u64,
}

/// The class of those who changed nothing.
fn default_class() -> &'static ClassRow {
    static DEFAULT: OnceLock<ClassRow> = OnceLock::new();
    DEFAULT.get_or_init(|| {
        let anybody = user_id!("@:anybody.invalid");
        split(&default_rules(anybody), anybody, ruma::room_id!("!any:anybody.invalid")).class
    })
}

impl Core {
    pub(crate) fn new(store: Store, accounts: Accounts) -> Self {
        let indices = Cache::with_weighter(limits::INDEX_CACHE_ENTRIES, limits::INDEX_CACHE_BYTES, Bytes);
        let classes = Cache::new(limits::CLASS_CACHE_ENTRIES);
        classes.insert(DEFAULT_CLASS, Arc::new(Class::new(default_class())));
        Self { store, accounts, indices, classes, evaluated: AtomicU64::new(0), concerned: AtomicU64::new(0) }
    }

    /// The rules of a user, and the version of their row; 0 where it has none.
    pub(crate) async fn rules(&self, user: u64, user_id: &UserId) -> Result<(Ruleset, u64), StoreError> {
        let key = rules_key(user);
        let Some(found) = self.store.get(&RULES, &key).await? else { return Ok((default_rules(user_id), 0)) };
        let unreadable = || corrupt(&key, "not push rules");
        let content = Envelope::decode(&found.row.content.into()).map_err(|_| unreadable())?;
        Ok((serde_json::from_slice(&content.0).map_err(|_| unreadable())?, found.version))
    }

    pub(crate) async fn ignored(&self, user: u64, user_id: &UserId) -> Result<Ignored, StoreError> {
        self.accounts.ignored_by(user, user_id).await.map_err(of_accounts)
    }

    pub(crate) async fn standing(&self, user: u64, user_id: &UserId, room_id: &RoomId) -> Result<Standing, StoreError> {
        let (rules, version) = self.rules(user, user_id).await?;
        let watched = version != 0 || !self.ignored(user, user_id).await?.is_empty();
        if version == 0 {
            return Ok(Standing { class: DEFAULT_CLASS, rules: ClassRow::default(), watched, version });
        }
        let rules = split(&rules, user_id, room_id).class;
        let class = if rules == *default_class() { DEFAULT_CLASS } else { class::id(&rules) };
        Ok(Standing { class, rules, watched, version })
    }

    /// A class, ready to be asked; `None` for none.
    pub(crate) async fn class(&self, class: u64, queued: &Overlay<'_>) -> Result<Option<Arc<Class>>, StoreError> {
        if class == NO_CLASS {
            return Ok(None);
        }
        if let Some(ready) = self.classes.get(&class) {
            return Ok(Some(ready));
        }
        let key = crate::tables::class_key(class);
        let found = queued.get(&CLASSES, &key).await?;
        let found = found.ok_or_else(|| corrupt(&key, "a class that members have is missing"))?;
        let ready = Arc::new(Class::new(&found.row));
        self.classes.insert(class, Arc::clone(&ready));
        Ok(Some(ready))
    }

    pub(crate) fn count_evaluated(&self, classes: usize, concerned: usize) {
        self.evaluated.fetch_add(classes as u64, Ordering::Relaxed);
        self.concerned.fetch_add(concerned as u64, Ordering::Relaxed);
    }

    /// How often a class was asked about an event, and how often one member's rules were.
    pub(crate) fn evaluations(&self) -> (u64, u64) {
        (self.evaluated.load(Ordering::Relaxed), self.concerned.load(Ordering::Relaxed))
    }

    /// A new version of a row that is asserted.
    pub(crate) fn version(&self) -> u64 {
        (self.store.rng().next_u64() >> 1).max(1)
    }
}
