//! Where the database is, and what is asked of it.

use std::{net::IpAddr, path::Path, time::Duration};

use tokio_postgres::config::{Host, LoadBalanceHosts, SslMode, TargetSessionAttrs};
use wardstead_limits::postgres as limits;

use crate::tls::{Tls, Verification};

/// What a COMMIT must have reached before it is acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// The disks of the primary and of a synchronous standby: the loss of one machine loses nothing.
    #[default]
    Standby,
    /// The disk of the primary alone: a failover may lose what was acknowledged last. Has to be chosen.
    Primary,
}

/// How to reach the database.
#[derive(Clone)]
pub struct PostgresOptions {
    /// Hosts, user, database, password, time-outs.
    pub config: tokio_postgres::Config,
    /// How connections are encrypted.
    pub tls: Tls,
    /// What a COMMIT must have reached.
    pub durability: Durability,
    /// Connections that serve reads, at least 1. The engine has two more of its own, the bus one.
    pub connections: usize,
}

impl std::fmt::Debug for PostgresOptions {
    /// `Config` prints no password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresOptions")
            .field("user", &self.config.get_user())
            .field("hosts", &self.config.get_hosts())
            .field("database", &self.config.get_dbname())
            .field("tls", &self.tls)
            .field("durability", &self.durability)
            .field("connections", &self.connections)
            .finish_non_exhaustive()
    }
}

/// Why the options cannot be used. No message holds the URL, which may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PostgresOptionsError {
    /// Not the URL of a database.
    #[error("the database URL is not of the form postgres://USER@HOST:PORT/DATABASE: {0}")]
    Url(String),
    /// Something is missing.
    #[error("the database URL names no {0}")]
    Missing(&'static str),
    /// An `sslmode` that is not known.
    #[error("sslmode is one of disable, prefer, require, verify-full")]
    SslMode,
    /// The file of certificates cannot be used.
    #[error("{file}: {why}")]
    Certificates {
        /// The file, or where the system keeps its own.
        file: String,
        /// What is wrong.
        why: String,
    },
}

impl PostgresOptions {
    /// Reads a URL `postgres://USER@HOST:PORT/DATABASE?sslmode=…`; a Unix socket is `postgres://USER@/DATABASE?host=/folder`
    /// (and `&port=`). Several hosts may be given, `HOST,HOST` or `host=` more than once; the one that takes writes is used. `password` goes
    /// before one in the URL.
    ///
    /// Without `sslmode` it is `verify-full` for hosts elsewhere, and `prefer` for this machine's. Certificates are held
    /// against those in the PEM file `ca`, or the system's; `require` verifies only where `ca` is given, as libpq does.
    ///
    /// # Errors
    /// [`PostgresOptionsError`], which never holds the password.
    pub fn from_url(url: &str, password: Option<String>, ca: Option<&Path>) -> Result<Self, PostgresOptionsError> {
        let (url, mode) = take_ssl_mode(url);
        let mut config: tokio_postgres::Config =
            url.parse().map_err(|error| PostgresOptionsError::Url(reason(&error)))?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(PostgresOptionsError::Missing("host"));
        }
        if config.get_user().is_none_or(str::is_empty) {
            return Err(PostgresOptionsError::Missing("user"));
        }
        if config.get_dbname().is_none_or(str::is_empty) {
            return Err(PostgresOptionsError::Missing("database"));
        }
        if let Some(password) = password {
            config.password(password);
        }
        let default = if is_local(&config) { "prefer" } else { "verify-full" };
        let (ssl, verification) = match (mode.as_deref().unwrap_or(default), ca) {
            ("disable", _) => (SslMode::Disable, Verification::None),
            ("prefer", _) => (SslMode::Prefer, Verification::None),
            ("require", None) => (SslMode::Require, Verification::None),
            ("require", Some(_)) => (SslMode::Require, Verification::Certificate),
            ("verify-full", _) => (SslMode::Require, Verification::Full),
            _ => return Err(PostgresOptionsError::SslMode),
        };
        config.ssl_mode(ssl);
        set_waits(&mut config);
        let tls = if ssl == SslMode::Disable { Tls::none() } else { Tls::new(verification, ca)? };
        Ok(Self { config, tls, durability: Durability::default(), connections: limits::READ_CONNECTIONS })
    }
}

fn set_waits(config: &mut tokio_postgres::Config) {
    config
        .application_name("wardstead")
        // A standby that answers first is of no use.
        .target_session_attrs(TargetSessionAttrs::ReadWrite)
        .load_balance_hosts(LoadBalanceHosts::Disable)
        .connect_timeout(Duration::from_millis(limits::CONNECT_MS))
        .tcp_user_timeout(Duration::from_millis(limits::TCP_USER_MS))
        .keepalives(true)
        .keepalives_idle(Duration::from_millis(limits::KEEPALIVE_IDLE_MS))
        .keepalives_interval(Duration::from_millis(limits::KEEPALIVE_INTERVAL_MS))
        .keepalives_retries(limits::KEEPALIVE_RETRIES);
}

fn is_local(config: &tokio_postgres::Config) -> bool {
    let hosts = config.get_hosts().iter().all(|host| match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => name == "localhost" || name.parse().is_ok_and(|address: IpAddr| address.is_loopback()),
    });
    hosts && config.get_hostaddrs().iter().all(IpAddr::is_loopback)
}

/// `Config` does not know `verify-full`, so the parameter is taken out of the URL.
fn take_ssl_mode(url: &str) -> (String, Option<String>) {
    let Some((base, query)) = url.split_once('?') else { return (url.to_owned(), None) };
    let mut mode = None;
    let rest: Vec<&str> = query
        .split('&')
        .filter(|pair| match pair.strip_prefix("sslmode=") {
            Some(value) => {
                mode = Some(value.to_owned());
                false
            }
            None => !pair.is_empty(),
        })
        .collect();
    let url = if rest.is_empty() { base.to_owned() } else { format!("{base}?{}", rest.join("&")) };
    (url, mode)
}

/// What is wrong, without what was given.
fn reason(error: &tokio_postgres::Error) -> String {
    std::error::Error::source(error).map_or_else(|| "it cannot be parsed".to_owned(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(url: &str) -> Result<PostgresOptions, PostgresOptionsError> {
        PostgresOptions::from_url(url, None, None)
    }

    #[test]
    fn a_url_says_where_and_how() {
        let options = from("postgres://ward:hush@db.example:6432/stead?sslmode=require").unwrap();
        assert_eq!(options.config.get_hosts(), [Host::Tcp("db.example".to_owned())]);
        assert_eq!((options.config.get_ports(), options.config.get_ssl_mode()), (&[6432][..], SslMode::Require));
        assert_eq!(options.durability, Durability::Standby);
        let socket = from("postgres://ward@/stead?host=/run/postgresql&port=5433").unwrap();
        assert_eq!(socket.config.get_hosts(), [Host::Unix("/run/postgresql".into())]);
        assert_eq!(socket.config.get_ssl_mode(), SslMode::Prefer);
    }

    #[test]
    fn what_is_elsewhere_is_verified_unless_said_otherwise() {
        let elsewhere = from("postgres://ward@db.example/stead").unwrap();
        assert_eq!(
            (elsewhere.config.get_ssl_mode(), elsewhere.tls.verification()),
            (SslMode::Require, Verification::Full)
        );
        let here = from("postgres://ward@localhost/stead").unwrap();
        assert_eq!(here.config.get_ssl_mode(), SslMode::Prefer);
        let off = from("postgres://ward@db.example/stead?connect_timeout=2&sslmode=disable").unwrap();
        assert_eq!(off.config.get_ssl_mode(), SslMode::Disable);
        assert_eq!(from("postgres://ward@db.example/stead?sslmode=maybe").unwrap_err(), PostgresOptionsError::SslMode);
    }

    #[test]
    fn a_separate_password_goes_first_and_none_is_printed() {
        let url = "postgres://ward:first-secret@db.example/stead";
        let options = PostgresOptions::from_url(url, Some("second-secret".to_owned()), None).unwrap();
        assert_eq!(options.config.get_password(), Some(&b"second-secret"[..]));
        assert!(!format!("{options:?} {:?}", options.config).contains("secret"));
    }

    #[test]
    fn no_error_holds_the_url() {
        for url in [
            "postgres://ward:secret@db.example:port/stead",
            "postgres://ward:secret@db.example/stead?secret=1",
            "postgres://ward:secret@db.example",
            "mysql://ward:secret@db.example/stead",
            "postgres://:secret@db.example/stead",
            "postgres:///stead?user=ward&password=secret",
        ] {
            let error = from(url).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("ward:secret"), "{error}");
            assert!(!error.to_string().contains("hush"), "{error}");
        }
    }
}
