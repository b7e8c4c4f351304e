//! Timers: what is to happen at a time, once. A kill or a handover neither loses nor doubles one.
//!
//! A timer is due by the wall clock ([`wardstead_limits::Clock::now_ms`]) of the node whose worker has its partition: times
//! that people see are wall-clock times, and nodes whose clocks differ fire by so much earlier or later. A clock that jumps
//! back delays; what has fired has gone and does not fire again.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, stream};
use parking_lot::Mutex;
use wardstead_engine::{AccessPattern, Batch, Expect, Key, KeyReader, Losing, PageLimit, ScanRange, TableId};
use wardstead_limits::store as limits;

use super::{Claim, Job, Look, Shift, backoff::Backoff, claim::ROW_VERSION, ends_shift, floors::Floors, slot};
use crate::{Found, Row, Store, StoreError, Table};

/// A table of timers.
///
/// Key: slot of the id, time when due, id.
#[derive(Debug)]
pub struct Timers<R> {
    table: Table<R>,
}

impl<R: Row> Timers<R> {
    /// The timers in `table`, which is a [`AccessPattern::Churn`] table that has no other rows.
    ///
    /// # Panics
    /// At compile time, when it is of another pattern.
    #[must_use]
    pub const fn new(table: Table<R>) -> Self {
        assert!(matches!(table.id().pattern(), AccessPattern::Churn), "rows that live briefly are churn");
        Self { table }
    }

    /// Where the timer `id`, due at `due_ms`, stands: its existence can be asserted.
    #[must_use]
    pub fn key(&self, due_ms: u64, id: u64) -> Key {
        self.table.key(0).u8(slot(id, limits::TIMER_SLOT_KEYS)).u64(due_ms).u64(id).key()
    }

    /// Adds a timer to `batch`, due at `due_ms` (milliseconds since 1970). `id` is unique among timers of this table that
    /// are due at the same time: a short id.
    pub fn schedule(&self, batch: &mut Batch, due_ms: u64, id: u64, row: &R) {
        self.table.put_with(batch, self.key(due_ms, id), ROW_VERSION, &[], row);
    }

    /// Has `batch` remove a timer, and win only when it has neither fired nor been cancelled; `losing` says what losing
    /// means. Cancelling and firing exclude each other exactly.
    pub fn cancel(&self, batch: &mut Batch, due_ms: u64, id: u64, losing: Losing) {
        let key = self.key(due_ms, id);
        batch.expect(key.clone(), Expect::Version(ROW_VERSION), losing);
        batch.delete(key);
    }

    /// How many timers there are; those beyond `most` are not counted.
    ///
    /// # Errors
    /// The engine's.
    pub async fn count(&self, store: &Store, most: usize) -> Result<usize, StoreError> {
        let (mut count, mut rest) = (0, Some(ScanRange::prefix(self.table.key(0).key())));
        while let Some(range) = rest.take().filter(|_| count < most) {
            let (timers, resume) = store.scan(&self.table, &range, PageLimit::default()).await?;
            count += timers.len();
            rest = resume.map(|resume| range.resumed(resume));
        }
        Ok(count.min(most))
    }

    /// When the timer under `key` is due, and its id.
    #[must_use]
    pub fn due(key: &Key) -> Option<(u64, u64)> {
        let mut key = KeyReader::new(key);
        key.u8()?;
        Some((key.u64()?, key.u64()?))
    }
}

/// What became of a timer.
#[derive(Debug)]
pub enum Fired {
    /// It is removed in one commit with this batch.
    Done(Batch),
    /// The handler has committed itself, a batch with [`Claim::take`] of the timer.
    Committed,
    /// The handler goes on beside the worker, and commits itself, a batch with [`Claim::take`] of the timer. As long as it is there
    /// the timer fires again with each look.
    Begun,
    /// Not now; it is tried again after a pause that grows.
    Later,
}

/// Does what is due.
#[async_trait]
pub trait TimerHandler<R>: Send + Sync + 'static {
    /// The timer is due. What it writes must be in the batch that takes the timer; what it does beside that may be done
    /// again. May be cut off at any await when the work goes to another node.
    ///
    /// # Errors
    /// As [`Fired::Later`], with a warning.
    async fn fire(&self, timer: &Found<R>, claim: &Claim) -> Result<Fired, StoreError>;
}

pub(crate) struct TimerJob<R: 'static> {
    timers: &'static Timers<R>,
    handler: Arc<dyn TimerHandler<R>>,
    backoff: Backoff<Key>,
    floors: Floors,
    /// When the first timer of a slot is due that was not due at the last look.
    next_ms: Mutex<BTreeMap<u8, u64>>,
}

impl<R: Row + Send + Sync> TimerJob<R> {
    pub(crate) fn new(timers: &'static Timers<R>, handler: Arc<dyn TimerHandler<R>>) -> Self {
        let (backoff, floors, next_ms) = (Backoff::default(), Floors::default(), Mutex::default());
        Self { timers, handler, backoff, floors, next_ms }
    }

    /// Fires what is due in one slot, in order, from its floor on or, `whole`, from the beginning.
    async fn slot(&self, shift: &Shift, slot: u8, whole: bool) -> Result<(), StoreError> {
        let range = ScanRange::prefix(self.timers.table.key(0).u8(slot).key());
        let floor = self.floors.get(slot.into()).filter(|_| !whole);
        let mut rest = Some(floor.into_iter().fold(range, ScanRange::resumed));
        // What is left lies from here on.
        let mut left: Option<Key> = None;
        let mut gone: Option<Key> = None;
        let mut next_ms = None;
        'slot: while let Some(range) = rest.take() {
            let page = PageLimit::rows(limits::TIMER_PAGE_ROWS);
            let (timers, resume) = shift.store.scan(&self.timers.table, &range, page).await?;
            for timer in timers {
                let due_ms = Timers::<R>::due(&timer.key).map_or(0, |(due_ms, _)| due_ms);
                let is_due = due_ms <= shift.store.clock().now_ms();
                if is_due && !shift.is_ending() && self.fire(shift, &timer).await? {
                    gone = Some(timer.key);
                    continue;
                }
                left.get_or_insert(timer.key);
                if !is_due {
                    next_ms = Some(due_ms);
                }
                if !is_due || shift.is_ending() {
                    break 'slot;
                }
            }
            rest = resume.map(|resume| range.resumed(resume));
        }
        if let Some(floor) = left.or(gone.map(|gone| gone.successor())) {
            self.floors.set(slot.into(), floor);
        }
        let mut next = self.next_ms.lock();
        match next_ms {
            Some(next_ms) => next.insert(slot, next_ms),
            None => next.remove(&slot),
        };
        Ok(())
    }

    /// The slots of timers that were written under `keys`, and those where something is due by now.
    fn slots_at(&self, shift: &Shift, keys: &[Key]) -> BTreeSet<u8> {
        let clock = shift.store.clock().as_ref();
        let slot = |key: &Key| KeyReader::new(key).u8();
        let mut slots: BTreeSet<u8> = self.backoff.due(clock).iter().filter_map(slot).collect();
        let now_ms = clock.now_ms();
        slots.extend(self.next_ms.lock().iter().filter(|(_, due_ms)| **due_ms <= now_ms).map(|(slot, _)| *slot));
        for key in keys {
            if let Some(slot) = slot(key) {
                self.floors.lower(slot.into(), key);
                slots.insert(slot);
            }
        }
        slots.retain(|slot| shift.slots.contains(slot));
        slots
    }

    /// Whether the timer is gone.
    async fn fire(&self, shift: &Shift, timer: &Found<R>) -> Result<bool, StoreError> {
        let clock = shift.store.clock().as_ref();
        if self.backoff.is_waiting(&timer.key, clock) {
            return Ok(false);
        }
        let mut rebuilds = 0;
        loop {
            let done = match self.handler.fire(timer, &shift.claim).await {
                Ok(Fired::Done(mut batch)) => {
                    shift.claim.take(&mut batch, std::slice::from_ref(timer));
                    shift.store.commit(batch).await.map(|_| true)
                }
                Ok(Fired::Begun) => return Ok(false),
                Ok(Fired::Committed) => Ok(true),
                Ok(Fired::Later) => Ok(false),
                Err(error) => Err(error),
            };
            match done {
                Ok(true) => break,
                // Cancelled meanwhile.
                Err(StoreError::Lost(Losing::Done(key))) if key == timer.key => break,
                Err(StoreError::Lost(Losing::Rebuild)) if rebuilds < limits::REBUILDS => rebuilds += 1,
                Err(error) if ends_shift(&error) => return Err(error),
                later => {
                    if let Err(error) = later {
                        tracing::warn!(%error, timers = self.timers.table.name(), "a timer fires later");
                    }
                    self.backoff.failed(timer.key.clone(), clock);
                    return Ok(false);
                }
            }
        }
        self.backoff.done(&timer.key);
        Ok(true)
    }
}

#[async_trait]
impl<R: Row + Send + Sync> Job for TimerJob<R> {
    fn table(&self) -> TableId {
        self.timers.table.id()
    }

    fn name(&self) -> &'static str {
        self.timers.table.name()
    }

    fn slots(&self) -> u8 {
        limits::TIMER_SLOT_KEYS
    }

    async fn look(&self, shift: &Shift, look: Look) -> Result<Option<u64>, StoreError> {
        let (slots, whole) = match look {
            Look::Everywhere => (shift.slots.clone().collect(), true),
            Look::At(keys) => (self.slots_at(shift, &keys), false),
        };
        // The slots side by side: one that waits for an answer holds up no other.
        stream::iter(slots)
            .map(Ok)
            .try_for_each_concurrent(usize::from(limits::TIMER_SLOT_KEYS), |slot| self.slot(shift, slot, whole))
            .await?;
        let clock = shift.store.clock().as_ref();
        let now_ms = clock.now_ms();
        let next_ms = self.next_ms.lock();
        let due = next_ms
            .iter()
            .filter(|(slot, _)| shift.slots.contains(slot))
            .map(|(_, due_ms)| due_ms.saturating_sub(now_ms));
        Ok(due.chain(self.backoff.next_ms(clock)).min())
    }
}
