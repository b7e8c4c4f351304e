//! The cluster engine: several nodes on one PostgreSQL, and the bus between them over NOTIFY.

mod options;
mod tls;

use async_trait::async_trait;
use tokio::sync::broadcast;
use wardstead_engine::{
    Bus, BusError, BusMessage, Cell, Engine, EngineError, EngineLimits, Group, GroupOutcome, Key, Lease, LeaseRequest,
    Page, PageLimit, Position, ScanRange,
};

pub use options::{Durability, PostgresOptions, PostgresOptionsError};
pub use tls::{Tls, Verification};

/// How the engine stands, for readiness and metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// The database answers.
    pub reachable: bool,
    /// A COMMIT reaches what [`Durability`] asks for; when not, groups are refused.
    pub durable: bool,
    /// Why not, in a plain sentence.
    pub problem: Option<String>,
    /// The server's timeline; a failover changes it.
    pub timeline: u32,
}

/// The engine. Dropping it ends its connections; a COMMIT that was sent goes on.
#[derive(Debug)]
pub struct PostgresEngine {}

impl PostgresEngine {
    /// Connects, makes the tables where they are missing and checks what makes a COMMIT durable.
    ///
    /// # Errors
    /// `Unavailable` with a plain sentence.
    pub async fn open(options: PostgresOptions) -> Result<Self, EngineError> {
        drop(options);
        std::future::ready(Err(soon())).await
    }

    /// Waits for COMMITs on their way and ends the connections. Calls after it are `Unavailable`.
    pub async fn close(&self) {
        std::future::ready(()).await;
    }

    /// How the engine stands.
    #[must_use]
    pub fn status(&self) -> Status {
        Status::default()
    }
}

fn soon() -> EngineError {
    EngineError::Unavailable("not built yet".to_owned())
}

#[async_trait]
impl Engine for PostgresEngine {
    async fn get_many(&self, _at: Position, _keys: &[Key]) -> Result<Vec<Option<Cell>>, EngineError> {
        Err(soon())
    }

    async fn scan(&self, _at: Position, _range: &ScanRange, _page: PageLimit) -> Result<Page, EngineError> {
        Err(soon())
    }

    async fn commit_group(&self, _group: Group) -> Result<GroupOutcome, EngineError> {
        Err(soon())
    }

    async fn position(&self) -> Result<Position, EngineError> {
        Err(soon())
    }

    async fn lease(&self, _request: LeaseRequest) -> Result<Option<Lease>, EngineError> {
        Err(soon())
    }

    fn limits(&self) -> EngineLimits {
        EngineLimits::default()
    }
}

/// The bus over NOTIFY.
#[derive(Debug)]
pub struct PostgresBus {
    sender: broadcast::Sender<BusMessage>,
}

impl PostgresBus {
    /// Connects and listens.
    ///
    /// # Errors
    /// `Unavailable` when the database cannot be reached.
    pub async fn open(options: &PostgresOptions) -> Result<Self, EngineError> {
        let _ = options;
        std::future::ready(Err(soon())).await
    }

    /// Ends the connection.
    pub async fn close(&self) {
        std::future::ready(()).await;
    }
}

#[async_trait]
impl Bus for PostgresBus {
    async fn publish(&self, _message: BusMessage) -> Result<(), BusError> {
        Err(BusError::Unavailable("not built yet".to_owned()))
    }

    fn subscribe(&self) -> broadcast::Receiver<BusMessage> {
        self.sender.subscribe()
    }
}
