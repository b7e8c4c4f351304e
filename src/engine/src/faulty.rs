//! Faults over any engine, for tests: the n-th read fails; the process dies at the n-th write, before or after it took
//! effect. All of it is decided by counts and seeds, none by time, so that a failing test fails again.

use std::{collections::BTreeSet, future::pending, sync::Arc};

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::{
    Cell, Engine, EngineError, EngineLimits, Group, GroupOutcome, Key, Lease, LeaseRequest, Page, PageLimit, Position,
    ScanRange, system,
};

/// Makes reads fail. Clones act on the same engine.
///
/// Reads are calls of `get_many` and of `scan`, but for scans of the journal: those are counted on their own, because a
/// tail makes them at moments of its own. `position` never fails.
#[derive(Clone, Debug, Default)]
pub struct ReadFaults(Arc<Mutex<Reads>>);

#[derive(Debug, Default)]
struct Reads {
    others: Counted,
    journal_scans: Counted,
    /// Seed, and in how many reads one fails.
    seeded: Option<(u64, u64)>,
}

/// Calls so far, and which of them fail.
#[derive(Debug, Default)]
struct Counted {
    count: u64,
    planned: BTreeSet<u64>,
}

impl Counted {
    fn plan(&mut self, n: u64) {
        self.planned.insert(self.count + n);
    }

    fn next(&mut self) -> bool {
        self.count += 1;
        self.planned.remove(&self.count)
    }
}

impl ReadFaults {
    /// The `n`-th read from now (1: the next) is `Unavailable`.
    pub fn fail_read(&self, n: u64) {
        self.0.lock().others.plan(n);
    }

    /// The `n`-th scan of the journal from now is `Unavailable`.
    pub fn fail_journal_scan(&self, n: u64) {
        self.0.lock().journal_scans.plan(n);
    }

    /// From now on one in `one_in` reads is `Unavailable`; which ones follows from `seed` and the number of the read.
    pub fn fail_reads_from_seed(&self, seed: u64, one_in: u64) {
        self.0.lock().seeded = Some((seed, one_in.max(1)));
    }

    /// Takes back what has not failed yet.
    pub fn clear(&self) {
        let mut reads = self.0.lock();
        reads.others.planned.clear();
        reads.journal_scans.planned.clear();
        reads.seeded = None;
    }

    /// Reads so far, failed ones included, without scans of the journal.
    #[must_use]
    pub fn reads(&self) -> u64 {
        self.0.lock().others.count
    }

    /// To be called by an engine for each `get_many`.
    ///
    /// # Errors
    /// The planned failure.
    pub fn on_get(&self) -> Result<(), EngineError> {
        let mut reads = self.0.lock();
        let named = reads.others.next();
        let number = reads.others.count;
        let seeded = reads.seeded.is_some_and(|(seed, one_in)| mix(seed ^ mix(number)).is_multiple_of(one_in));
        if named || seeded { Err(EngineError::Unavailable(format!("injected into read {number}"))) } else { Ok(()) }
    }

    /// To be called by an engine for each `scan`.
    ///
    /// # Errors
    /// The planned failure.
    pub fn on_scan(&self, range: &ScanRange) -> Result<(), EngineError> {
        if !range.from.as_bytes().starts_with(&system::JOURNAL.stored().to_be_bytes()) {
            return self.on_get();
        }
        if self.0.lock().journal_scans.next() {
            return Err(EngineError::Unavailable("injected into a scan of the journal".into()));
        }
        Ok(())
    }
}

/// Spreads a number over 64 bits (the finaliser of `SplitMix64`).
fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// When a process dies, as seen from the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// The write has not taken effect.
    Before,
    /// The write has taken effect; nobody was told.
    After,
}

/// The moment at which a process dies. To those who use the engine it is as with `kill -9`: that call never returns, nor does
/// any that follows.
#[derive(Clone, Debug, Default)]
pub struct CrashPoint(Arc<Mutex<Planned>>, Arc<watch::Sender<bool>>);

#[derive(Debug, Default)]
struct Planned {
    writes: u64,
    at: Option<(u64, Crash)>,
}

impl CrashPoint {
    /// Dies at the `n`-th write from now (1: the next). Writes are commit groups and requests for leases.
    pub fn crash_at(&self, n: u64, crash: Crash) {
        let mut planned = self.0.lock();
        planned.at = Some((planned.writes + n, crash));
    }

    /// Dies now.
    pub fn crash(&self) {
        self.1.send_replace(true);
    }

    /// Writes so far.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.0.lock().writes
    }

    /// Whether it has died.
    #[must_use]
    pub fn has_crashed(&self) -> bool {
        *self.1.borrow()
    }

    /// Returns when it has died.
    pub async fn crashed(&self) {
        // The sender is ours, so the wait cannot fail.
        drop(self.1.subscribe().wait_for(|crashed| *crashed).await);
    }

    async fn pass(&self) {
        if self.has_crashed() {
            pending::<()>().await;
        }
    }

    fn next_write(&self) -> Option<Crash> {
        let mut planned = self.0.lock();
        planned.writes += 1;
        planned.at.filter(|(at, _)| *at == planned.writes).map(|(_, crash)| crash)
    }

    /// Makes `write` happen, or not, and dies when its time has come.
    async fn write<T>(&self, write: impl Future<Output = T>) -> T {
        self.pass().await;
        match self.next_write() {
            None => {
                let done = write.await;
                // It may have died while this was under way.
                self.pass().await;
                return done;
            }
            Some(Crash::Before) => {}
            Some(Crash::After) => drop(write.await),
        }
        self.crash();
        pending().await
    }
}

/// Passes everything through, but for the faults that were asked for.
pub struct FaultyEngine {
    inner: Arc<dyn Engine>,
    reads: ReadFaults,
    crash: CrashPoint,
}

impl FaultyEngine {
    /// Wraps `inner`; the handles make it fail.
    #[must_use]
    pub fn new(inner: Arc<dyn Engine>) -> (Self, ReadFaults, CrashPoint) {
        let (reads, crash) = (ReadFaults::default(), CrashPoint::default());
        (Self { inner, reads: reads.clone(), crash: crash.clone() }, reads, crash)
    }
}

#[async_trait]
impl Engine for FaultyEngine {
    async fn get_many(&self, at: Position, keys: &[Key]) -> Result<Vec<Option<Cell>>, EngineError> {
        self.crash.pass().await;
        self.reads.on_get()?;
        self.inner.get_many(at, keys).await
    }

    async fn scan(&self, at: Position, range: &ScanRange, page: PageLimit) -> Result<Page, EngineError> {
        self.crash.pass().await;
        self.reads.on_scan(range)?;
        self.inner.scan(at, range, page).await
    }

    async fn commit_group(&self, group: Group) -> Result<GroupOutcome, EngineError> {
        self.crash.write(self.inner.commit_group(group)).await
    }

    async fn position(&self) -> Result<Position, EngineError> {
        self.crash.pass().await;
        self.inner.position().await
    }

    async fn lease(&self, request: LeaseRequest) -> Result<Option<Lease>, EngineError> {
        self.crash.write(self.inner.lease(request)).await
    }

    fn limits(&self) -> EngineLimits {
        self.inner.limits()
    }
}
