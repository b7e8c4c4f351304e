//! The committer thread: the only writer. It decides a group, writes it durably, publishes the newest position, answers;
//! in that order.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread::{self, JoinHandle},
};

use parking_lot::Mutex;
use tokio::sync::oneshot;
use wardstead_engine::{
    Cell, EngineError, Group, GroupOutcome, Key, Lease, LeaseRequest,
    lease::{self, Decision},
    plan::{self, Change},
    system, value,
};
use wardstead_limits::{Clock, engine as limits};

use crate::{
    database::{Database, WriteError},
    shared::{self, Shared},
};

type Reply<T> = oneshot::Sender<Result<T, EngineError>>;

enum Work {
    Commit(Group, Reply<GroupOutcome>),
    Lease(LeaseRequest, Reply<Option<Lease>>),
}

/// Handle of the thread.
pub(crate) struct Committer {
    queue: Mutex<Option<SyncSender<Work>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Committer {
    pub(crate) fn start(shared: &Arc<Shared>, clock: Arc<dyn Clock>) -> Result<Self, EngineError> {
        let (queue, work) = sync_channel(limits::COMMIT_QUEUE_GROUPS);
        let shared = Arc::clone(shared);
        let thread = thread::Builder::new().name("rocksdb-commit".into()).spawn(move || run(&shared, &*clock, &work));
        let thread = thread.map_err(|error| EngineError::Unavailable(format!("no thread: {error}")))?;
        Ok(Self { queue: Mutex::new(Some(queue)), thread: Mutex::new(Some(thread)) })
    }

    pub(crate) async fn commit(&self, group: Group) -> Result<GroupOutcome, EngineError> {
        self.ask(|reply| Work::Commit(group, reply)).await
    }

    pub(crate) async fn lease(&self, request: LeaseRequest) -> Result<Option<Lease>, EngineError> {
        self.ask(|reply| Work::Lease(request, reply)).await
    }

    async fn ask<T>(&self, work: impl FnOnce(Reply<T>) -> Work) -> Result<T, EngineError> {
        let (reply, answer) = oneshot::channel();
        self.send(work(reply))?;
        answer.await.unwrap_or_else(|_| Err(EngineError::Unknown("the committer thread ended".into())))
    }

    fn send(&self, work: Work) -> Result<(), EngineError> {
        let queue = self.queue.lock();
        match queue.as_ref().map(|queue| queue.try_send(work)) {
            Some(Ok(())) => Ok(()),
            Some(Err(TrySendError::Full(_))) => Err(EngineError::Busy("groups wait for the committer")),
            Some(Err(TrySendError::Disconnected(_))) | None => Err(shared::closed()),
        }
    }

    /// Lets the thread finish its queue and waits for it.
    pub(crate) fn close(&self) {
        self.queue.lock().take();
        if let Some(thread) = self.thread.lock().take()
            && thread.join().is_err()
        {
            tracing::error!("the committer thread panicked");
        }
    }
}

fn run(shared: &Shared, clock: &dyn Clock, work: &Receiver<Work>) {
    let mut renewed = Renewed::default();
    // Nobody may be waiting for an answer any more: a dropped future does not cancel its commit.
    while let Ok(work) = work.recv() {
        match work {
            Work::Commit(group, reply) => drop(reply.send(shared.with(|database| commit(shared, database, &group)))),
            Work::Lease(request, reply) => {
                let taken = |database: &Database| take_lease(shared, database, &mut renewed, &request, clock.now_ms());
                drop(reply.send(shared.with(taken)));
            }
        }
    }
}

fn commit(shared: &Shared, database: &Database, group: &Group) -> Result<GroupOutcome, EngineError> {
    shared.check_writable()?;
    let mut keys = plan::asserted_keys(group);
    let epoch_key = system::epoch_key();
    keys.push(epoch_key.clone());
    let versions = database.versions(&keys)?;
    plan::check_epoch(group, versions.get(&epoch_key).copied())?;
    let plan = plan::plan(group, shared.newest(), versions);
    write(shared, database, &plan.changes)?;
    shared.publish(plan.outcome.position);
    Ok(plan.outcome)
}

/// Leases that were renewed after their rows were written. Renewals stay in memory: this process has the database for itself, and
/// when it ends nobody works under its leases. So an idle server does not write to its disk every second.
#[derive(Default)]
struct Renewed(HashMap<Key, Lease>);

impl Renewed {
    /// A lease's row as it would be if it had been written.
    fn row(&self, key: &Key, row: Option<Cell>) -> Result<Option<Cell>, EngineError> {
        let Some(mut cell) = row else { return Ok(None) };
        let (owner, lease) = lease::read(key, &cell)?;
        if let Some(renewed) = self.0.get(key).filter(|renewed| renewed.fencing == lease.fencing) {
            cell.payload = lease::payload(owner, renewed.expires_ms);
        }
        Ok(Some(cell))
    }
}

fn take_lease(
    shared: &Shared,
    database: &Database,
    renewed: &mut Renewed,
    request: &LeaseRequest,
    now_ms: u64,
) -> Result<Option<Lease>, EngineError> {
    shared.check_writable()?;
    let key = system::lease_key(&request.name);
    let row = database.cells(std::slice::from_ref(&key), crate::database::Tier::Disk)?;
    let row = renewed.row(&key, row.ok_or_else(crate::database::half)?.pop().flatten())?;
    match lease::decide(&key, row.as_ref(), request, now_ms)? {
        Decision::Refuse => Ok(None),
        Decision::Write(lease, _) if request.ttl_ms > 0 && row.is_some_and(|row| row.version == lease.fencing) => {
            renewed.0.insert(key, lease);
            Ok(Some(lease))
        }
        Decision::Write(lease, payload) => {
            let stored = value::seal(&key, lease.fencing, &[], &payload);
            write(shared, database, &[Change::Put(key.clone(), stored)])?;
            renewed.0.remove(&key);
            Ok(Some(lease))
        }
    }
}

fn write(shared: &Shared, database: &Database, changes: &[Change]) -> Result<(), EngineError> {
    // Nobody won: there is nothing to make durable, and what the losers lost to is durable already.
    if changes.is_empty() {
        return Ok(());
    }
    database.write(database.batch(changes)?).map_err(|error| match error {
        WriteError::NotWritten(why) => EngineError::Unavailable(why),
        WriteError::Unknown(why) => {
            shared.fail(why.clone());
            EngineError::Unknown(why)
        }
    })
}
