//! Queues: what is to be done after a commit, in order, and at least once.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, stream};
use parking_lot::Mutex;
use wardstead_engine::{
    AccessPattern, Batch, Key, KeyBuilder, KeyReader, Losing, PageLimit, Position, ScanRange, TableId, Urgency,
};
use wardstead_limits::store as limits;

use super::{Claim, Job, Shift, backoff::Backoff, claim::ROW_VERSION, ends_shift, slot};
use crate::{Found, Row, Store, StoreError, Table};

/// A table of rows that are handled in order within their *lane* (a room, a destination), each lane for itself, and removed.
///
/// Key: slot of the lane, lane, position of the event, number.
#[derive(Debug)]
pub struct Queue<R> {
    table: Table<R>,
}

impl<R: Row> Queue<R> {
    /// The queue in `table`, which is a [`AccessPattern::Churn`] table that has no other rows.
    ///
    /// # Panics
    /// At compile time, when it is of another pattern.
    #[must_use]
    pub const fn new(table: Table<R>) -> Self {
        assert!(matches!(table.id().pattern(), AccessPattern::Churn), "rows that live briefly are churn");
        Self { table }
    }

    fn lane(&self, lane: u64) -> KeyBuilder {
        self.table.key(0).u8(slot(lane, limits::QUEUE_SLOT_KEYS)).u64(lane)
    }

    /// Adds `row` to `batch`: it follows from the batch's journal entry number `entry` and is handled in the order of the
    /// journal. One row for each entry and lane.
    pub fn push(&self, batch: &mut Batch, lane: u64, entry: usize, row: &R) {
        self.table.put_with(batch, self.lane(lane).slot(entry).u64(0).template(), ROW_VERSION, &[], row);
    }

    /// Adds `row` to a batch without journal entries: it is handled after what was pushed up to `after`, rows of one
    /// position in the order of `number`, a fresh short id.
    pub fn push_after(&self, batch: &mut Batch, lane: u64, after: Position, number: u64, row: &R) {
        self.table.put_with(batch, self.lane(lane).position(after).u64(number).key(), ROW_VERSION, &[], row);
    }

    /// The position of the journal entry that the row under `key` follows from; `None` where it is no key of a queue.
    #[must_use]
    pub fn position(key: &Key) -> Option<Position> {
        let mut key = KeyReader::new(key);
        key.u8()?;
        key.u64()?;
        key.position()
    }

    /// The rows of `lane` that wait, for one who drops them together with what they are about.
    ///
    /// # Errors
    /// The engine's.
    pub async fn waiting(&self, store: &Store, lane: u64) -> Result<Vec<Found<R>>, StoreError> {
        store.scan_all(&self.table, ScanRange::prefix(self.lane(lane).key())).await
    }
}

/// What became of the rows of a lane.
#[derive(Debug)]
pub enum Handled {
    /// The first `rows` of them are done. They are removed in one commit with `batch`; with an empty one nobody waits for
    /// that, so a kill has them handled again. No rows and a batch: progress that comes before doing something, such as
    /// the id of a transaction that is about to be sent.
    Done {
        /// How many.
        rows: usize,
        /// What is written with it.
        batch: Batch,
    },
    /// The first so many are done, and the handler has committed itself, a batch with [`Claim::take`] of them.
    Committed(usize),
    /// Not now; the lane is tried again after a pause that grows.
    Later,
}

/// Handles the rows of a queue.
#[async_trait]
pub trait QueueHandler<R>: Send + Sync + 'static {
    /// Handles the first of `rows`, as many as it likes. They are the oldest of their lane, at least one; the same ones may
    /// come again. May be cut off at any await when the work goes to another node.
    ///
    /// # Errors
    /// As [`Handled::Later`], with a warning.
    async fn handle(&self, lane: u64, rows: &[Found<R>], claim: &Claim) -> Result<Handled, StoreError>;
}

/// Rows of a lane, oldest first, with their lane.
type Lane<R> = (u64, Vec<Found<R>>);

pub(crate) struct QueueJob<R: 'static> {
    queue: &'static Queue<R>,
    handler: Arc<dyn QueueHandler<R>>,
    backoff: Backoff<u64>,
    /// Done; their removal is under way and nobody waits for it.
    removing: Arc<Mutex<HashSet<Key>>>,
}

impl<R: Row + Send + Sync> QueueJob<R> {
    pub(crate) fn new(queue: &'static Queue<R>, handler: Arc<dyn QueueHandler<R>>) -> Self {
        Self { queue, handler, backoff: Backoff::default(), removing: Arc::default() }
    }

    /// One page of rows by lanes, without those that are done.
    async fn page(&self, store: &Store, range: &ScanRange) -> Result<(Vec<Lane<R>>, Option<Key>), StoreError> {
        let page = PageLimit::rows(limits::QUEUE_PAGE_ROWS);
        let (rows, resume) = store.scan(&self.queue.table, range, page).await?;
        let mut lanes: BTreeMap<u64, Vec<Found<R>>> = BTreeMap::new();
        let removing = self.removing.lock();
        for found in rows {
            if removing.contains(&found.key) {
                continue;
            }
            let mut key = KeyReader::new(&found.key);
            if let (Some(_), Some(lane)) = (key.u8(), key.u64()) {
                lanes.entry(lane).or_default().push(found);
            }
        }
        Ok((lanes.into_iter().collect(), resume))
    }

    /// Handles rows of one lane, in order, until they are done or one cannot be done now.
    async fn work(&self, shift: &Shift, lane: u64, rows: &[Found<R>]) -> Result<(), StoreError> {
        let clock = shift.store.clock().as_ref();
        if self.backoff.is_waiting(&lane, clock) {
            return Ok(());
        }
        let mut rest = rows;
        let mut rebuilds = 0;
        while !rest.is_empty() && !shift.is_ending() {
            let done = match self.handler.handle(lane, rest, &shift.claim).await {
                Ok(Handled::Done { rows, batch }) => {
                    let rows = rows.min(rest.len());
                    // Neither rows nor a batch would be asked for ever.
                    if rows == 0 && batch == Batch::new() {
                        Ok(None)
                    } else {
                        self.commit(shift, &rest[..rows], batch).await.map(|()| Some(rows))
                    }
                }
                Ok(Handled::Committed(rows)) => Ok((rows > 0).then_some(rows.min(rest.len()))),
                Ok(Handled::Later) => Ok(None),
                Err(error) => Err(error),
            };
            match done {
                Ok(Some(rows)) => {
                    self.backoff.done(&lane);
                    (rest, rebuilds) = (&rest[rows..], 0);
                }
                Err(StoreError::Lost(Losing::Rebuild)) if rebuilds < limits::REBUILDS => rebuilds += 1,
                Err(error) if ends_shift(&error) => return Err(error),
                later => {
                    if let Err(error) = later {
                        tracing::warn!(%error, queue = self.queue.table.name(), lane, "to be handled later");
                    }
                    self.backoff.failed(lane, clock);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Commits `batch` and the removal of `rows`. Where nothing else is written nobody waits.
    async fn commit(&self, shift: &Shift, rows: &[Found<R>], mut batch: Batch) -> Result<(), StoreError> {
        let alone = batch == Batch::new();
        shift.claim.take(&mut batch, rows);
        if !alone {
            return shift.store.commit(batch).await.map(drop);
        }
        batch.urgency = Urgency::Soon;
        let submission = shift.store.submit(batch)?;
        let keys: Vec<Key> = rows.iter().map(|found| found.key.clone()).collect();
        self.removing.lock().extend(keys.iter().cloned());
        let (removing, wakers, table) = (Arc::clone(&self.removing), shift.store.wakers().clone(), self.table());
        tokio::spawn(async move {
            let removed = submission.await;
            let mut removing = removing.lock();
            for key in &keys {
                removing.remove(key);
            }
            drop(removing);
            if let Err(error) = removed {
                tracing::warn!(%error, "handled rows were not removed; they are handled again");
                wakers.wake(table);
            }
        });
        Ok(())
    }
}

#[async_trait]
impl<R: Row + Send + Sync> Job for QueueJob<R> {
    fn table(&self) -> TableId {
        self.queue.table.id()
    }

    fn name(&self) -> &'static str {
        self.queue.table.name()
    }

    fn slots(&self) -> u8 {
        limits::QUEUE_SLOT_KEYS
    }

    async fn look(&self, shift: &Shift) -> Result<u64, StoreError> {
        let bound = |slot: u8| self.queue.table.key(0).u8(slot).key();
        let mut rest = Some(ScanRange::new(bound(shift.slots.start), bound(shift.slots.end)));
        // A lane that goes on in the next page, and that stands still, stands still there too: by its pause.
        while let Some(range) = rest.take().filter(|_| !shift.is_ending()) {
            let (lanes, resume) = self.page(&shift.store, &range).await?;
            stream::iter(lanes)
                .map(Ok)
                .try_for_each_concurrent(limits::QUEUE_LANES_AT_ONCE, |(lane, rows)| async move {
                    self.work(shift, lane, &rows).await
                })
                .await?;
            rest = resume.map(|resume| range.resumed(resume));
        }
        Ok(self.backoff.next_ms(shift.store.clock().as_ref()).unwrap_or(limits::WORK_SWEEP_MS))
    }
}
