//! `[database]` and `[cluster]`: PostgreSQL, and the credentials for it, which no text that we write ever holds.

#![expect(unused_qualifications, reason = "the derive macro's paths carry the spans of our fields")]
#![expect(clippy::doc_markdown, reason = "these comments are the text of a configuration file")]

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    str::FromStr,
};

use serde::Deserialize;
use wardstead_limits::wardstead as limits;

/// Names of the environment variables.
pub(super) const URL_VARIABLE: &str = "WARDSTEAD_DATABASE_URL";
const PASSWORD_VARIABLE: &str = "WARDSTEAD_DATABASE_PASSWORD";

/// `[database]`
#[derive(Clone, Debug, confique::Config)]
#[config(partial_attr(derive(Debug, Clone)))]
#[config(partial_attr(serde(deny_unknown_fields)))]
pub struct Database {
    /// Which database: "postgres://user@host:5432/name?sslmode=verify-full", or by a Unix socket
    /// "postgres://user@localhost/name?host=/run/postgresql". "sslmode" is "disable", "prefer", "require" or
    /// "verify-full". The environment variable WARDSTEAD_DATABASE_URL can say it instead. No password here.
    pub url: Option<DatabaseUrl>,

    /// File that holds the password and nothing else. The environment variable WARDSTEAD_DATABASE_PASSWORD can say it
    /// instead.
    pub password_file: Option<PathBuf>,

    /// File with the certificates (PEM) of the authorities that vouch for the database; without it, those that this
    /// machine trusts.
    pub ca_file: Option<PathBuf>,

    /// Connections for reading, 1 to 256. Each node has a few more: for commits, and for news from the other nodes.
    #[config(default = 8)]
    pub connections: usize,
}

/// `[cluster]`
#[derive(Clone, Debug, confique::Config)]
#[config(partial_attr(derive(Debug, Clone)))]
#[config(partial_attr(serde(deny_unknown_fields)))]
pub struct Cluster {
    /// When a commit in the database counts as durable. "standby": when a synchronous standby has it, too; a server on a
    /// database without one does not become ready. "primary": when the primary alone has it; what was acknowledged is lost
    /// with its disk.
    #[config(default = "standby")]
    pub durability: Durability,
}

/// When a commit in the database counts as durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// On the primary and on its synchronous standby.
    Standby,
    /// On the primary alone.
    Primary,
}

/// What the environment says about the database.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// `WARDSTEAD_DATABASE_URL`; may have a password in it.
    pub url: Option<Secret>,
    /// `WARDSTEAD_DATABASE_PASSWORD`.
    pub password: Option<Secret>,
}

impl Environment {
    /// That of this process. What is empty or no Unicode counts as not set.
    #[must_use]
    pub fn of_this_process() -> Self {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty()).map(Secret::new);
        Self { url: variable(URL_VARIABLE), password: variable(PASSWORD_VARIABLE) }
    }
}

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Hides `text`.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text, for the one who needs it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl FromStr for Secret {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// The address of a database, and the password for it. Shown without.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub struct DatabaseUrl {
    text: String,
    password: Option<Secret>,
    /// Why it is none.
    wrong: Option<String>,
}

impl DatabaseUrl {
    /// Takes the password out of `url`, so that nothing that shows an address can show one.
    ///
    /// # Errors
    /// A sentence, without what was given: it is no address of a database.
    pub fn new(url: &str) -> Result<Self, String> {
        let rest = url.strip_prefix("postgres://").or_else(|| url.strip_prefix("postgresql://"));
        let rest = rest.ok_or("the address of a database begins with postgres://")?;
        let (address, query) = rest.split_once('?').map_or((rest, None), |(address, query)| (address, Some(query)));
        let mut password = None;
        // An @ in a password stands as %40, but not everybody knows.
        let address = match address.rsplit_once('@') {
            Some((user, host)) => {
                let (user, given) = user.split_once(':').map_or((user, None), |(user, given)| (user, Some(given)));
                password = given;
                format!("{user}@{host}")
            }
            None => address.to_owned(),
        };
        let mut kept = Vec::new();
        for parameter in query.into_iter().flat_map(|query| query.split('&')) {
            match parameter.strip_prefix("password=") {
                Some(given) => password = Some(given),
                None => kept.push(parameter),
            }
        }
        let query = if kept.is_empty() { String::new() } else { format!("?{}", kept.join("&")) };
        let password = password.map(percent_decoded).transpose()?.map(Secret::new);
        Ok(Self { text: format!("postgres://{address}{query}"), password, wrong: None })
    }

    /// The same, where others may read it.
    fn in_the_open(self) -> Result<Self, String> {
        match (&self.wrong, &self.password) {
            (Some(wrong), _) => Err(wrong.clone()),
            (None, None) => Ok(self),
            (None, Some(_)) => Err(format!(
                "the address of the database holds a password, where others may read it. Put it into a file \
                 (database.password_file) or into the environment ({PASSWORD_VARIABLE})"
            )),
        }
    }

    /// The address without the password.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.text
    }

    /// The password, where there is one.
    #[must_use]
    pub fn password(&self) -> Option<&str> {
        self.password.as_ref().map(Secret::reveal)
    }
}

/// [RFC 3986, section 2.1](https://www.rfc-editor.org/rfc/rfc3986#section-2.1).
fn percent_decoded(text: &str) -> Result<String, String> {
    let wrong = || "the password in the address of the database is not percent-encoded".to_owned();
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2).ok_or_else(wrong)?;
        let digits = std::str::from_utf8(digits).map_err(|_| wrong())?;
        bytes.push(u8::from_str_radix(digits, 16).map_err(|_| wrong())?);
        rest = after;
    }
    String::from_utf8(bytes).map_err(|_| wrong())
}

/// What a configuration file says. Never an error: TOML's would quote the line. [`Database::complete`] looks at it.
impl From<String> for DatabaseUrl {
    fn from(url: String) -> Self {
        Self::new(&url).unwrap_or_else(|wrong| Self { text: String::new(), password: None, wrong: Some(wrong) })
    }
}

/// For what others may read, as the command line: a password there is refused.
impl FromStr for DatabaseUrl {
    type Err = String;

    fn from_str(url: &str) -> Result<Self, String> {
        Self::new(url)?.in_the_open()
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Database {
    /// What `--dev` has.
    pub(super) fn of_url(url: Option<DatabaseUrl>) -> Self {
        Self { url, password_file: None, ca_file: None, connections: limits::DATABASE_CONNECTIONS }
    }

    /// Takes from the environment what is not said here, reads the password's file, makes paths absolute.
    pub(super) fn complete(&mut self, folder: &Path, environment: Environment) -> Result<(), String> {
        if !(1..=limits::DATABASE_CONNECTIONS_MOST).contains(&self.connections) {
            return Err(format!("database.connections: 1 to {}", limits::DATABASE_CONNECTIONS_MOST));
        }
        for path in [&mut self.password_file, &mut self.ca_file].into_iter().flatten() {
            *path = folder.join(&path);
        }
        if let Some(url) = self.url.take() {
            self.url = Some(url.in_the_open().map_err(|reason| format!("database.url: {reason}"))?);
        } else {
            let url = environment.url.map(|url| DatabaseUrl::new(url.reveal())).transpose();
            self.url = url.map_err(|reason| format!("{URL_VARIABLE}: {reason}"))?;
        }
        let Some(url) = &mut self.url else { return Ok(()) };
        if let Some(path) = &self.password_file {
            let text = fs::read_to_string(path);
            let text = text.map_err(|error| format!("database.password_file: {}: {error}", path.display()))?;
            url.password = Some(Secret::new(text.trim_end_matches(['\r', '\n']).to_owned()));
        } else if let Some(password) = environment.password {
            url.password = Some(password);
        }
        Ok(())
    }
}
