//! What is known of the database, and who is told when it goes.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use tokio::sync::watch;
use wardstead_engine::EngineError;

/// How the engine stands, for readiness and metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// The database answers.
    pub reachable: bool,
    /// A COMMIT reaches what [`crate::Durability`] asks for; when not, groups are refused.
    pub durable: bool,
    /// What is wrong, in a plain sentence.
    pub problem: Option<String>,
    /// The server's timeline; a failover changes it.
    pub timeline: u32,
}

/// The status, shared by all parts of the engine.
#[derive(Clone, Debug)]
pub(crate) struct Health {
    status: Arc<watch::Sender<Status>>,
    losses: Arc<AtomicU64>,
}

impl Health {
    pub(crate) fn new() -> Self {
        Self { status: Arc::new(watch::Sender::new(Status::default())), losses: Arc::default() }
    }

    pub(crate) fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// The database answers; `problem` says why a COMMIT is not durable.
    pub(crate) fn reached(&self, timeline: u32, problem: Option<String>) {
        let status = Status { reachable: true, durable: problem.is_none(), problem, timeline };
        self.set(status);
    }

    /// A COMMIT would not be durable any more.
    pub(crate) fn not_durable(&self, problem: &str) {
        let status = Status { durable: false, problem: Some(problem.to_owned()), ..self.status() };
        self.set(status);
    }

    /// How often the database was lost. A connection from before the last time is of no more use: it may lead to a server
    /// that is gone, and nobody will tell.
    pub(crate) fn losses(&self) -> u64 {
        self.losses.load(Ordering::SeqCst)
    }

    /// The database does not answer.
    pub(crate) fn lost(&self, problem: &str) {
        let status = Status { reachable: false, problem: Some(problem.to_owned()), ..self.status() };
        self.losses.fetch_add(1, Ordering::SeqCst);
        self.set(status);
    }

    fn set(&self, status: Status) {
        self.status.send_if_modified(|known| {
            let changed = *known != status;
            if changed && status.reachable && status.durable {
                tracing::info!(timeline = status.timeline, "the database is there");
            } else if changed {
                let problem = status.problem.as_deref().unwrap_or_default();
                tracing::warn!(reachable = status.reachable, durable = status.durable, problem, "the database");
            }
            *known = status;
            changed
        });
    }

    /// # Errors
    /// `Unavailable` while the database does not answer.
    pub(crate) fn check_reachable(&self) -> Result<(), EngineError> {
        let status = self.status.borrow();
        if status.reachable { Ok(()) } else { Err(unreachable_because(&status)) }
    }

    /// # Errors
    /// `Unavailable` while a COMMIT would not be durable.
    pub(crate) fn check_durable(&self) -> Result<(), EngineError> {
        let status = self.status.borrow();
        if status.durable { Ok(()) } else { Err(unreachable_because(&status)) }
    }

    /// Runs `work` until the database is lost.
    ///
    /// # Errors
    /// Its own, and `Unavailable` once the database does not answer.
    pub(crate) async fn while_reachable<T>(
        &self,
        work: impl Future<Output = Result<T, EngineError>>,
    ) -> Result<T, EngineError> {
        self.check_reachable()?;
        tokio::select! {
            biased;
            result = work => result,
            error = self.when_lost() => Err(error),
        }
    }

    /// Returns once the database does not answer.
    pub(crate) async fn when_lost(&self) -> EngineError {
        let mut status = self.status.subscribe();
        match status.wait_for(|status| !status.reachable).await {
            Ok(status) => unreachable_because(&status),
            // The sender is `self`.
            Err(_) => crate::error::closed(),
        }
    }
}

fn unreachable_because(status: &Status) -> EngineError {
    EngineError::Unavailable(status.problem.clone().unwrap_or_else(|| "the database does not answer".to_owned()))
}
