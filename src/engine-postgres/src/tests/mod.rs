//! The conformance suite on a real PostgreSQL, and what only an engine on a server can do.

mod conformance;

use crate::{Durability, PostgresOptions};

/// Options of a fresh database on the shared server, which has no standby.
pub(crate) fn options(url: &str) -> PostgresOptions {
    let options = PostgresOptions::from_url(url, None, None).unwrap();
    PostgresOptions { durability: Durability::Primary, ..options }
}
