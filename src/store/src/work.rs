//! Work that outlives a process: rows that are written with what they follow from, and done later by one node at a time.
//!
//! A queue's or timer's row is written in the batch of the event that causes it ([`Queue`], [`Timers`]). The rows of a table
//! lie in a fixed number of *slots*; a *partition* is a run of slots that one worker has at a time, under a lease. How many
//! partitions there are is stored and can be changed at any time, since rows never move.
//!
//! What a worker commits asserts the lease's fencing number and the number of partitions, and removes the rows that it did in
//! the same commit: whatever a node that was paused or replaced still commits loses. Waking a worker is a hint: in this
//! process it says which rows were written, over the bus in which table. Without any a worker looks everywhere every
//! [`limits::WORK_SWEEP_MS`].

use std::{ops::Range, sync::Arc, time::Duration};

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::{
    sync::watch,
    task::{JoinHandle, JoinSet},
};
use wardstead_engine::{Batch, Losing, TableId};
use wardstead_limits::store as limits;

use crate::{LEASE_LOST, Store, StoreError, start::stopped};

mod backoff;
mod claim;
mod floors;
mod layout;
mod queue;
mod timers;
mod wakers;

pub use claim::Claim;
pub use queue::{Handled, Queue, QueueHandler};
pub use timers::{Fired, TimerHandler, Timers};

use claim::LAYOUT_CHANGED;
use layout::Layout;
pub(crate) use layout::set as set_partitions;
pub(crate) use queue::QueueJob;
pub(crate) use timers::TimerJob;
pub(crate) use wakers::{Look, Wakers};

/// Rows of one table and what is done with them.
#[async_trait]
pub(crate) trait Job: Send + Sync + 'static {
    /// The table of the rows.
    fn table(&self) -> TableId;

    /// Its name, under which leases and the number of partitions are stored.
    fn name(&self) -> &'static str;

    /// Slots of the table.
    fn slots(&self) -> u8;

    /// Does what there is to do in the shift's slots, as far as `look` says where. Returns in how many milliseconds something is due, if
    /// it knows of anything.
    async fn look(&self, shift: &Shift, look: Look) -> Result<Option<u64>, StoreError>;
}

/// A worker's time with its partition, under one lease.
pub(crate) struct Shift {
    pub(crate) store: Store,
    pub(crate) claim: Claim,
    pub(crate) slots: Range<u8>,
    stop: watch::Receiver<bool>,
}

impl Shift {
    /// Whether nothing more is to be begun.
    pub(crate) fn is_ending(&self) -> bool {
        *self.stop.borrow() || self.stop.has_changed().is_err()
    }
}

/// Whether `error` means that the work is somebody else's now.
pub(crate) fn ends_shift(error: &StoreError) -> bool {
    matches!(error, StoreError::Closed | StoreError::Lost(Losing::Fail(LEASE_LOST | LAYOUT_CHANGED)))
}

/// The slot of a lane or timer: the upper bits of a multiplication spread neighbouring numbers.
pub(crate) fn slot(number: u64, slots: u8) -> u8 {
    let spread = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    u8::try_from(spread % u64::from(slots)).unwrap_or_default()
}

/// The workers of a store.
#[derive(Debug, Default)]
pub(crate) struct Workers(Mutex<Vec<(watch::Sender<bool>, JoinHandle<()>)>>);

impl Workers {
    /// Does `job` from now on, wherever its leases are free.
    pub(crate) fn start(&self, store: Store, job: impl Job) {
        // From now on this node's commits say that there is work, whichever node does it.
        drop(store.wakers().of(job.table()));
        let (stop, stopping) = watch::channel(false);
        let task = tokio::spawn(run(store, Arc::new(job), stopping));
        self.0.lock().push((stop, task));
    }

    /// Lets what has begun come to its end, for at most [`limits::HAND_OVER_MS`], and begins nothing more. What is cut off
    /// there is done again by the successor, from its rows.
    pub(crate) async fn stop(&self) {
        let workers = std::mem::take(&mut *self.0.lock());
        for (stop, _) in &workers {
            stop.send_replace(true);
        }
        let patience = tokio::time::sleep(Duration::from_millis(limits::HAND_OVER_MS));
        tokio::pin!(patience);
        for (_, mut task) in workers {
            tokio::select! {
                biased;
                ended = &mut task => if ended.is_err() {
                    tracing::error!("a worker ended badly");
                },
                () = &mut patience => {
                    tracing::warn!("a worker did not come to its end in time");
                    task.abort();
                }
            }
        }
    }
}

/// One worker a partition, until `stop`; anew when the number of partitions changes.
async fn run(store: Store, job: Arc<dyn Job>, mut stop: watch::Receiver<bool>) {
    while !*stop.borrow() {
        let layout = match Layout::read(&store, job.name(), job.slots()).await {
            Ok(layout) => layout,
            Err(error) => {
                tracing::warn!(%error, work = job.name(), "the number of partitions could not be read");
                tokio::select! {
                    () = stopped(&mut stop) => return,
                    () = tokio::time::sleep(Duration::from_millis(limits::WORK_SWEEP_MS)) => continue,
                }
            }
        };
        let mut partitions = JoinSet::new();
        for number in 0..layout.partitions() {
            let partition = Partition {
                store: store.clone(),
                job: Arc::clone(&job),
                layout: layout.clone(),
                number,
                stop: stop.clone(),
            };
            partitions.spawn(partition.run());
        }
        // When the layout has changed, the first to see it ends the others: their commits lose from then on. When the store
        // ends, each comes to its own end.
        let mut closed = false;
        while let Some(ended) = partitions.join_next().await {
            match ended {
                Ok(End::Store) => closed = true,
                Ok(End::Layout) => break,
                Err(error) => {
                    tracing::error!(%error, work = job.name(), "a worker ended badly");
                    tokio::time::sleep(Duration::from_millis(limits::WORK_SWEEP_MS)).await;
                    break;
                }
            }
        }
        if closed {
            return;
        }
    }
}

struct Partition {
    store: Store,
    job: Arc<dyn Job>,
    layout: Layout,
    number: u8,
    stop: watch::Receiver<bool>,
}

impl Partition {
    /// Does the partition's work whenever its lease can be had, until the layout changes or the store ends.
    async fn run(self) -> End {
        let name = format!("work/{}/{}/{}", self.job.name(), self.layout.partitions(), self.number);
        let mut stop = self.stop.clone();
        loop {
            let held = tokio::select! {
                biased;
                () = stopped(&mut stop) => return End::Store,
                held = self.store.leases().hold(&name) => held,
                () = self.layout_changes() => return End::Layout,
            };
            let Ok(held) = held else { return End::Store };
            let shift = Shift {
                store: self.store.clone(),
                claim: Claim::new(held.fence(), self.layout.clone()),
                slots: self.layout.slots(self.number),
                stop: self.stop.clone(),
            };
            let end = tokio::select! {
                biased;
                () = held.lost() => None,
                end = self.work(&shift) => end,
            };
            match &end {
                None => tracing::warn!(name, "the work is somebody else's now"),
                // Removals that nobody waited for come first, so that the successor does not do their work again.
                Some(End::Store) => {
                    if let Err(error) = self.store.commit(Batch::new()).await {
                        tracing::warn!(%error, name, "work is handed over that may be done again");
                    }
                }
                Some(End::Layout) => {}
            }
            held.release().await;
            if let Some(end) = end {
                return end;
            }
        }
    }

    /// Looks again and again, until something ends the shift; `None`: the lease is lost.
    async fn work(&self, shift: &Shift) -> Option<End> {
        let pause = |ms: u64| tokio::time::sleep(Duration::from_millis(ms));
        let mut hints = self.store.wakers().of(self.job.table());
        let mut stop = self.stop.clone();
        let mut look = Look::Everywhere;
        // Until when to look everywhere at the latest, and before when not to, whoever asks.
        let (sweep, rest) = (pause(0), pause(0));
        tokio::pin!(sweep, rest);
        loop {
            if shift.is_ending() {
                return Some(End::Store);
            }
            let (is_everywhere, began_ms) = (look == Look::Everywhere, shift.store.clock().monotonic_ms());
            let due_ms = match self.job.look(shift, look).await {
                Ok(due_ms) => due_ms,
                Err(StoreError::Closed) => return Some(End::Store),
                Err(StoreError::Lost(Losing::Fail(LEASE_LOST))) => return None,
                Err(StoreError::Lost(Losing::Fail(LAYOUT_CHANGED))) => return Some(End::Layout),
                // What was not looked at is looked at with the next sweep.
                Err(error) => {
                    tracing::warn!(%error, work = self.job.name(), "looking for work failed");
                    None
                }
            };
            if is_everywhere {
                let look_ms = shift.store.clock().monotonic_ms().saturating_sub(began_ms);
                let rest_ms = look_ms * (100 - limits::WORK_LOOK_PERCENT) / limits::WORK_LOOK_PERCENT;
                rest.set(pause(rest_ms.min(limits::WORK_REST_MS)));
                sweep.set(pause(limits::WORK_SWEEP_MS));
            }
            let due = pause(due_ms.unwrap_or(limits::WORK_SWEEP_MS));
            tokio::pin!(due);
            look = loop {
                tokio::select! {
                    biased;
                    () = stopped(&mut stop) => return Some(End::Store),
                    () = &mut sweep => {
                        if self.layout_has_changed().await {
                            return Some(End::Layout);
                        }
                        hints.clear();
                        break Look::Everywhere;
                    }
                    news = hints.next() => {
                        if news.more {
                            let at = rest.deadline().min(sweep.deadline());
                            sweep.as_mut().reset(at);
                        }
                        if !news.keys.is_empty() {
                            break Look::At(news.keys);
                        }
                    }
                    () = &mut due => break Look::At(Vec::new()),
                }
            };
        }
    }

    /// Returns when the layout is another one, for those who wait for a lease.
    async fn layout_changes(&self) {
        loop {
            tokio::time::sleep(Duration::from_millis(limits::WORK_SWEEP_MS)).await;
            if self.layout_has_changed().await {
                return;
            }
        }
    }

    /// A layout that cannot be read now is compared next time; commits assert it all the while.
    async fn layout_has_changed(&self) -> bool {
        let now = Layout::read(&self.store, self.job.name(), self.job.slots()).await;
        matches!(now, Ok(now) if now != self.layout)
    }
}

/// Why a worker ended.
#[derive(Debug)]
enum End {
    Layout,
    Store,
}
