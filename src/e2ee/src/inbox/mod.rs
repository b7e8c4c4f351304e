//! Messages that wait for devices (Client-Server API, Send-to-Device messaging).
//!
//! A message is one row for each device that gets it, with the event as its client is given it, and stays until the device presents the
//! token of an answer that had it: at least once, and never less. See `docs/design/24-inbox.md`.

mod bound;
mod remove;
mod send;
mod tables;

use std::sync::Arc;

use quick_cache::sync::Cache;
use serde_json::value::RawValue;
use wardstead_accounts::Accounts;
use wardstead_engine::{Batch, EngineError, Key, KeyReader, PageLimit, Position, ScanRange, Urgency};
use wardstead_limits::e2ee as limits;
use wardstead_store::{Store, StoreError};

pub use remove::InboxKeeper;
pub use send::{Recipients, ToDeviceRequest};

use tables::{COUNTS, INBOXES};

/// A message that waits for a device.
#[derive(Clone, Debug)]
pub struct ToDeviceMessage {
    /// Its journal entry's. No two messages of a device have the same.
    pub position: Position,
    /// The event as the client gets it: `type`, `sender`, `content`.
    pub event: Box<RawValue>,
}

/// Some of the messages that wait for a device.
#[derive(Clone, Debug, Default)]
pub struct ToDevicePage {
    /// In the order of their positions.
    pub messages: Vec<ToDeviceMessage>,
    /// Whether more wait within what was asked for.
    pub more: bool,
}

/// What waits for devices. Cheap to clone.
#[derive(Clone)]
pub struct Inboxes {
    store: Store,
    accounts: Accounts,
    /// By device: up to here nothing is stored. What comes later is in the journal.
    empty: Arc<Cache<u64, Position>>,
}

impl std::fmt::Debug for Inboxes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inboxes").finish_non_exhaustive()
    }
}

impl Inboxes {
    /// The inboxes in `store` of the devices of `accounts`.
    #[must_use]
    pub fn new(store: Store, accounts: Accounts) -> Self {
        let empty = Arc::new(Cache::new(limits::EMPTY_INBOXES_BYTES / limits::EMPTY_INBOX_BYTES));
        Self { store, accounts, empty }
    }

    /// The first messages for the device with this short id that lie after `after` and not after `upto`, at most `most` and about
    /// [`wardstead_limits::engine::PAGE_BYTES`].
    ///
    /// # Errors
    /// The store's.
    pub async fn waiting(
        &self,
        device: u64,
        after: Position,
        upto: Position,
        most: usize,
    ) -> Result<ToDevicePage, StoreError> {
        let range = ScanRange::new(place(device, after.next()), place(device, upto.next()));
        if range.from >= range.to {
            return Ok(ToDevicePage::default());
        }
        let (mut rows, resume) = self.store.scan(&INBOXES, &range, PageLimit::rows(most + 1)).await?;
        let more = rows.len() > most || resume.is_some();
        rows.truncate(most);
        let mut messages = Vec::with_capacity(rows.len());
        for found in rows {
            let corrupt = |what: &str| StoreError::Engine(EngineError::corrupt(&found.key, what));
            let position = KeyReader::new(&found.key).position().ok_or_else(|| corrupt("no position in the key"))?;
            let event = serde_json::from_slice(&found.row.0).map_err(|_| corrupt("a message that is no JSON"))?;
            messages.push(ToDeviceMessage { position, event });
        }
        Ok(ToDevicePage { messages, more })
    }

    /// Removes the messages for the device of `user` up to `upto`: it has them. Nobody waits for that ([`Urgency::Soon`]). Neither read
    /// nor write where no message came for the user as far back as memory reaches, or none since this was last asked: what a node
    /// that was killed left behind goes with the next ones.
    ///
    /// # Errors
    /// The store's. The messages are skipped all the same, and removed by a later token.
    pub async fn acknowledge(&self, user: u64, device: u64, upto: Position) -> Result<(), StoreError> {
        let Some(last) = self.store.last_waited(user) else { return Ok(()) };
        if self.empty.get(&device).is_some_and(|empty| empty >= last.min(upto)) {
            return Ok(());
        }
        let range = ScanRange::new(place(device, Position::ZERO), place(device, upto.next()));
        let (first, _) = self.store.scan(&INBOXES, &range, PageLimit::rows(1)).await?;
        if !first.is_empty() {
            let mut batch = Batch { urgency: Urgency::Soon, ..Batch::new() };
            batch.delete_range(range.from, range.to);
            batch.delete(COUNTS.key(device).key());
            self.store.submit(batch)?;
        }
        self.empty.insert(device, upto);
        Ok(())
    }

    /// Name, bytes and bound in bytes of what it remembers, for the metrics.
    #[must_use]
    pub fn figures(&self) -> (&'static str, u64, u64) {
        let bytes = self.empty.len() * limits::EMPTY_INBOX_BYTES;
        ("empty_inboxes", bytes as u64, limits::EMPTY_INBOXES_BYTES as u64)
    }
}

fn place(device: u64, position: Position) -> Key {
    INBOXES.key(device).position(position).key()
}
