//! Faults on demand. All of them are decided by counts and seeds, none by time, so that a failing test fails again.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;
use wardstead_engine::{Batch, EngineError, Group, Key, ScanRange, Write, system};

use crate::data::Data;

/// How a commit group fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitFault {
    /// `Unavailable`, nothing written.
    Unavailable,
    /// `Unknown`, nothing written.
    UnknownBefore,
    /// `Unknown`, all of it written.
    UnknownAfter,
}

/// Makes a [`crate::MemoryEngine`] fail. Clones act on the same engine.
///
/// Reads are calls of `get_many` and of `scan`, but for scans of the journal: those are counted on their own, because the
/// tail makes them at moments of its own. `position` never fails.
#[derive(Clone, Debug)]
pub struct Faults {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    data: Arc<RwLock<Data>>,
    planned: Mutex<Planned>,
    /// Whether commits wait.
    gate: watch::Sender<bool>,
    /// How many wait.
    stalled: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct Planned {
    reads: Counted<()>,
    journal_scans: Counted<()>,
    commits: Counted<CommitFault>,
    /// Seed, and in how many reads one fails.
    seeded: Option<(u64, u64)>,
    poisoned: BTreeSet<Key>,
    leases_fail: bool,
}

/// Calls so far, and what is to happen to which call.
#[derive(Debug)]
struct Counted<T> {
    count: u64,
    planned: BTreeMap<u64, T>,
}

impl<T> Default for Counted<T> {
    fn default() -> Self {
        Self { count: 0, planned: BTreeMap::new() }
    }
}

impl<T> Counted<T> {
    fn plan(&mut self, n: u64, fault: T) {
        self.planned.insert(self.count + n, fault);
    }

    fn next(&mut self) -> Option<T> {
        self.count += 1;
        self.planned.remove(&self.count)
    }
}

impl Faults {
    pub(crate) fn new(data: Arc<RwLock<Data>>) -> Self {
        let shared =
            Shared { data, planned: Mutex::default(), gate: watch::Sender::new(false), stalled: watch::Sender::new(0) };
        Self { shared: Arc::new(shared) }
    }

    /// The `n`-th read from now (1: the next) is `Unavailable`.
    pub fn fail_read(&self, n: u64) {
        self.shared.planned.lock().reads.plan(n, ());
    }

    /// The `n`-th scan of the journal from now is `Unavailable`.
    pub fn fail_journal_scan(&self, n: u64) {
        self.shared.planned.lock().journal_scans.plan(n, ());
    }

    /// From now on one in `one_in` reads is `Unavailable`; which ones follows from `seed` and the number of the read.
    pub fn fail_reads_from_seed(&self, seed: u64, one_in: u64) {
        self.shared.planned.lock().seeded = Some((seed, one_in.max(1)));
    }

    /// The `n`-th commit group from now fails like this. Groups that are invalid or poisoned count too.
    pub fn fail_commit(&self, n: u64, fault: CommitFault) {
        self.shared.planned.lock().commits.plan(n, fault);
    }

    /// Every group with a batch that asserts, writes or deletes `key` is `Unavailable` as a whole.
    pub fn poison(&self, key: Key) {
        self.shared.planned.lock().poisoned.insert(key);
    }

    /// Whether requests for leases are `Unavailable` from now on.
    pub fn fail_leases(&self, fail: bool) {
        self.shared.planned.lock().leases_fail = fail;
    }

    /// Commit groups wait from now on, before anything of them is decided. Dropping one that waits loses it.
    pub fn stall_commits(&self) {
        self.shared.gate.send_replace(true);
    }

    /// Lets all waiting commit groups pass, and those that follow.
    pub fn release_commits(&self) {
        self.shared.gate.send_replace(false);
    }

    /// Returns once at least `count` commit groups wait at the gate.
    pub async fn wait_stalled(&self, count: usize) {
        // The sender is ours, so the wait cannot fail.
        let _ = self.shared.stalled.subscribe().wait_for(|stalled| *stalled >= count).await;
    }

    /// Flips bit `bit` (counted from the first byte's lowest) of what is stored under `key`. `false`: there is no such bit.
    #[must_use]
    pub fn flip_bit(&self, key: &Key, bit: usize) -> bool {
        self.tamper(key, |stored| match stored.get_mut(bit / 8) {
            Some(byte) => {
                *byte ^= 1 << (bit % 8);
                true
            }
            None => false,
        })
    }

    /// Changes the stored bytes under `key`. `false`: there is no such row, or `change` said so.
    #[must_use]
    pub fn tamper(&self, key: &Key, change: impl FnOnce(&mut Vec<u8>) -> bool) -> bool {
        let mut data = self.shared.data.write();
        let Some(stored) = data.rows.get_mut(key) else { return false };
        let mut bytes = stored.to_vec();
        let changed = change(&mut bytes);
        *stored = bytes.into();
        changed
    }

    /// Takes back every fault that has not happened yet and opens the gate. Flipped bits stay.
    pub fn clear(&self) {
        let mut planned = self.shared.planned.lock();
        planned.reads.planned.clear();
        planned.journal_scans.planned.clear();
        planned.commits.planned.clear();
        planned.poisoned.clear();
        planned.seeded = None;
        planned.leases_fail = false;
        drop(planned);
        self.release_commits();
    }

    /// Reads so far, failed ones included, without scans of the journal.
    #[must_use]
    pub fn reads(&self) -> u64 {
        self.shared.planned.lock().reads.count
    }

    /// Commit groups so far that were valid and passed the gate.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.shared.planned.lock().commits.count
    }

    pub(crate) fn on_get(&self) -> Result<(), EngineError> {
        let mut planned = self.shared.planned.lock();
        let named = planned.reads.next().is_some();
        let number = planned.reads.count;
        let seeded = planned.seeded.is_some_and(|(seed, one_in)| mix(seed ^ mix(number)).is_multiple_of(one_in));
        if named || seeded { Err(EngineError::Unavailable(format!("injected into read {number}"))) } else { Ok(()) }
    }

    pub(crate) fn on_scan(&self, range: &ScanRange) -> Result<(), EngineError> {
        if !range.from.as_bytes().starts_with(&system::JOURNAL.stored().to_be_bytes()) {
            return self.on_get();
        }
        match self.shared.planned.lock().journal_scans.next() {
            Some(()) => Err(EngineError::Unavailable("injected into a scan of the journal".into())),
            None => Ok(()),
        }
    }

    pub(crate) fn on_lease(&self) -> Result<(), EngineError> {
        let fail = self.shared.planned.lock().leases_fail;
        if fail { Err(EngineError::Unavailable("injected into a lease".into())) } else { Ok(()) }
    }

    pub(crate) async fn pass_gate(&self) {
        if !*self.shared.gate.borrow() {
            return;
        }
        let _stalled = Stalled::enter(&self.shared.stalled);
        let _ = self.shared.gate.subscribe().wait_for(|closed| !closed).await;
    }

    /// The faults that an engine has to act out itself are returned.
    pub(crate) fn on_commit(&self, group: &Group) -> Result<Option<CommitFault>, EngineError> {
        let mut planned = self.shared.planned.lock();
        let fault = planned.commits.next();
        let poison = planned.poisoned.iter().find(|key| group.batches.iter().any(|batch| touches(batch, key)));
        if let Some(key) = poison {
            return Err(EngineError::Unavailable(format!("{key:?} is poisoned")));
        }
        match fault {
            Some(CommitFault::Unavailable) => Err(EngineError::Unavailable("injected into a commit".into())),
            other => Ok(other),
        }
    }
}

/// One commit that waits at the gate; dropped when it passed or was given up.
struct Stalled<'a>(&'a watch::Sender<usize>);

impl<'a> Stalled<'a> {
    fn enter(count: &'a watch::Sender<usize>) -> Self {
        count.send_modify(|stalled| *stalled += 1);
        Self(count)
    }
}

impl Drop for Stalled<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|stalled| *stalled -= 1);
    }
}

fn touches(batch: &Batch, key: &Key) -> bool {
    let writes = |write: &Write| match write {
        Write::Put { key: template, .. } => template.key() == key,
        Write::Delete(deleted) => deleted == key,
        Write::DeleteRange { from, to } => from <= key && key < to,
    };
    batch.assertions.iter().any(|assertion| assertion.key == *key) || batch.writes.iter().any(writes)
}

/// Spreads a number over 64 bits (the finaliser of `SplitMix64`).
fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}
