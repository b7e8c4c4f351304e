//! Looks all the time whether the database is there, and every 10 s whether a COMMIT on it is durable and whether it is
//! still the same server.

use std::{sync::Arc, time::Duration};

use tokio::time::{sleep, timeout};
use wardstead_engine::EngineError;
use wardstead_limits::postgres as limits;

use crate::{
    PostgresOptions,
    commit::Writer,
    connection::{Connection, Role},
    durability::Found,
    error,
    health::Health,
    transaction::Job,
};

/// What the monitor works with.
pub(crate) struct Monitor {
    pub(crate) options: Arc<PostgresOptions>,
    pub(crate) health: Health,
    pub(crate) writer: Writer,
}

impl Monitor {
    /// Never ends. `connection` is the one that opening has used.
    pub(crate) async fn run(self, connection: Connection) {
        let mut open = Some(connection);
        let mut pause_ms = limits::RECONNECT_LEAST_MS;
        loop {
            let connection = match open.take() {
                Some(connection) => Ok(connection),
                None => Connection::open(&self.options, Role::Monitor, None).await,
            };
            let error = match connection {
                Ok(connection) => self.watch(&connection, &mut pause_ms).await,
                Err(error) => {
                    self.health.lost(&error.to_string());
                    error
                }
            };
            tracing::debug!(%error, "the monitor connects again");
            sleep(Duration::from_millis(pause_ms)).await;
            pause_ms = (pause_ms * 2).min(limits::RECONNECT_MOST_MS);
        }
    }

    /// Looks until the connection ends. Its end alone does not mean that the database is lost: connecting again shows.
    async fn watch(&self, connection: &Connection, pause_ms: &mut u64) -> EngineError {
        // Of a connection that is new: what opening has looked at need not be looked at again.
        let mut since_check_ms = if self.health.losses() == 0 { 0 } else { limits::DURABILITY_CHECK_MS };
        loop {
            let status = self.health.status();
            let all_is_well = status.reachable && status.durable;
            let due = since_check_ms >= limits::DURABILITY_CHECK_MS || !all_is_well;
            let looking = async { if due { self.check(connection).await } else { ping(connection).await } };
            match timeout(Duration::from_millis(limits::PING_ANSWER_MS), looking).await {
                Ok(Ok(())) => *pause_ms = limits::RECONNECT_LEAST_MS,
                Ok(Err(error)) => return error,
                Err(_) => {
                    let why = "the database does not answer";
                    self.health.lost(why);
                    return EngineError::Unavailable(why.to_owned());
                }
            }
            since_check_ms = if due { 0 } else { since_check_ms + limits::PING_MS };
            sleep(Duration::from_millis(limits::PING_MS)).await;
        }
    }

    async fn check(&self, connection: &Connection) -> Result<(), EngineError> {
        let found = Found::ask(connection).await?;
        let problem = found.problem(self.options.durability);
        let looks = problem.is_none();
        self.health.reached(found.timeline, problem);
        if looks {
            // A group would find another server too, but there may be none for a long time. It has its own time to take.
            let writer = self.writer.clone();
            tokio::spawn(async move {
                if let Err(error) = writer.submit(Job::Look).await {
                    tracing::debug!(%error, "the timeline was not looked at");
                }
            });
        }
        Ok(())
    }
}

async fn ping(connection: &Connection) -> Result<(), EngineError> {
    connection.client().batch_execute("SELECT").await.map_err(|error| error::unavailable(&error))
}
