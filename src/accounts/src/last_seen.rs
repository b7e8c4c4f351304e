//! When and from where a device was last seen (Matrix specification, Client-Server API, Device Management): written now and then, with
//! other commits, and never waited for.

use std::{net::IpAddr, sync::Arc};

use quick_cache::sync::Cache;
use wardstead_engine::{Batch, Expect, Key, KeyReader, Losing, ScanRange, Urgency};
use wardstead_limits::accounts as limits;
use wardstead_store::{Found, StoreError};

use crate::{
    Accounts, Client, Session,
    tables::{LAST_SEEN, LastSeenRow, last_seen_key},
    users::corrupt,
};

/// When and from where a device was last seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastSeen {
    /// In milliseconds since 1970; up to [`limits::LAST_SEEN_MS`] behind the time.
    pub at_ms: u64,
    /// From where; `None` where nobody knew.
    pub address: Option<IpAddr>,
    /// What the client called itself.
    pub user_agent: Option<String>,
}

impl LastSeen {
    fn new(at_ms: u64, client: Option<&Client>) -> Self {
        let address = client.map(|client| client.address).filter(|address| !address.is_unspecified());
        Self { at_ms, address, user_agent: client.and_then(|client| client.user_agent.clone()) }
    }

    fn row(&self) -> LastSeenRow {
        LastSeenRow {
            at_ms: self.at_ms,
            address: self.address.map(|address| address.to_string()),
            user_agent: self.user_agent.clone(),
        }
    }

    fn of(found: Found<LastSeenRow>) -> Result<Self, StoreError> {
        let LastSeenRow { at_ms, address, user_agent } = found.row;
        let address = address.map(|address| address.parse()).transpose();
        let address = address.map_err(|_| corrupt(&found.key, "not the address of a client"))?;
        Ok(Self { at_ms, address, user_agent })
    }
}

/// Until when nothing needs to be written of a device, by short id: a node's memory, of which nothing depends.
pub(crate) type Noted = Cache<u64, u64>;

pub(crate) fn nothing_noted() -> Arc<Noted> {
    Arc::new(Cache::new(limits::NOTED_DEVICES_BYTES / limits::NOTED_DEVICE_BYTES))
}

impl Accounts {
    /// Writes down that the session's device was seen, from `client`, where that was not done within [`limits::LAST_SEEN_MS`]. At most
    /// one read; the write rides in a later commit and may be lost.
    ///
    /// # Errors
    /// The store's, where it cannot be read.
    pub async fn seen(&self, session: &Session, client: &Client) -> Result<(), StoreError> {
        let now_ms = self.store.clock().now_ms();
        if self.noted.get(&session.device).is_some_and(|until_ms| now_ms < until_ms) {
            return Ok(());
        }
        let key = last_seen_key(session.user, session.device);
        let seen = LastSeen::new(now_ms, Some(client));
        let found = self.store.get(&LAST_SEEN, &key).await?;
        // Another node may have written it; a device that is gone has none, and gets none.
        let due = found.filter(|found| {
            now_ms >= found.row.at_ms.saturating_add(limits::LAST_SEEN_MS)
                || (seen.address.is_some() && found.row.address.is_none())
        });
        self.noted.insert(session.device, now_ms.saturating_add(limits::LAST_SEEN_MS));
        let Some(found) = due else { return Ok(()) };
        let mut batch = Batch { urgency: Urgency::Soon, ..Batch::new() };
        batch.expect(key.clone(), Expect::Version(found.version), Losing::Done(key.clone()));
        LAST_SEEN.put_with(&mut batch, key, found.version + 1, &[], &seen.row());
        if let Err(error) = self.store.submit(batch) {
            tracing::debug!(%error, "when a device was last seen was not written down");
        }
        Ok(())
    }

    /// Adds to `batch` that somebody signs in on a device.
    pub(crate) fn seen_first(&self, batch: &mut Batch, user: u64, device: u64, client: Option<&Client>) {
        let seen = LastSeen::new(self.store.clock().now_ms(), client);
        LAST_SEEN.put_with(batch, last_seen_key(user, device), 1, &[], &seen.row());
    }

    /// When the devices of `user` were last seen, by their short ids.
    pub(crate) async fn last_seen(&self, user: u64) -> Result<Vec<(u64, LastSeen)>, StoreError> {
        let rows = self.store.scan_all(&LAST_SEEN, ScanRange::scope(LAST_SEEN.id(), user)).await?;
        rows.into_iter().map(|found| Ok((device_in(&found.key)?, LastSeen::of(found)?))).collect()
    }

    /// When one device was last seen.
    pub(crate) async fn last_seen_of(&self, user: u64, device: u64) -> Result<Option<LastSeen>, StoreError> {
        let found = self.store.get(&LAST_SEEN, &last_seen_key(user, device)).await?;
        found.map(LastSeen::of).transpose()
    }
}

fn device_in(key: &Key) -> Result<u64, StoreError> {
    KeyReader::new(key).u64().ok_or_else(|| corrupt(key, "not the short id of a device"))
}

#[cfg(test)]
mod tests {
    use wardstead_engine::EngineError;

    use super::*;

    #[test]
    fn an_address_that_is_none_is_corrupt() {
        let of = |address: Option<&str>| {
            let row = LastSeenRow { at_ms: 1, address: address.map(str::to_owned), user_agent: None };
            LastSeen::of(Found { key: last_seen_key(1, 2), row, version: 1, positions: [].into_iter().collect() })
        };
        assert_eq!(of(None).unwrap().address, None);
        assert_eq!(of(Some("192.0.2.1")).unwrap().address, Some([192, 0, 2, 1].into()));
        let refused = of(Some("192.0.2"));
        assert!(matches!(refused, Err(StoreError::Engine(EngineError::Corrupt { .. }))), "{refused:?}");
    }
}
