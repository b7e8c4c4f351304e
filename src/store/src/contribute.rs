//! How a part takes part in another part's commit (design: an event and all that follows from it is one batch).
//!
//! The part whose commit it is names its changes by a type `C` of its own and knows nothing of those who follow. A
//! contributor *prepares* (asynchronous: it reads what it needs, through an [`Overlay`] of what is still queued) and gives a
//! [`Contribution`], which is pure: it only adds writes to its own tables. Both run again whenever the batch is built again.

use std::sync::Arc;

use async_trait::async_trait;
use wardstead_engine::{Batch, Key, Position, Write};

use crate::{Row, Store, StoreError, Table};

/// Follows the changes `C` of another part.
#[async_trait]
pub trait CommitContributor<C: Sync>: Send + Sync {
    /// Reads what the contribution to `change` needs. Its own rows that change with the same scope (a room, say) are read
    /// through `queued`; what it reads elsewhere must not depend on what is queued.
    ///
    /// # Errors
    /// The store's: the change is not committed then.
    async fn prepare(&self, change: &C, queued: &Overlay<'_>) -> Result<Contribution, StoreError>;
}

/// Adds writes to a batch; the number is that of the change's journal entry.
type Add = Box<dyn FnOnce(&mut Batch, usize) + Send>;

/// The writes of one contributor to one batch.
#[derive(Default)]
pub struct Contribution(Option<Add>);

impl std::fmt::Debug for Contribution {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Contribution").field(&self.0.is_some()).finish()
    }
}

impl Contribution {
    /// None.
    #[must_use]
    pub fn nothing() -> Self {
        Self::default()
    }

    /// Whether it is none.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.0.is_none()
    }

    /// What `add` adds to the batch. It is told the number of the change's journal entry, for position slots, and must not
    /// touch what it finds in the batch.
    #[must_use]
    pub fn new(add: impl FnOnce(&mut Batch, usize) + Send + 'static) -> Self {
        Self(Some(Box::new(add)))
    }

    /// This, and then `other`.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self.0, other.0) {
            (Some(one), Some(other)) => Self::new(move |batch, entry| {
                one(batch, entry);
                other(batch, entry);
            }),
            (one, other) => Self(one.or(other)),
        }
    }
}

/// Those who follow the changes `C`, in the order in which they were given.
pub struct Contributors<C>(Vec<Arc<dyn CommitContributor<C>>>);

impl<C> Default for Contributors<C> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<C> std::fmt::Debug for Contributors<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Contributors").field(&self.0.len()).finish()
    }
}

impl<C: Sync> Contributors<C> {
    /// These.
    #[must_use]
    pub fn new(contributors: Vec<Arc<dyn CommitContributor<C>>>) -> Self {
        Self(contributors)
    }

    /// Whether nobody follows: then no change has to be described.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds everybody's contributions to `change`, the batch's journal entry number `entry`, and gives what was written, for
    /// the overlay of batches that follow.
    ///
    /// # Errors
    /// The store's.
    pub async fn contribute(
        &self,
        change: &C,
        queued: &Overlay<'_>,
        batch: &mut Batch,
        entry: usize,
    ) -> Result<Vec<Write>, StoreError> {
        let before = batch.writes.len();
        for contributor in &self.0 {
            if let Some(add) = contributor.prepare(change, queued).await?.0 {
                add(batch, entry);
            }
        }
        Ok(batch.writes[before..].to_vec())
    }
}

/// The store as it will be when the batches that are queued in one scope, and the one that is being built, are committed.
#[derive(Debug)]
pub struct Overlay<'a> {
    store: &'a Store,
    /// Of each batch, the newest first.
    queued: Vec<&'a [Write]>,
}

/// A row that was read through an overlay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overlaid<R> {
    /// What.
    pub row: R,
    /// The version that its writer stated.
    pub version: u64,
    /// The first position of its header; `None` while its batch is queued.
    pub position: Option<Position>,
}

impl<'a> Overlay<'a> {
    /// `queued` over `store`, the newest writes first.
    #[must_use]
    pub fn new(store: &'a Store, queued: Vec<&'a [Write]>) -> Self {
        Self { store, queued }
    }

    /// The store itself, for what no queued batch changes.
    #[must_use]
    pub fn store(&self) -> &Store {
        self.store
    }

    /// The rows of `table` in `scope` that queued batches put, the oldest first. What they remove again is among them.
    ///
    /// # Errors
    /// `Corrupt` for what is no such row.
    pub fn queued<R: Row>(&self, table: &Table<R>, scope: u64) -> Result<Vec<R>, StoreError> {
        let mut rows = Vec::new();
        for write in self.queued.iter().rev().flat_map(|writes| writes.iter()) {
            if let Write::Put { key, payload, .. } = write
                && key.key().table() == table.id()
                && key.key().scope() == scope
            {
                let cell = wardstead_engine::Cell { payload: payload.clone(), ..wardstead_engine::Cell::default() };
                rows.push(table.decode(key.key(), &cell)?);
            }
        }
        Ok(rows)
    }

    /// Whether queued batches write the row under `key`.
    #[must_use]
    pub fn is_queued(&self, key: &Key) -> bool {
        self.queued.iter().flat_map(|writes| writes.iter()).any(|write| match write {
            Write::Put { key: put, .. } => put.slot().is_none() && put.key() == key,
            Write::Delete(deleted) => deleted == key,
            Write::DeleteRange { from, to } => from <= key && key < to,
        })
    }

    /// The row under `key`. At most one read.
    ///
    /// # Errors
    /// The engine's.
    pub async fn get<R: Row>(&self, table: &Table<R>, key: &Key) -> Result<Option<Overlaid<R>>, StoreError> {
        for write in self.queued.iter().flat_map(|writes| writes.iter().rev()) {
            match write {
                Write::Put { key: put, version, payload, .. } if put.slot().is_none() && put.key() == key => {
                    let cell = wardstead_engine::Cell { payload: payload.clone(), ..wardstead_engine::Cell::default() };
                    let row = table.decode(key, &cell)?;
                    return Ok(Some(Overlaid { row, version: *version, position: None }));
                }
                Write::Delete(deleted) if deleted == key => return Ok(None),
                Write::DeleteRange { from, to } if from <= key && key < to => return Ok(None),
                _ => {}
            }
        }
        let found = self.store.get(table, key).await?;
        Ok(found.map(|found| {
            let position = Some(found.position());
            Overlaid { row: found.row, version: found.version, position }
        }))
    }
}
