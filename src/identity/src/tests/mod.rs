//! Sign-in over the memory engine, with ruma's request types as they come from clients.

mod attempts;
mod login;
mod register;
mod stages;
mod tokens;
mod tokens_for_others;

use std::sync::Arc;

use ruma::api::client::{
    account::register::v3::Request as RegisterRequest,
    session::login::v3::{LoginInfo, Request as LoginRequest},
    uiaa::AuthData,
};
use serde_json::{Value, json};
use wardstead_accounts::{Accounts, Client};
use wardstead_engine::{
    Engine, Key, PageLimit, Position, ScanRange,
    counting::{CountingEngine, Counts},
};
use wardstead_engine_memory::MemoryEngine;
use wardstead_limits::ManualClock;
use wardstead_store::{Store, testing};

use crate::{
    Auth, Challenge, FailedLogins, Failure, HashCost, Identity, IdentityConfig, RegisterError, Registered, Registration,
};

const PASSWORD: &str = "correct horse";

/// One node of a server; others can be opened over the same engine.
struct Node {
    identity: Identity,
    accounts: Accounts,
    store: Store,
    engine: Arc<MemoryEngine>,
    counts: Counts,
    clock: ManualClock,
}

impl Node {
    async fn open(registration: Registration) -> Self {
        let (engine, clock) = testing::engine();
        Self::over(engine, clock, 1, registration).await
    }

    /// Another node, or the same after a restart.
    async fn another(&self, registration: Registration) -> Self {
        Self::over(self.engine.clone(), self.clock.clone(), 2, registration).await
    }

    async fn over(engine: Arc<MemoryEngine>, clock: ManualClock, seed: u64, registration: Registration) -> Self {
        let config = IdentityConfig {
            registration,
            hash: HashCost::Cheap,
            failed_logins: FailedLogins::default(),
            ..IdentityConfig::default()
        };
        Self::with(engine, clock, seed, config).await
    }

    async fn with(engine: Arc<MemoryEngine>, clock: ManualClock, seed: u64, config: IdentityConfig) -> Self {
        let (counting, counts) = CountingEngine::new(engine.clone());
        let store = testing::over(Arc::new(counting), "example.org", clock.clone(), seed).await.unwrap();
        // The block of short ids is taken in a commit of its own, which the tests do not count.
        store.next_id().await.unwrap();
        let accounts = Accounts::new(store.clone(), "example.org".try_into().unwrap());
        let identity = Identity::new(store.clone(), accounts.clone(), config);
        Self { identity, accounts, store, engine, counts, clock }
    }

    /// Makes an account as an endpoint does, which reads `auth` apart.
    async fn make(&self, mut request: RegisterRequest) -> Result<Registered, RegisterError> {
        let auth = request.auth.take().map(|auth| serde_json::from_value::<Auth>(serde_json::to_value(auth).unwrap()));
        self.identity.register(request, auth.transpose().unwrap().as_ref(), &Client::unknown()).await
    }

    async fn register(&self, username: &str, auth: Value) -> Result<Registered, RegisterError> {
        self.make(request(username, Some(auth))).await
    }

    /// The challenge that a request without authentication gets.
    async fn challenge(&self) -> Challenge {
        challenge(self.make(RegisterRequest::new()).await)
    }

    async fn users(&self) -> usize {
        self.accounts.local_users(None, 100).await.unwrap().len()
    }

    async fn login(&self, body: Value) -> Result<wardstead_accounts::Login, crate::LoginError> {
        let mut data = body.as_object().unwrap().clone();
        let login_type = data.get("type").unwrap().as_str().unwrap().to_owned();
        if !login_type.starts_with("m.login.") {
            data.remove("type");
        }
        let request = LoginRequest::new(LoginInfo::new(&login_type, data).unwrap());
        self.identity.login(request, &Client::unknown()).await
    }

    /// Every row but the journal's, as bytes.
    async fn stored(&self) -> Vec<Vec<u8>> {
        let bound = |table: u16| Key::from_stored([&table.to_be_bytes()[..], &[0; 8]].concat().into()).unwrap();
        let mut rows = Vec::new();
        for pattern in [0x1000, 0x2000, 0x4000] {
            let range = ScanRange::new(bound(pattern), bound(pattern + 0x0fff));
            let page = self.engine.scan(Position::ZERO, &range, PageLimit::default()).await.unwrap();
            assert!(page.resume.is_none());
            rows.extend(page.rows.into_iter().map(|(key, cell)| [key.as_bytes(), &cell.payload[..]].concat()));
        }
        rows
    }
}

fn request(username: &str, auth: Option<Value>) -> RegisterRequest {
    let mut request = RegisterRequest::new();
    request.username = Some(username.to_owned());
    request.password = Some(PASSWORD.to_owned());
    request.auth = auth.map(|auth| serde_json::from_value::<AuthData>(auth).unwrap());
    request
}

/// A request that would succeed in an open registration, changed.
fn changed(username: &str, change: impl FnOnce(&mut RegisterRequest)) -> RegisterRequest {
    let mut request = request(username, Some(dummy(None)));
    change(&mut request);
    request
}

fn dummy(session: Option<&str>) -> Value {
    json!({ "type": "m.login.dummy", "session": session })
}

fn token(token: &str, session: Option<&str>) -> Value {
    json!({ "type": "m.login.registration_token", "token": token, "session": session })
}

fn challenge(result: Result<Registered, RegisterError>) -> Challenge {
    match result {
        Err(RegisterError::Challenge(challenge)) => *challenge,
        other => panic!("not a challenge: {other:?}"),
    }
}

fn failure(result: Result<Registered, RegisterError>) -> Option<Failure> {
    challenge(result).failure
}
