//! The configuration file. `config.example.toml` is generated from the comments in this file.

#![expect(unused_qualifications, reason = "the derive macro's paths carry the spans of our fields")]
#![expect(clippy::doc_markdown, reason = "these comments are the text of a configuration file")]

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use confique::{Config as _, File, FileFormat, toml::FormatOptions};
use ruma::OwnedServerName;
use serde::Deserialize;
use wardstead_limits::engine::{BLOCK_CACHE_BYTES, BLOCK_CACHE_LEAST_BYTES};

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

    /// Where the data is, and how much memory it may take.
    #[config(nested)]
    pub data: Data,

    /// Who may make an account.
    #[config(nested)]
    pub registration: Registration,

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
}

/// `[data]`
#[derive(Clone, Debug, confique::Config)]
#[config(partial_attr(derive(Debug, Clone)))]
#[config(partial_attr(serde(deny_unknown_fields)))]
pub struct Data {
    /// Folder of the data. It is made when it does not exist; one server at a time can use it.
    pub dir: PathBuf,

    /// Bytes of memory for blocks of data read from the disk, at least 8388608 (8 MiB).
    #[config(default = 268_435_456)]
    pub block_cache_bytes: usize,
}

/// `[registration]`
#[derive(Clone, Debug, confique::Config)]
#[config(partial_attr(derive(Debug, Clone)))]
#[config(partial_attr(serde(deny_unknown_fields)))]
pub struct Registration {
    /// "token": with a registration token. "closed": nobody.
    ///
    /// While there is no account at all, the server prints a token at its start, good for one account, the
    /// administrator's.
    #[config(default = "token")]
    pub mode: RegistrationMode,
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

/// Who may register. That everybody may, only `--dev` can say: see [`crate::Policy`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RegistrationMode {
    /// Who has a registration token.
    Token,
    /// Nobody.
    Closed,
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
    /// Reads and checks `path`. Relative paths in it become relative to its folder.
    ///
    /// # Errors
    /// [`ConfigError`], naming the file and the key.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let refused = |reason: String| ConfigError::File { path: path.to_owned(), reason };
        let partial = File::with_format(path, FileFormat::Toml).required().load();
        let config = partial.and_then(Self::from_partial_with_defaults).map_err(|error| refused(reasons(&error)))?;
        let mut config = config.checked().map_err(refused)?;
        if let Some(folder) = path.parent() {
            config.data.dir = folder.join(&config.data.dir);
        }
        Ok(config)
    }

    /// What `--dev` runs with, beside [`crate::Policy::dev`].
    #[must_use]
    pub fn dev(name: OwnedServerName, listen: Vec<SocketAddr>, data_dir: PathBuf) -> Self {
        Self {
            server: Server { name, listen, base_url: None },
            data: Data { dir: data_dir, block_cache_bytes: BLOCK_CACHE_BYTES },
            registration: Registration { mode: RegistrationMode::Token },
            log: Log { filter: "info,ruma_state_res=warn".to_owned(), format: LogFormat::Human },
        }
    }

    fn from_partial_with_defaults(partial: <Self as confique::Config>::Partial) -> Result<Self, confique::Error> {
        use confique::Partial as _;
        Self::from_partial(partial.with_fallback(<Self as confique::Config>::Partial::default_values()))
    }

    fn checked(mut self) -> Result<Self, String> {
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
        Ok(self)
    }
}

/// The text of `config.example.toml`.
#[must_use]
pub fn example() -> String {
    confique::toml::template::<Config>(FormatOptions::default())
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
mod tests;
