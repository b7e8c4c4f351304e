//! Faults on demand. All of them are decided by counts and seeds, none by time, so that a failing test fails again.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;
use wardstead_engine::{Batch, EngineError, Group, Key, Write, faulty::ReadFaults};

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
/// What counts as a read, [`ReadFaults`] says.
#[derive(Clone, Debug)]
pub struct Faults {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    data: Arc<RwLock<Data>>,
    reads: ReadFaults,
    planned: Mutex<Planned>,
    /// Whether commits wait.
    gate: watch::Sender<bool>,
    /// How many wait.
    stalled: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct Planned {
    commits: Counted<CommitFault>,
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
        let (gate, stalled) = (watch::Sender::new(false), watch::Sender::new(0));
        let shared = Shared { data, reads: ReadFaults::default(), planned: Mutex::default(), gate, stalled };
        Self { shared: Arc::new(shared) }
    }

    /// As [`ReadFaults::fail_read`].
    pub fn fail_read(&self, n: u64) {
        self.shared.reads.fail_read(n);
    }

    /// As [`ReadFaults::fail_journal_scan`].
    pub fn fail_journal_scan(&self, n: u64) {
        self.shared.reads.fail_journal_scan(n);
    }

    /// As [`ReadFaults::fail_reads_from_seed`].
    pub fn fail_reads_from_seed(&self, seed: u64, one_in: u64) {
        self.shared.reads.fail_reads_from_seed(seed, one_in);
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
        planned.commits.planned.clear();
        planned.poisoned.clear();
        planned.leases_fail = false;
        drop(planned);
        self.shared.reads.clear();
        self.release_commits();
    }

    /// Reads so far, failed ones included, without scans of the journal.
    #[must_use]
    pub fn reads(&self) -> u64 {
        self.shared.reads.reads()
    }

    /// Commit groups so far that were valid and passed the gate.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.shared.planned.lock().commits.count
    }

    pub(crate) fn on_read(&self) -> &ReadFaults {
        &self.shared.reads
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
