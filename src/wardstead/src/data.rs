//! The open data of a server: one of two engines, its bus, the store on them.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use tokio::sync::broadcast;
use wardstead_engine::{Bus, BusError, BusMessage, Engine, LocalBus};
use wardstead_engine_postgres::{
    Durability, PoolStatus, PostgresBus, PostgresEngine, PostgresOptions, PostgresOptionsError, Status,
};
use wardstead_engine_rocksdb::{RocksEngine, RocksOptions, Status as RocksStatus};
use wardstead_limits::{Clock, OsRng, Rng, SystemClock, engine::MEMTABLE_BYTES};
use wardstead_store::Store;

use crate::{
    config::{self, Config, DatabaseUrl, Place},
    server::ServerError,
};

/// An engine that is open, as far as the binary has to know which.
#[derive(Clone, Debug)]
pub(crate) enum Backend {
    /// RocksDB in a folder.
    Rocks(Arc<RocksEngine>),
    /// PostgreSQL, and the bus over it.
    Postgres(Arc<PostgresEngine>, Arc<PostgresBus>),
}

/// A figure of an engine, for the metrics.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    pub(crate) help: &'static str,
    pub(crate) value: i64,
}

impl Backend {
    /// Opens what `config` names.
    pub(crate) async fn open(config: &Config, clock: Arc<dyn Clock>) -> Result<Self, ServerError> {
        let unusable = |reason: &dyn fmt::Display| ServerError::Unusable {
            place: config.place().to_string(),
            reason: reason.to_string(),
        };
        match config.place() {
            Place::Folder(folder) => {
                let folder = folder.to_owned();
                let options = RocksOptions { cache_bytes: config.data.block_cache_bytes, ..RocksOptions::default() };
                let opening = tokio::task::spawn_blocking(move || RocksEngine::open(&folder, &options, clock));
                let engine = opening.await?.map_err(|error| unusable(&error))?;
                Ok(Self::Rocks(Arc::new(engine)))
            }
            Place::Database(url) => {
                let options = postgres_options(config, url).map_err(|error| unusable(&error))?;
                let bus = PostgresBus::open(&options).await.map_err(|error| unusable(&error))?;
                match PostgresEngine::open(options).await {
                    Ok(engine) => Ok(Self::Postgres(Arc::new(engine), Arc::new(bus))),
                    Err(error) => {
                        bus.close().await;
                        Err(unusable(&error))
                    }
                }
            }
        }
    }

    pub(crate) fn engine(&self) -> Arc<dyn Engine> {
        match self {
            Self::Rocks(engine) => Arc::clone(engine) as Arc<dyn Engine>,
            Self::Postgres(engine, _) => Arc::clone(engine) as Arc<dyn Engine>,
        }
    }

    fn bus(&self) -> Arc<dyn Bus> {
        match self {
            Self::Rocks(_) => Arc::new(LocalBus::new()),
            Self::Postgres(_, bus) => Arc::clone(bus) as Arc<dyn Bus>,
        }
    }

    /// Which engine it is.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Rocks(_) => "rocksdb",
            Self::Postgres(..) => "postgresql",
        }
    }

    /// Why commits are not durable, in a sentence without credentials; `None` when they are.
    pub(crate) fn not_durable(&self) -> Option<String> {
        match self {
            Self::Rocks(engine) => engine.write_failure(),
            Self::Postgres(engine, _) => {
                let status = engine.status();
                (!status.durable).then(|| status.problem.unwrap_or_else(|| "not known yet".to_owned()))
            }
        }
    }

    /// Name, bytes and bound of the engine's caches, and what else it has to tell. Blocking. Nothing where it does not tell.
    pub(crate) fn figures(&self) -> (Vec<(&'static str, u64, u64)>, Vec<Figure>) {
        match self {
            Self::Rocks(engine) => engine.status().map(|status| rocks_figures(&status)).unwrap_or_default(),
            Self::Postgres(engine, _) => (Vec::new(), postgres_figures(&engine.status(), engine.pool())),
        }
    }

    pub(crate) async fn close(self) -> Result<(), ServerError> {
        match self {
            Self::Rocks(engine) => {
                tokio::task::spawn_blocking(move || engine.close()).await?.map_err(ServerError::Close)
            }
            Self::Postgres(engine, bus) => {
                engine.close().await;
                bus.close().await;
                Ok(())
            }
        }
    }
}

fn postgres_options(config: &Config, url: &DatabaseUrl) -> Result<PostgresOptions, PostgresOptionsError> {
    let password = url.password().map(str::to_owned);
    let mut options = PostgresOptions::from_url(url.address(), password, config.database.ca_file.as_deref())?;
    options.durability = match config.cluster.durability {
        config::Durability::Standby => Durability::Standby,
        config::Durability::Primary => Durability::Primary,
    };
    options.connections = config.database.connections;
    Ok(options)
}

fn rocks_figures(status: &RocksStatus) -> (Vec<(&'static str, u64, u64)>, Vec<Figure>) {
    let figure = |name, help, value| Figure { name, help, value: i64::try_from(value).unwrap_or(i64::MAX) };
    let cache = ("rocksdb_blocks", status.block_cache_bytes, status.block_cache_limit_bytes);
    let memtables = ("rocksdb_memtables", status.memtable_bytes, MEMTABLE_BYTES as u64);
    let figures = vec![
        figure("wardstead_rocksdb_wal_bytes", "Bytes of the log of writes that are in no table yet", status.wal_bytes),
        figure("wardstead_rocksdb_wal_limit_bytes", "Bytes at which memtables are written out", status.wal_limit_bytes),
        figure("wardstead_rocksdb_table_bytes", "Bytes of all tables", status.table_bytes),
        figure("wardstead_rocksdb_compaction_bytes", "Bytes that wait to be compacted", status.compaction_bytes),
    ];
    (vec![cache, memtables], figures)
}

fn postgres_figures(status: &Status, pool: PoolStatus) -> Vec<Figure> {
    let figure = |name, help, value| Figure { name, help, value };
    let count = |number| i64::try_from(number).unwrap_or(i64::MAX);
    vec![
        figure("wardstead_postgres_reachable", "1: the database answers", status.reachable.into()),
        figure(
            "wardstead_postgres_durable",
            "1: a commit reaches what cluster.durability asks for",
            status.durable.into(),
        ),
        figure("wardstead_postgres_timeline", "The timeline; a failover changes it", status.timeline.into()),
        figure("wardstead_postgres_pool_open", "Reading connections that are open", count(pool.open)),
        figure("wardstead_postgres_pool_idle", "Reading connections that nobody uses", count(pool.idle)),
        figure("wardstead_postgres_pool_limit", "Reading connections that are opened at most", count(pool.most)),
        figure("wardstead_postgres_pool_waiting", "Reads that wait for a connection", count(pool.waiting)),
    ]
}

/// The open data of a server.
pub(crate) struct Data {
    pub(crate) backend: Backend,
    pub(crate) store: Store,
}

impl Data {
    /// Opens the data that `config` names; with a bus that carries nothing where `cut_bus`.
    pub(crate) async fn open(config: &Config, cut_bus: bool) -> Result<Self, ServerError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let rng: Arc<dyn Rng> = Arc::new(OsRng::new().map_err(ServerError::Randomness)?);
        let backend = Backend::open(config, Arc::clone(&clock)).await?;
        let bus = if cut_bus { Arc::new(CutBus::default()) } else { backend.bus() };
        let store = Store::open(backend.engine(), bus, config.server.name.as_str(), clock, rng).await;
        match store {
            Ok(store) => Ok(Self { backend, store }),
            Err(reason) => {
                backend.close().await?;
                Err(ServerError::Unusable { place: config.place().to_string(), reason: reason.to_string() })
            }
        }
    }

    /// Commits what was submitted, then closes the engine: in this order, or the committer would find it closed.
    pub(crate) async fn close(self) -> Result<(), ServerError> {
        let Self { backend, store } = self;
        store.close().await;
        backend.close().await
    }
}

/// A bus that carries nothing to anybody, the sender included: what is left then is polling (promise P5).
#[derive(Debug)]
struct CutBus(broadcast::Sender<BusMessage>);

impl Default for CutBus {
    fn default() -> Self {
        Self(broadcast::Sender::new(1))
    }
}

#[async_trait]
impl Bus for CutBus {
    async fn publish(&self, message: BusMessage) -> Result<(), BusError> {
        wardstead_engine::bus::check(&message)
    }

    fn subscribe(&self) -> broadcast::Receiver<BusMessage> {
        self.0.subscribe()
    }
}
