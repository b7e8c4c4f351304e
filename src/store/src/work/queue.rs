//! Queues: what is to be done after a commit, in order, and at least once.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
};

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, stream};
use parking_lot::Mutex;
use wardstead_engine::{
    AccessPattern, Batch, Key, KeyBuilder, KeyReader, Losing, PageLimit, Position, ScanRange, TableId, Urgency,
};
use wardstead_limits::store as limits;

use super::{Claim, Job, Look, Shift, backoff::Backoff, claim::ROW_VERSION, ends_shift, floors::Floors, slot};
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
    floors: Floors,
    /// Done, and to be removed.
    done: Mutex<Vec<Key>>,
    /// Done and not removed yet; nobody waits for it.
    removing: Arc<Mutex<HashSet<Key>>>,
}

impl<R: Row + Send + Sync> QueueJob<R> {
    pub(crate) fn new(queue: &'static Queue<R>, handler: Arc<dyn QueueHandler<R>>) -> Self {
        Self {
            queue,
            handler,
            backoff: Backoff::default(),
            floors: Floors::default(),
            done: Mutex::default(),
            removing: Arc::default(),
        }
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
            if let Some(lane) = lane_of(&found.key) {
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
        let left = self.handle(shift, lane, rows).await?;
        let floor = match (left, rows.last()) {
            (Some(left), _) => left,
            (None, Some(last)) => last.key.successor(),
            (None, None) => return Ok(()),
        };
        self.floors.set(lane, floor);
        Ok(())
    }

    /// The first of `rows` that is left.
    async fn handle(&self, shift: &Shift, lane: u64, rows: &[Found<R>]) -> Result<Option<Key>, StoreError> {
        let clock = shift.store.clock().as_ref();
        let mut rest = rows;
        let mut rebuilds = 0;
        while let Some(first) = rest.first().filter(|_| !shift.is_ending()) {
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
                    return Ok(Some(first.key.clone()));
                }
            }
        }
        Ok(rest.first().map(|first| first.key.clone()))
    }

    /// Commits `batch` and the removal of `rows`. Where nothing else is written they are removed with what else is done.
    async fn commit(&self, shift: &Shift, rows: &[Found<R>], mut batch: Batch) -> Result<(), StoreError> {
        if batch != Batch::new() {
            shift.claim.take(&mut batch, rows);
            return shift.store.commit(batch).await.map(drop);
        }
        let keys = || rows.iter().map(|found| found.key.clone());
        self.removing.lock().extend(keys());
        let is_much = {
            let mut done = self.done.lock();
            done.extend(keys());
            done.len() >= limits::QUEUE_PAGE_ROWS
        };
        if is_much { self.remove(shift) } else { Ok(()) }
    }

    /// Removes what is done; nobody waits for it.
    fn remove(&self, shift: &Shift) -> Result<(), StoreError> {
        let keys = std::mem::take(&mut *self.done.lock());
        if keys.is_empty() {
            return Ok(());
        }
        let mut batch = Batch::new();
        shift.claim.take::<R>(&mut batch, &[]);
        for key in &keys {
            batch.delete(key.clone());
        }
        batch.urgency = Urgency::Soon;
        let submission = match shift.store.submit(batch) {
            Ok(submission) => submission,
            Err(error) => {
                self.done.lock().extend(keys);
                return Err(error);
            }
        };
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

    /// Looks through all rows of the shift's slots.
    async fn everywhere(&self, shift: &Shift) -> Result<(), StoreError> {
        let bound = |slot: u8| self.queue.table.key(0).u8(slot).key();
        let mut rest = Some(ScanRange::new(bound(shift.slots.start), bound(shift.slots.end)));
        while let Some(range) = rest.take().filter(|_| !shift.is_ending()) {
            let (lanes, resume) = self.page(&shift.store, &range).await?;
            stream::iter(lanes)
                .map(Ok)
                .try_for_each_concurrent(limits::QUEUE_LANES_AT_ONCE, |(lane, rows)| async move {
                    self.work(shift, lane, &rows).await
                })
                .await?;
            rest = resume.map(|resume| range.resumed(self.behind_stuck(shift, resume)));
        }
        Ok(())
    }

    /// Where the next page begins: what follows in a lane that stands still is not read.
    fn behind_stuck(&self, shift: &Shift, resume: Key) -> Key {
        let stuck = lane_of(&resume).filter(|lane| self.backoff.is_waiting(lane, shift.store.clock().as_ref()));
        stuck.map_or(resume, |lane| self.queue.lane(lane).key().after_prefix())
    }

    /// Looks at the lanes of rows that were written under `keys`, and at those whose pause is over.
    async fn at(&self, shift: &Shift, keys: &[Key]) -> Result<(), StoreError> {
        let mut lanes: BTreeSet<u64> = self.backoff.due(shift.store.clock().as_ref()).into_iter().collect();
        for key in keys {
            if let Some(lane) = lane_of(key) {
                self.floors.lower(lane, key);
                lanes.insert(lane);
            }
        }
        // The others are another worker's.
        lanes.retain(|lane| shift.slots.contains(&slot(*lane, limits::QUEUE_SLOT_KEYS)));
        stream::iter(lanes)
            .map(Ok)
            .try_for_each_concurrent(limits::QUEUE_LANES_AT_ONCE, |lane| self.rest_of(shift, lane))
            .await
    }

    /// Looks at what is left of a lane.
    async fn rest_of(&self, shift: &Shift, lane: u64) -> Result<(), StoreError> {
        let is_waiting = || self.backoff.is_waiting(&lane, shift.store.clock().as_ref());
        let whole = ScanRange::prefix(self.queue.lane(lane).key());
        let mut rest = Some(match self.floors.get(lane) {
            Some(floor) => whole.resumed(floor),
            None => whole,
        });
        let mut is_empty = true;
        while let Some(range) = rest.take().filter(|_| !shift.is_ending() && !is_waiting()) {
            let (lanes, resume) = self.page(&shift.store, &range).await?;
            for (_, rows) in lanes {
                is_empty = false;
                self.work(shift, lane, &rows).await?;
            }
            rest = resume.map(|resume| range.resumed(resume));
        }
        // What a lane was waiting with has gone.
        if is_empty && !is_waiting() {
            self.backoff.done(&lane);
        }
        Ok(())
    }
}

fn lane_of(key: &Key) -> Option<u64> {
    let mut parts = KeyReader::new(key);
    parts.u8()?;
    parts.u64()
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

    async fn look(&self, shift: &Shift, look: Look) -> Result<Option<u64>, StoreError> {
        let looked = match look {
            Look::Everywhere => self.everywhere(shift).await,
            Look::At(keys) => self.at(shift, &keys).await,
        };
        let removed = self.remove(shift);
        looked.and(removed)?;
        Ok(self.backoff.next_ms(shift.store.clock().as_ref()))
    }
}
