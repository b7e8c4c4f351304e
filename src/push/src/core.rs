//! What counting and asking have in common.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicU64, Ordering},
};

use quick_cache::sync::Cache;
use ruma::{RoomId, UserId, push::Ruleset, user_id};
use wardstead_accounts::Accounts;
use wardstead_limits::push as limits;
use wardstead_store::{Overlay, Store, StoreError};

use crate::{
    class::{self, Class},
    defaults::default_rules,
    error::corrupt,
    index::{Bytes, Index},
    rules::{self, Head},
    split::split,
    tables::{CLASSES, ClassRow, DEFAULT_CLASS, Held, NO_CLASS},
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
    pub(crate) held: Held,
    /// Version of what is valid for the user; 0: nothing is stored.
    pub(crate) version: u64,
}

impl Standing {
    /// `rules`: `None` for those of everybody.
    pub(crate) fn new(head: &Head, rules: Option<&Ruleset>, user_id: &UserId, room_id: &RoomId) -> Self {
        let rules = rules.map(|rules| split(rules, user_id, room_id).class).filter(|rules| rules != default_class());
        let class = rules.as_ref().map_or(DEFAULT_CLASS, class::id);
        Self { class, rules: rules.unwrap_or_default(), held: head.row.held, version: head.version }
    }
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

    /// How `user` stands to `room_id` by what is valid now. One read; two or three of who has rules of their own.
    pub(crate) async fn standing(&self, user: u64, user_id: &UserId, room_id: &RoomId) -> Result<Standing, StoreError> {
        let head = rules::head(&self.store, user).await?;
        if head.row.held.rules == 0 {
            return Ok(Standing::new(&head, None, user_id, room_id));
        }
        let (head, rules) = rules::current_rules(&self.store, user, user_id).await?;
        Ok(Standing::new(&head, Some(&rules), user_id, room_id))
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
        rules::version(&self.store)
    }
}
