//! Groups and leases: one at a time on the node's writing connection, each under the position lock, two round trips.
//!
//! First: BEGIN, the lock, and what stands there now ([`transaction::look`]). Then: the writes and COMMIT
//! ([`transaction::commit`]). A job is done on a task of its own, whether or not somebody waits for it; a COMMIT that was
//! sent is waited for without end, but its caller is told `Unknown` after a while, and the next job takes a new connection.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::Poll,
    time::Duration,
};

use tokio::{
    sync::{Mutex, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore, TryAcquireError, oneshot},
    time::{sleep, timeout},
};
use wardstead_engine::EngineError;
use wardstead_limits::{Clock, postgres as limits};

use crate::{
    Durability, PostgresOptions,
    connection::{Connection, Role},
    error,
    health::Health,
    transaction::{self, Answer, Job, Next, Terms},
};

type Told = Result<Answer, EngineError>;
/// The writing connection, when it is this job's turn.
type Turn = Pin<Box<dyn Future<Output = OwnedMutexGuard<Option<Connection>>> + Send>>;

/// The node's writer. Clones are the same.
#[derive(Clone)]
pub(crate) struct Writer {
    options: Arc<PostgresOptions>,
    health: Health,
    /// In place of the server's clock, in tests.
    clock: Option<Arc<dyn Clock>>,
    connection: Arc<Mutex<Option<Connection>>>,
    queue: Arc<Semaphore>,
    standing: Arc<Semaphore>,
    /// A COMMIT of this node may have reached less than it should: what it wrote is visible, and must not be answered from
    /// before a later COMMIT has waited for the standby.
    doubt: Arc<AtomicBool>,
    /// Losses of the database before the connection was made.
    connected_at: Arc<AtomicU64>,
}

impl Writer {
    pub(crate) fn new(options: Arc<PostgresOptions>, health: Health, clock: Option<Arc<dyn Clock>>) -> Self {
        Self {
            options,
            health,
            clock,
            connection: Arc::default(),
            queue: Arc::new(Semaphore::new(limits::COMMIT_QUEUE_GROUPS)),
            standing: Arc::new(Semaphore::new(limits::STANDING_COMMITS)),
            doubt: Arc::default(),
            connected_at: Arc::default(),
        }
    }

    /// Does `job`. Dropping the future does not cancel it.
    pub(crate) async fn submit(&self, job: Job) -> Told {
        let place = match Arc::clone(&self.queue).try_acquire_owned() {
            Ok(place) => place,
            Err(TryAcquireError::Closed) => return Err(error::closed()),
            Err(TryAcquireError::NoPermits) => {
                return Err(EngineError::Busy("too many groups wait for the writing connection"));
            }
        };
        let (tell, told) = oneshot::channel();
        // Its turn is taken here and not on the task, so that jobs are done in the order in which they were given.
        let mut turn: Turn = Box::pin(Arc::clone(&self.connection).lock_owned());
        let first = futures::poll!(&mut turn);
        let turn: Turn = if let Poll::Ready(slot) = first { Box::pin(std::future::ready(slot)) } else { turn };
        tokio::spawn(self.clone().work(job, place, turn, tell));
        told.await.unwrap_or_else(|_| Err(EngineError::Unknown("the task of the commit ended".to_owned())))
    }

    /// Waits for what is on its way, takes no more, and ends the connection.
    pub(crate) async fn close(&self) {
        let all = u32::try_from(limits::COMMIT_QUEUE_GROUPS).unwrap_or(u32::MAX);
        // What is still on its way after that is a COMMIT that the server finishes without us.
        drop(timeout(Duration::from_millis(limits::CLOSE_MS), self.queue.acquire_many(all)).await);
        self.queue.close();
        if let Ok(mut connection) = self.connection.try_lock() {
            *connection = None;
        }
    }

    async fn work(self, job: Job, place: OwnedSemaphorePermit, turn: Turn, tell: oneshot::Sender<Told>) {
        let mut slot = turn.await;
        let Ok(standing) = Arc::clone(&self.standing).try_acquire_owned() else {
            let why = "earlier COMMITs have no answer yet".to_owned();
            drop(tell.send(Err(EngineError::Unavailable(why))));
            return;
        };
        loop {
            let (connection, next) = match self.health.while_reachable(self.begin(&mut slot, &job)).await {
                Ok(begun) => begun,
                Err(error) => {
                    drop(tell.send(Err(error)));
                    return;
                }
            };
            let (writes, answer) = match next {
                Next::Leave(told) => {
                    drop(tell.send(told));
                    *slot = roll_back(connection).await;
                    return;
                }
                Next::Commit(writes, answer) => (writes, answer),
            };
            let mut committing = Box::pin(transaction::commit(connection, writes));
            let (connection, result) = tokio::select! {
                biased;
                committed = &mut committing => committed,
                why = self.patience() => {
                    self.doubt.store(true, Ordering::SeqCst);
                    drop(tell.send(Err(EngineError::Unknown(why))));
                    drop((slot, place));
                    let (_connection, result) = committing.await;
                    tracing::warn!(?result, "a COMMIT was answered after its caller was told that its outcome is unknown");
                    drop(standing);
                    return;
                }
            };
            *slot = Some(connection).filter(|connection| !connection.is_closed());
            self.doubt.store(matches!(result, Err(EngineError::Unknown(_))), Ordering::SeqCst);
            match (result, answer) {
                // The epoch was raised; now the job sees it.
                (Ok(()), None) => {}
                (Ok(()), Some(answer)) => {
                    drop(tell.send(Ok(answer)));
                    return;
                }
                (Err(error), _) => {
                    drop(tell.send(Err(error)));
                    return;
                }
            }
        }
    }

    /// Looks and decides, on the connection at hand or a new one. Nothing is written yet.
    async fn begin(&self, slot: &mut Option<Connection>, job: &Job) -> Result<(Connection, Next), EngineError> {
        let losses = self.health.losses();
        let fresh = self.connected_at.swap(losses, Ordering::SeqCst) == losses;
        if let Some(mut connection) = slot.take().filter(|connection| fresh && !connection.is_closed()) {
            match self.look(&mut connection, job).await {
                Ok(next) => return Ok((connection, next)),
                // It ended while it was idle: nothing of the job has happened.
                Err(_) if connection.is_closed() => {}
                Err(error) => {
                    *slot = roll_back(connection).await;
                    return Err(error);
                }
            }
        }
        let mut connection = Box::pin(Connection::open(&self.options, Role::Writer, None)).await?;
        match self.look(&mut connection, job).await {
            Ok(next) => Ok((connection, next)),
            Err(error) => {
                *slot = roll_back(connection).await;
                Err(error)
            }
        }
    }

    async fn look(&self, connection: &mut Connection, job: &Job) -> Result<Next, EngineError> {
        let most = Duration::from_millis(limits::POSITION_LOCK_MS + limits::READ_MS);
        let looking = async {
            let seen = transaction::look(connection, job).await?;
            self.check_durable(seen.waits_for_standby())?;
            let now_ms = self.clock.as_ref().map(|clock| clock.now_ms());
            let terms = Terms { now_ms, commit_always: self.doubt.load(Ordering::SeqCst) };
            transaction::decide(connection, job, seen, &terms).await
        };
        match timeout(most, looking).await {
            Ok(looked) => looked,
            Err(_) => Err(EngineError::Unavailable("the position row was not locked in time".to_owned())),
        }
    }

    /// Asked in each group, because a standby that is taken off the list is no longer waited for from that moment on.
    fn check_durable(&self, waits_for_standby: bool) -> Result<(), EngineError> {
        if self.options.durability == Durability::Standby && !waits_for_standby {
            self.health.not_durable(crate::durability::NO_STANDBY_NAMES);
        }
        self.health.check_durable()
    }

    /// Returns when the caller of a COMMIT has waited long enough, and why.
    async fn patience(&self) -> String {
        tokio::select! {
            () = sleep(Duration::from_millis(limits::COMMIT_ANSWER_MS)) => "COMMIT has no answer yet".to_owned(),
            error = self.health.when_lost() => error.to_string(),
        }
    }
}

/// Ends the transaction; `None` when the connection is of no more use.
async fn roll_back(connection: Connection) -> Option<Connection> {
    let rolled_back =
        timeout(Duration::from_millis(limits::CONNECT_MS), connection.client().batch_execute("ROLLBACK")).await;
    matches!(rolled_back, Ok(Ok(()))).then_some(connection)
}
