//! Opening: schema, server name, epoch, the key of tokens.

use serde::{Deserialize, Serialize};
use wardstead_engine::{AccessPattern, Batch, Engine, Expect, Key, Losing, Position};
use wardstead_limits::{Rng, store as limits};

use crate::{OpenError, StoreError, Table, commit::Entrance, store::read_at};

/// The schema that this program writes.
pub(crate) const SCHEMA: u32 = 1;
/// The oldest schema whose programs may open what this program writes.
pub(crate) const COMPATIBLE: u32 = 1;

/// What the data belongs to and who may open it. One row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Installation {
    /// The server's name.
    pub(crate) server_name: String,
    /// The newest schema that was written.
    pub(crate) written: u32,
    /// The oldest schema whose programs may open the data.
    pub(crate) compatible: u32,
    /// Key of the tokens' MAC.
    pub(crate) token_key: [u8; 32],
}
crate::row!(Installation, 1);

pub(crate) const INSTALLATION: Table<Installation> = Table::new(AccessPattern::Point, 0x011, "installation", "store");

/// Reads the installation's row, or makes it; another node that makes it at the same time decides. A commit that loses
/// against a change of epoch, or whose outcome is unknown, is made again on what is then there.
pub(crate) async fn installation(
    engine: &dyn Engine,
    entrance: &Entrance,
    server_name: &str,
    rng: &dyn Rng,
) -> Result<Installation, OpenError> {
    let mut attempt = 0;
    loop {
        match try_installation(engine, entrance, server_name, rng).await {
            Err(OpenError::Store(error)) if error.retryable() && attempt < limits::REBUILDS => {
                attempt += 1;
                tracing::warn!(%error, "opening the data again");
            }
            done => return done,
        }
    }
}

async fn try_installation(
    engine: &dyn Engine,
    entrance: &Entrance,
    server_name: &str,
    rng: &dyn Rng,
) -> Result<Installation, OpenError> {
    let key = INSTALLATION.key(0).key();
    let found = read_at(engine, Position::ZERO, &INSTALLATION, std::slice::from_ref(&key)).await?.pop().flatten();
    let (stored, version) = match found {
        Some(found) => (found.row, found.version),
        None => (make(engine, entrance, &key, server_name, rng).await?, 1),
    };
    if stored.compatible > SCHEMA {
        let Installation { written, compatible, .. } = stored;
        return Err(OpenError::NewerSchema { written, compatible, ours: SCHEMA });
    }
    if stored.server_name != server_name {
        let (stored, configured) = (stored.server_name, server_name.to_owned());
        return Err(OpenError::OtherServer { stored, configured });
    }
    if stored.written < SCHEMA {
        let newer = Installation { written: SCHEMA, compatible: COMPATIBLE, ..stored.clone() };
        let mut batch = Batch::new();
        batch.expect(key.clone(), Expect::Version(version), Losing::Rebuild);
        INSTALLATION.put_with(&mut batch, key, version + 1, &[], &newer);
        match entrance.submit(batch)?.await {
            // Another node wrote it first.
            Ok(_) => {}
            Err(StoreError::Lost(_)) => return Err(StoreError::Lost(Losing::Rebuild).into()),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(stored)
}

async fn make(
    engine: &dyn Engine,
    entrance: &Entrance,
    key: &Key,
    server_name: &str,
    rng: &dyn Rng,
) -> Result<Installation, StoreError> {
    let mut token_key = [0; 32];
    rng.fill(&mut token_key);
    let ours = Installation { server_name: server_name.to_owned(), written: SCHEMA, compatible: COMPATIBLE, token_key };
    let mut batch = Batch::new();
    batch.expect(key.clone(), Expect::Absent, Losing::Done(key.clone()));
    INSTALLATION.put_with(&mut batch, key.clone(), 1, &[], &ours);
    match entrance.submit(batch)?.await {
        Ok(_) => Ok(ours),
        Err(StoreError::Lost(Losing::Done(key))) => {
            let found = read_at(engine, Position::ZERO, &INSTALLATION, &[key]).await?.pop().flatten();
            found.map(|found| found.row).ok_or(StoreError::Lost(Losing::Rebuild))
        }
        Err(error) => Err(error),
    }
}
