//! The configuration file. `config.example.toml` is generated from the comments in this file.

#![expect(unused_qualifications, reason = "the derive macro's paths carry the spans of our fields")]
#![expect(clippy::doc_markdown, reason = "these comments are the text of a configuration file")]

mod database;
mod directory;
mod limits;
mod media;
mod push;
mod registration;
mod rooms;
mod sessions;
mod well_known;

use std::{
    fmt,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use confique::{Config as _, File, FileFormat, toml::FormatOptions};
use ruma::OwnedServerName;
use serde::Deserialize;
use wardstead_api::AddressBlock;
use wardstead_limits::engine::{BLOCK_CACHE_BYTES, BLOCK_CACHE_LEAST_BYTES};

use database::URL_VARIABLE;
pub use database::{Cluster, Database, DatabaseUrl, Durability, Environment, Secret};
pub use directory::{Directory, People};
pub use limits::{FailedLogin, Limits};
pub use media::Media;
pub use push::Push;
pub use registration::{Document, Registration, RegistrationMode};
pub use rooms::{DefaultVersion, Rooms};
pub use sessions::Sessions;
pub use well_known::WellKnown;

/// Configuration of a Wardstead server.
///
/// A relative path is meant relative to the folder of this file. A key that is not listed here is an error.
#[derive(Clone, Debug, confique::Config)]
#[config(partial_attr(derive(Debug, Clone)))]
#[config(partial_attr(serde(deny_unknown_fields)))]
pub struct Config {
    /// Name and addresses.
    #[config(nested)]
    pub server: Server,

    /// The data of a single node: a folder. Give this or [database].
    #[config(nested)]
    pub data: Data,

    /// The data of one or several nodes: a PostgreSQL database. Give this or a folder in [data].
    #[config(nested)]
    pub database: Database,

    /// How several nodes on one database work together.
    #[config(nested)]
    pub cluster: Cluster,

    /// Health and metrics for those who run the server: /health/live, /health/ready and /metrics.
    #[config(nested)]
    pub observe: Observe,

    /// What "/.well-known/matrix/server" and "/.well-known/matrix/support" answer; nothing unless it is here. They are asked of
    /// the server's name, so the web server there passes them on.
    #[config(nested)]
    pub well_known: WellKnown,

    /// Who may make an account.
    #[config(nested)]
    pub registration: Registration,

    /// How long people stay signed in.
    #[config(nested)]
    pub sessions: Sessions,

    /// How rooms are made.
    #[config(nested)]
    pub rooms: Rooms,

    /// How people are found.
    #[config(nested)]
    pub directory: Directory,

    /// How often people may do what costs others something. "10/s, burst 100": a hundred at once, then ten a second; the units
    /// are "s", "min" and "h"; "off": any number of times. "account": by one person. "address": by all who come from one
    /// IPv4 address or one /64 of IPv6, such as everybody in a hospital. Sending has no limit by address unless you set
    /// one, since a neighbour's mistake must not hold up a message. Reading has none at all.
    #[config(nested)]
    pub limits: Limits,

    /// Files that people send.
    #[config(nested)]
    pub media: Media,

    /// How phones are told of events while no app is open: by push gateways, which makers of apps run, or you. Gateways are told
    /// which event it is and how much is unread, never what was said.
    #[config(nested)]
    pub push: Push,

    /// Who is online, and since when.
    #[config(nested)]
    pub presence: Presence,

    /// What is logged, to standard error.
    #[config(nested)]
    pub log: Log,
}

/// `[server]`
#[derive(Clone, Debug, confique::Config)]
#[config(partial_attr(derive(Debug, Clone)))]
#[config(partial_attr(serde(deny_unknown_fields)))]
pub struct Server {
    /// Name of the server: what stands behind the colon of its user ids, such as "example.org". It is part of every
    /// event and cannot be changed after the first start.
    pub name: OwnedServerName,

    /// Addresses to serve on, without TLS. Put a reverse proxy that speaks TLS in front before it listens beyond this
    /// machine.
    #[config(default = ["127.0.0.1:8008"])]
    pub listen: Vec<SocketAddr>,

    /// Where clients reach this server from outside, such as "https://matrix.example.org". It is what
    /// "/.well-known/matrix/client" answers; without it, what the client asked for.
    pub base_url: Option<String>,

    /// Addresses of your reverse proxies, and ranges such as "10.1.0.0/28": the client's address is what they say in
    /// "X-Forwarded-For", and limits are counted by it. List proxies only, never the network that people are in, and see
    /// that each adds to the header or overwrites it: what a listed address passes on, a client may have forged.
    #[config(default = ["127.0.0.0/8", "::1"])]
    pub trusted_proxies: Vec<AddressBlock>,
}

/// `[data]`
#[derive(Clone, Debug, confique::Config)]
#[config(partial_attr(derive(Debug, Clone)))]
#[config(partial_attr(serde(deny_unknown_fields)))]
pub struct Data {
    /// Folder of the data, on a disk of this machine. It is made when it does not exist; one server at a time can use it.
    pub dir: Option<PathBuf>,

    /// Bytes of memory for blocks of data read from the disk, at least 8388608 (8 MiB).
    #[config(default = 268_435_456)]
    pub block_cache_bytes: usize,
}

/// `[observe]`
#[derive(Clone, Debug, confique::Config)]
#[config(partial_attr(derive(Debug, Clone)))]
#[config(partial_attr(serde(deny_unknown_fields)))]
pub struct Observe {
    /// Whether there is this listener.
    #[config(default = true)]
    pub enabled: bool,

    /// Where it listens. Whoever reaches it reads figures about the server, none about people or rooms; nothing can be
    /// changed there. A second server on the same machine needs another port.
    #[config(default = "127.0.0.1:9008")]
    pub listen: SocketAddr,
}

/// `[presence]`
#[derive(Clone, Copy, Debug, confique::Config)]
#[config(partial_attr(derive(Debug, Clone)))]
#[config(partial_attr(serde(deny_unknown_fields)))]
pub struct Presence {
    /// Whether people see who of their contacts is online. Costs work for each person who comes and goes.
    #[config(default = false)]
    pub enabled: bool,
}

/// `[log]`
#[derive(Clone, Debug, confique::Config)]
#[config(partial_attr(derive(Debug, Clone)))]
#[config(partial_attr(serde(deny_unknown_fields)))]
pub struct Log {
    /// Which events are logged: a level ("error", "warn", "info", "debug", "trace"), or a list such as
    /// "warn,wardstead_store=debug". ruma tells about every rule that it applies to every event, hence its own level.
    #[config(default = "info,ruma_state_res=warn")]
    pub filter: String,

    /// "json": one object a line, for a log store. "human": for a terminal.
    #[config(default = "json")]
    pub format: LogFormat,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// Text for a terminal.
    Human,
}

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It could not be read, or says what no configuration can say.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong, with the key and the line where there is one.
        reason: String,
    },
}

impl Config {
    /// Reads and checks `path`, with the environment of this process. Relative paths in it become relative to its folder.
    ///
    /// # Errors
    /// [`ConfigError`], naming the file and the key.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        Self::load_with(path, Environment::of_this_process())
    }

    /// As [`Self::load`], with another environment.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_with(path: &Path, environment: Environment) -> Result<Self, ConfigError> {
        let refused = |reason: String| ConfigError::File { path: path.to_owned(), reason };
        let partial = File::with_format(path, FileFormat::Toml).required().load();
        let config =
            partial.and_then(Self::from_partial_with_defaults).map_err(|error| refused(unquoted(&reasons(&error))))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        config.registration.check(false).map_err(refused)?;
        config.checked(folder, environment).map_err(refused)
    }

    /// What `--dev` runs with, beside [`crate::Policy::dev`].
    ///
    /// # Errors
    /// A sentence: not exactly one of folder and database, or a password where everybody can read it.
    pub fn dev(dev: Dev, environment: Environment) -> Result<Self, String> {
        let Dev {
            name,
            listen,
            data_dir,
            database,
            durability,
            observe,
            default_room_version,
            people,
            registration_secret,
        } = dev;
        let config = Self {
            server: Server { name, listen, base_url: None, trusted_proxies: Vec::new() },
            data: Data { dir: data_dir, block_cache_bytes: BLOCK_CACHE_BYTES },
            database: Database::of_url(database),
            cluster: Cluster { durability },
            observe: Observe {
                enabled: observe.is_some(),
                listen: observe.unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
            },
            well_known: WellKnown::default(),
            registration: Registration::dev(registration_secret),
            sessions: Sessions::dev(),
            rooms: Rooms { default_version: default_room_version },
            directory: Directory { people },
            limits: Limits::default(),
            media: Media::dev(),
            push: Push::dev(),
            presence: Presence { enabled: true },
            log: Log { filter: "info,ruma_state_res=warn".to_owned(), format: LogFormat::Human },
        };
        config.registration.check(true)?;
        config.checked(Path::new(""), environment)
    }

    /// Where the data is: what decides which engine runs.
    #[must_use]
    pub fn place(&self) -> Place<'_> {
        match (&self.data.dir, &self.database.url) {
            (_, Some(url)) => Place::Database(url),
            (Some(folder), None) => Place::Folder(folder),
            // `checked` lets no such configuration pass.
            (None, None) => Place::Folder(Path::new("")),
        }
    }

    /// Where files are that people send; nowhere, when the data is in a database and no folder is named.
    #[must_use]
    pub fn media_folder(&self) -> Option<PathBuf> {
        self.media.folder(self.data.dir.as_deref())
    }

    /// What a commit has reached when it is acknowledged: "disk", "primary" or "standby".
    #[must_use]
    pub fn durability(&self) -> &'static str {
        match (self.place(), self.cluster.durability) {
            (Place::Folder(_), _) => "disk",
            (Place::Database(_), Durability::Primary) => "primary",
            (Place::Database(_), Durability::Standby) => "standby",
        }
    }

    fn from_partial_with_defaults(partial: <Self as confique::Config>::Partial) -> Result<Self, confique::Error> {
        use confique::Partial as _;
        Self::from_partial(partial.with_fallback(<Self as confique::Config>::Partial::default_values()))
    }

    fn checked(mut self, folder: &Path, environment: Environment) -> Result<Self, String> {
        if self.server.listen.is_empty() {
            return Err("server.listen: needs at least one address".to_owned());
        }
        if let Some(url) = &mut self.server.base_url {
            if !(url.starts_with("https://") || url.starts_with("http://")) {
                return Err(format!("server.base_url: \"{url}\" does not start with https://"));
            }
            url.truncate(url.trim_end_matches('/').len());
        }
        if self.data.block_cache_bytes < BLOCK_CACHE_LEAST_BYTES {
            return Err(format!("data.block_cache_bytes: must be at least {BLOCK_CACHE_LEAST_BYTES}"));
        }
        self.limits.check()?;
        self.sessions.check()?;
        self.well_known.check()?;
        self.database.complete(folder, environment)?;
        if let Some(data) = &mut self.data.dir {
            *data = folder.join(&data);
        }
        self.media.complete(folder);
        match (&self.data.dir, &self.database.url) {
            (Some(_), Some(url)) => Err(format!(
                "the data is in a folder or in a database, not in both: there are a data folder and the database {url} \
                 (database.url, --database or {URL_VARIABLE}). Take one of them out"
            )),
            (None, None) => Err(format!(
                "where is the data? Give a folder (data.dir, or --data-dir with --dev), or a database (database.url, \
                 --database with --dev, or {URL_VARIABLE})"
            )),
            _ => Ok(self),
        }
    }
}

/// What the command line says for `--dev`.
#[derive(Clone, Debug)]
pub struct Dev {
    /// The server's name.
    pub name: OwnedServerName,
    /// Where it serves.
    pub listen: Vec<SocketAddr>,
    /// The folder of the data, or
    pub data_dir: Option<PathBuf>,
    /// the database.
    pub database: Option<DatabaseUrl>,
    /// When a commit in the database counts as durable.
    pub durability: Durability,
    /// Where health and metrics are; nowhere unless asked for.
    pub observe: Option<SocketAddr>,
    /// The version of a room for which its creator names none.
    pub default_room_version: DefaultVersion,
    /// Whom people find.
    pub people: People,
    /// Who knows it makes accounts.
    pub registration_secret: Option<Secret>,
}

/// Where the data of a server is.
#[derive(Clone, Copy, Debug)]
pub enum Place<'a> {
    /// In RocksDB, in this folder.
    Folder(&'a Path),
    /// In PostgreSQL, in [`Config::database`].
    Database(&'a DatabaseUrl),
}

impl fmt::Display for Place<'_> {
    /// Without credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => {
                std::path::absolute(folder).unwrap_or_else(|_| (*folder).to_owned()).display().fmt(f)
            }
            Self::Database(url) => url.fmt(f),
        }
    }
}

/// The text of `config.example.toml`.
#[must_use]
pub fn example() -> String {
    confique::toml::template::<Config>(FormatOptions::default())
}

/// TOML's errors quote the line. One with the address of a database may hold a password that should not be there.
fn unquoted(reasons: &str) -> String {
    let lines = reasons.lines().map(|line| if line.contains("postgres") { "…" } else { line });
    lines.collect::<Vec<_>>().join("\n")
}

/// An error with what caused it.
pub(crate) fn reasons(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let reason = source.to_string();
        if !text.contains(reason.trim_end()) {
            text.push_str(": ");
            text.push_str(reason.trim_end());
        }
        next = source.source();
    }
    text
}

#[cfg(test)]
pub(crate) mod tests;
