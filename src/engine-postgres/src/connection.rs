//! One connection: made within a bound, set up by its role, driven by a task that keeps the server's warnings.

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures::future::poll_fn;
use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::mpsc,
    task::JoinHandle,
    time::timeout,
};
use tokio_postgres::{
    AsyncMessage, Client, Config, Notification, SimpleQueryMessage, Statement, config::Host, error::Severity,
};
use wardstead_engine::EngineError;
use wardstead_limits::postgres as limits;

use crate::{PostgresOptions, error, sql::Sql};

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Reads, each a statement of its own.
    Reader,
    /// Groups and leases.
    Writer,
    /// Looks whether all is well.
    Monitor,
    /// The bus: nothing on it waits for a disk or a standby.
    Bus,
}

/// What every session sets. Plans are made once a statement and go by index, whatever the statistics of a young table say.
/// Warnings are always sent: one on COMMIT means that a standby does not have it.
const SETTINGS: &str = "SET client_min_messages = warning; SET default_transaction_isolation = 'read committed'; \
    SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET enable_bitmapscan = off; \
    SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_material = off; \
    SET max_parallel_workers_per_gather = 0; SET jit = off;";

impl Role {
    fn settings(self) -> String {
        let (statement_ms, commit) = match self {
            Self::Reader | Self::Monitor => (limits::READ_MS, ""),
            // `remote_apply` waits for more than `on` and is left alone.
            Self::Writer => (
                limits::WRITE_STATEMENT_MS,
                "SELECT set_config('synchronous_commit', 'on', false) \
                 WHERE current_setting('synchronous_commit') <> 'remote_apply';",
            ),
            Self::Bus => (limits::READ_MS, "SET synchronous_commit = off;"),
        };
        format!(
            "{SETTINGS} SET statement_timeout = {statement_ms}; SET lock_timeout = {}; \
             SET idle_in_transaction_session_timeout = {}; {commit}",
            limits::POSITION_LOCK_MS,
            limits::IDLE_IN_TRANSACTION_MS,
        )
    }
}

/// Which server it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Server {
    /// Number that `initdb` gave it, shared by its standbys.
    pub(crate) system_identifier: i64,
    /// Process number of the backend.
    pub(crate) backend: i64,
}

/// An open connection. Dropping it cuts it: whoever sent a COMMIT keeps it until the answer is there.
pub(crate) struct Connection {
    client: Client,
    _driver: Driver,
    warning: Arc<Mutex<Option<String>>>,
    statements: HashMap<Sql, Statement>,
    pub(crate) server: Server,
    /// A position that this server has shown to be visible.
    pub(crate) seen: u64,
}

impl Connection {
    /// Tries the hosts in order; the first that takes writes is used.
    ///
    /// # Errors
    /// `Unavailable` with the last host's failure.
    pub(crate) async fn open(
        options: &PostgresOptions,
        role: Role,
        notifications: Option<mpsc::Sender<Notification>>,
    ) -> Result<Self, EngineError> {
        let mut failure = EngineError::Unavailable("the database has no host".to_owned());
        // One by one, so that a host that hangs does not take the time of those after it.
        for config in hosts(&options.config) {
            let opening = Self::open_host(&config, options, role, notifications.clone());
            failure = match timeout(Duration::from_millis(limits::CONNECT_MS), opening).await {
                Ok(Ok(connection)) => return Ok(connection),
                Ok(Err(error)) => error,
                Err(_) => EngineError::Unavailable("the database does not answer".to_owned()),
            };
        }
        Err(failure)
    }

    async fn open_host(
        config: &Config,
        options: &PostgresOptions,
        role: Role,
        notifications: Option<mpsc::Sender<Notification>>,
    ) -> Result<Self, EngineError> {
        let connected = config.connect(options.tls.connector()).await;
        let (client, connection) = connected.map_err(|error| error::unavailable(&error))?;
        let warning = Arc::new(Mutex::new(None));
        let driver = Driver(tokio::spawn(drive(connection, Arc::clone(&warning), notifications)));
        let server = set_up(&client, role).await?;
        Ok(Self { client, _driver: driver, warning, statements: HashMap::new(), server, seen: 0 })
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// The prepared statement.
    ///
    /// # Errors
    /// What preparing it fails with.
    pub(crate) async fn statement(&mut self, sql: Sql) -> Result<Statement, tokio_postgres::Error> {
        if let Some(statement) = self.statements.get(&sql) {
            return Ok(statement.clone());
        }
        let statement = self.client.prepare_typed(&sql.text(), &sql.types()).await?;
        self.statements.insert(sql, statement.clone());
        Ok(statement)
    }

    /// The last warning since it was taken before.
    pub(crate) fn take_warning(&self) -> Option<String> {
        self.warning.lock().take()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }
}

/// The task of a connection.
struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Carries what is sent and received until the connection ends. A warning is noted before the answer that follows it is
/// handed on: the server sends them in this order, and this is the one task that reads them.
async fn drive<S, T>(
    mut connection: tokio_postgres::Connection<S, T>,
    warning: Arc<Mutex<Option<String>>>,
    notifications: Option<mpsc::Sender<Notification>>,
) where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        match poll_fn(|context| connection.poll_message(context)).await {
            Some(Ok(AsyncMessage::Notice(notice))) => {
                let harmless = matches!(
                    notice.parsed_severity(),
                    Some(Severity::Notice | Severity::Info | Severity::Log | Severity::Debug)
                );
                if !harmless {
                    tracing::warn!(code = notice.code().code(), "PostgreSQL warns: {}", notice.message());
                    *warning.lock() = Some(format!("{} ({})", notice.message(), notice.code().code()));
                }
            }
            Some(Ok(AsyncMessage::Notification(notification))) => {
                // A bus that is full loses messages.
                notifications.as_ref().map(|bus| bus.try_send(notification));
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => {
                tracing::debug!("a connection ended: {}", error::describe(&error));
                return;
            }
            None => return,
        }
    }
}

async fn set_up(client: &Client, role: Role) -> Result<Server, EngineError> {
    let ask = format!("{} {WHICH_SERVER}", role.settings());
    let answers = client.simple_query(&ask).await.map_err(|error| error::unavailable(&error))?;
    let row = answers.iter().rev().find_map(|answer| match answer {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    let number = |column| row.and_then(|row| row.get(column)).and_then(|text| text.parse::<i64>().ok());
    let (Some(version), Some(backend), Some(system_identifier)) = (number(0), number(1), number(2)) else {
        return Err(EngineError::Unavailable("the database did not say which server it is".to_owned()));
    };
    if version < OLDEST_VERSION {
        let major = version / 10_000;
        return Err(EngineError::Unavailable(format!("PostgreSQL {major} is too old, 13 is the oldest that serves")));
    }
    Ok(Server { system_identifier, backend })
}

const WHICH_SERVER: &str = "SELECT current_setting('server_version_num'), pg_backend_pid(), \
    (SELECT system_identifier FROM pg_control_system())";

/// As PostgreSQL counts: 13.0.
const OLDEST_VERSION: i64 = 130_000;

/// One configuration for each host, in order. `Config` cannot drop hosts, so everything else is copied.
fn hosts(config: &Config) -> Vec<Config> {
    let count = config.get_hosts().len().max(config.get_hostaddrs().len());
    let ports = config.get_ports();
    let one = |at: usize| {
        let mut one = Config::new();
        match config.get_hosts().get(at) {
            Some(Host::Tcp(name)) => drop(one.host(name)),
            Some(Host::Unix(folder)) => drop(one.host_path(folder)),
            None => {}
        }
        config.get_hostaddrs().get(at).map(|address| one.hostaddr(*address));
        ports.get(at).or(ports.first()).map(|port| one.port(*port));
        config.get_user().map(|user| one.user(user));
        config.get_password().map(|password| one.password(password));
        config.get_dbname().map(|name| one.dbname(name));
        config.get_options().map(|options| one.options(options));
        config.get_application_name().map(|name| one.application_name(name));
        config.get_connect_timeout().map(|wait| one.connect_timeout(*wait));
        config.get_tcp_user_timeout().map(|wait| one.tcp_user_timeout(*wait));
        config.get_keepalives_interval().map(|wait| one.keepalives_interval(wait));
        config.get_keepalives_retries().map(|retries| one.keepalives_retries(retries));
        one.ssl_mode(config.get_ssl_mode())
            .ssl_negotiation(config.get_ssl_negotiation())
            .keepalives(config.get_keepalives())
            .keepalives_idle(config.get_keepalives_idle())
            .target_session_attrs(config.get_target_session_attrs())
            .channel_binding(config.get_channel_binding());
        one
    };
    (0..count).map(one).collect()
}
