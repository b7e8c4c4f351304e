//! The cluster engine: several nodes on one PostgreSQL, and the bus between them over NOTIFY.
//!
//! Every group first locks one row, the position row; under that lock assertions are exact, positions have no holes, and
//! nobody deadlocks. Reads take no lock and a snapshot of one statement. Whatever a connection's end leaves open is
//! `Unknown`, and resolved by the committer with an empty group, which waits for whatever still holds the row.

mod bus;
mod commit;
mod connection;
mod durability;
mod error;
mod health;
mod monitor;
mod options;
mod pipeline;
mod place;
mod pooler;
mod read;
mod schema;
mod sql;
mod state;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
mod tls;
mod transaction;
mod writes;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::{
    task::AbortHandle,
    time::{sleep, timeout},
};
use wardstead_engine::{
    Cell, Engine, EngineError, EngineLimits, Group, GroupOutcome, Key, Lease, LeaseRequest, Page, PageLimit, Position,
    ScanRange, check_get,
};
use wardstead_limits::{Clock, postgres as limits};

pub use bus::PostgresBus;
use commit::Writer;
use connection::{Connection, Role};
use durability::Found;
use health::Health;
pub use health::Status;
use monitor::Monitor;
pub use options::{Durability, PostgresOptions, PostgresOptionsError};
pub use read::PoolStatus;
use read::{Readers, bounded};
pub use tls::{Tls, Verification};
use transaction::{Answer, Job};

/// The engine. Dropping it ends its connections; a COMMIT that was sent goes on.
pub struct PostgresEngine {
    health: Health,
    writer: Writer,
    readers: Readers,
    monitor: AbortHandle,
}

impl std::fmt::Debug for PostgresEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresEngine").field("status", &self.health.status()).finish_non_exhaustive()
    }
}

impl PostgresEngine {
    /// Connects, makes the tables where they are missing, checks what makes a COMMIT durable, and raises the epoch where
    /// another server has taken over. Tasks start on the current tokio runtime.
    ///
    /// # Errors
    /// `Unavailable` with a plain sentence: the database is not there or too old, the URL leads to a pooler in transaction
    /// mode, or a COMMIT would not be as durable as the options ask for.
    pub async fn open(options: PostgresOptions) -> Result<Self, EngineError> {
        Self::open_by(options, None).await
    }

    /// As [`Self::open`], but leases expire by `clock` and not by the database's.
    ///
    /// # Errors
    /// As [`Self::open`].
    #[cfg(any(test, feature = "testing"))]
    pub async fn open_with_clock(options: PostgresOptions, clock: Arc<dyn Clock>) -> Result<Self, EngineError> {
        Self::open_by(options, Some(clock)).await
    }

    async fn open_by(options: PostgresOptions, clock: Option<Arc<dyn Clock>>) -> Result<Self, EngineError> {
        let options = Arc::new(options);
        let connection = Connection::open(&options, Role::Monitor, None).await?;
        bounded(prepare(&options, &connection)).await?;
        let found = durable(&options, &connection).await?;
        if !found.full_page_writes {
            tracing::warn!(
                "full_page_writes is off: right only on a file system that never leaves a page half written"
            );
        }
        let health = Health::new();
        health.reached(found.timeline, None);
        let writer = Writer::new(Arc::clone(&options), health.clone(), clock);
        writer.submit(Job::Look).await?;
        let readers = Readers::new(&options, &health)?;
        let monitor = Monitor { options, health: health.clone(), writer: writer.clone() };
        let monitor = tokio::spawn(monitor.run(connection)).abort_handle();
        Ok(Self { health, writer, readers, monitor })
    }

    /// Waits for COMMITs on their way and ends the connections. Calls after it are `Unavailable`.
    pub async fn close(&self) {
        self.monitor.abort();
        self.readers.close();
        self.writer.close().await;
    }

    /// How the engine stands.
    #[must_use]
    pub fn status(&self) -> Status {
        self.health.status()
    }

    /// Reading connections and who waits for one, for the metrics.
    #[must_use]
    pub fn pool(&self) -> PoolStatus {
        self.readers.status()
    }

    async fn read<T>(&self, read: impl Future<Output = Result<T, EngineError>>) -> Result<T, EngineError> {
        self.health.while_reachable(bounded(read)).await
    }
}

impl Drop for PostgresEngine {
    fn drop(&mut self) {
        self.monitor.abort();
    }
}

async fn prepare(options: &PostgresOptions, connection: &Connection) -> Result<(), EngineError> {
    let other = Connection::open(options, Role::Monitor, None).await?;
    pooler::refuse(connection, &other).await?;
    schema::prepare(connection).await
}

/// A standby may be about to connect: both may have been started together.
async fn durable(options: &PostgresOptions, connection: &Connection) -> Result<Found, EngineError> {
    let mut looks = 1;
    loop {
        let found = match timeout(Duration::from_millis(limits::READ_MS), Found::ask(connection)).await {
            Ok(found) => found?,
            Err(_) => return Err(EngineError::Unavailable("the database does not answer".to_owned())),
        };
        match found.problem(options.durability) {
            None => return Ok(found),
            Some(problem) if looks == limits::STANDBY_LOOKS => return Err(EngineError::Unavailable(problem)),
            Some(_) => {}
        }
        looks += 1;
        sleep(Duration::from_millis(limits::STANDBY_POLL_MS)).await;
    }
}

#[async_trait]
impl Engine for PostgresEngine {
    async fn get_many(&self, at: Position, keys: &[Key]) -> Result<Vec<Option<Cell>>, EngineError> {
        check_get(keys)?;
        self.read(self.readers.get_many(at, keys)).await
    }

    async fn scan(&self, at: Position, range: &ScanRange, page: PageLimit) -> Result<Page, EngineError> {
        self.read(self.readers.scan(at, range, page)).await
    }

    /// Dropping the future does not cancel the commit.
    async fn commit_group(&self, group: Group) -> Result<GroupOutcome, EngineError> {
        group.validate(&self.limits())?;
        self.health.check_reachable()?;
        match self.writer.submit(Job::Group(group)).await? {
            Answer::Group(outcome) => Ok(outcome),
            other => Err(EngineError::Unknown(format!("a group was answered with {other:?}"))),
        }
    }

    async fn position(&self) -> Result<Position, EngineError> {
        self.read(self.readers.position()).await
    }

    async fn lease(&self, request: LeaseRequest) -> Result<Option<Lease>, EngineError> {
        self.health.check_reachable()?;
        match self.writer.submit(Job::Lease(request)).await? {
            Answer::Lease(lease) => Ok(lease),
            other => Err(EngineError::Unknown(format!("a lease was answered with {other:?}"))),
        }
    }

    fn limits(&self) -> EngineLimits {
        EngineLimits { stall_ms: limits::COMMIT_STALL_MS, ..EngineLimits::default() }
    }
}
