//! Accounts over the memory engine, through the public functions; the rows are looked at where that is the promise.

mod devices;
mod own_data;
mod passwords;
mod profiles;
mod refresh;
mod register;
mod sessions;

use std::sync::Arc;

use wardstead_engine::{
    Batch, Engine, JournalRow, Key, PageLimit, Position, ScanRange,
    counting::{CountingEngine, Counts},
    journal,
};
use wardstead_engine_memory::MemoryEngine;
use wardstead_limits::ManualClock;
use wardstead_store::{Store, testing};

use crate::{AccountHooks, Accounts, AuthError, Login, NewAccount, NewDevice, Session};

/// One server whose engine is counted, can be made to fail, and can be looked into.
struct Server {
    accounts: Accounts,
    store: Store,
    engine: Arc<MemoryEngine>,
    counts: Counts,
    clock: ManualClock,
}

impl Server {
    async fn open() -> Self {
        Self::with_hooks(AccountHooks::default()).await
    }

    async fn with_hooks(hooks: AccountHooks) -> Self {
        let (engine, clock) = testing::engine();
        Self::over(engine, clock, 1, hooks).await
    }

    /// Another node over the same engine.
    async fn another(&self) -> Self {
        Self::over(self.engine.clone(), self.clock.clone(), 2, AccountHooks::default()).await
    }

    async fn over(engine: Arc<MemoryEngine>, clock: ManualClock, seed: u64, hooks: AccountHooks) -> Self {
        let (counting, counts) = CountingEngine::new(engine.clone());
        let store = testing::over(Arc::new(counting), "example.org", clock.clone(), seed).await.unwrap();
        // The block of short ids is taken in a commit of its own, which the tests do not count.
        store.next_id().await.unwrap();
        let accounts = Accounts::with_hooks(store.clone(), "example.org".try_into().unwrap(), hooks);
        Self { accounts, store, engine, counts, clock }
    }

    async fn register(&self, username: &str) -> Login {
        self.accounts.register(new_account(username), Batch::new()).await.unwrap()
    }

    /// Logs in again, on `device_id` or on a new device.
    async fn login(&self, of: &Login, device_id: Option<&str>) -> Login {
        let account = self.accounts.find(&of.session.user_id).await.unwrap().unwrap();
        self.accounts.login(&account, device_id.map(Into::into), None).await.unwrap()
    }

    /// Whether the token lets in; otherwise whether the logout is soft.
    async fn lets_in(&self, login: &Login) -> Result<(), bool> {
        match self.accounts.authenticate(&login.access_token).await {
            Ok(session) => {
                // A pair that is asked for again lives longer.
                let expires_ms = session.expires_ms;
                assert!(login.session.expires_ms <= expires_ms);
                assert_eq!(session, Session { expires_ms, ..login.session.clone() });
                Ok(())
            }
            Err(AuthError::Unknown { soft_logout }) => Err(soft_logout),
            Err(error) => panic!("{error}"),
        }
    }

    /// Logs in with a client that takes refresh tokens.
    async fn login_refreshable(&self, of: &Login, device_id: Option<&str>) -> Login {
        let account = self.accounts.find(&of.session.user_id).await.unwrap().unwrap();
        let device = NewDevice { device_id: device_id.map(Into::into), refresh: true, ..NewDevice::default() };
        self.accounts.log_in(&account, device, &Batch::new()).await.unwrap()
    }

    /// Exchanges the refresh token; otherwise whether the logout is soft.
    async fn refresh(&self, login: &Login) -> Result<Login, bool> {
        match self.accounts.refresh(login.refresh_token.as_deref().unwrap()).await {
            Ok(login) => Ok(login),
            Err(AuthError::Unknown { soft_logout }) => Err(soft_logout),
            Err(error) => panic!("{error}"),
        }
    }

    /// Every row but the journal's, as key and payload.
    async fn rows(&self) -> Vec<(Key, Vec<u8>)> {
        let bound = |table: u16| Key::from_stored([&table.to_be_bytes()[..], &[0; 8]].concat().into()).unwrap();
        let mut rows = Vec::new();
        for pattern in [0x1000, 0x2000, 0x4000] {
            let mut range = ScanRange::new(bound(pattern), bound(pattern + 0x0fff));
            loop {
                let page = self.engine.scan(Position::ZERO, &range, PageLimit::default()).await.unwrap();
                rows.extend(page.rows.into_iter().map(|(key, cell)| (key, cell.payload.to_vec())));
                let Some(resume) = page.resume else { break };
                range = range.resumed(resume);
            }
        }
        rows
    }

    /// The journal above `since`.
    async fn journal(&self, since: Position) -> Vec<JournalRow> {
        let newest = self.engine.position().await.unwrap();
        let range = ScanRange::new(journal::key(since.next()), journal::key(newest.next()));
        let page = self.engine.scan(newest, &range, PageLimit::default()).await.unwrap();
        page.rows.iter().map(|(key, cell)| JournalRow::read(key, cell).unwrap()).collect()
    }

    fn batches(&self) -> u64 {
        self.counts.read().batches
    }
}

fn new_account(username: &str) -> NewAccount {
    NewAccount { username: Some(username.to_owned()), password_hash: Some("$hash".to_owned()), ..NewAccount::default() }
}

fn on_device(username: &str, device_id: &str) -> NewAccount {
    NewAccount {
        device: NewDevice { device_id: Some(device_id.into()), display_name: None, ..NewDevice::default() },
        ..new_account(username)
    }
}
