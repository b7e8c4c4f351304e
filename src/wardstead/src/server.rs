//! A server: the parts, put together and taken apart again.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use ruma::RoomVersionId;
use tokio::{net::TcpListener, sync::watch};
use wardstead_accounts::{Accounts, Presence};
use wardstead_api::{ApiConfig, ApiParts, ApiState};
use wardstead_engine::EngineError;
use wardstead_identity::{Identity, IdentityError, NewRegistrationToken};
use wardstead_limits::api as limits;
use wardstead_rooms::{RoomError, Rooms, Typing, signing};
use wardstead_store::Store;
use wardstead_sync::Syncer;

use crate::{Policy, config::Config, data::Data, listen};

/// Why a server did not start, or did not end well.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// An address cannot be had.
    #[error("cannot listen on {address}: {reason}")]
    Address {
        /// The address.
        address: SocketAddr,
        /// Why.
        reason: std::io::Error,
    },
    /// The data cannot be opened or used.
    #[error("cannot use the data in {place}: {reason}")]
    Unusable {
        /// The folder, or the database without credentials.
        place: String,
        /// Why.
        reason: String,
    },
    /// The operating system gave no randomness.
    #[error("no random numbers: {0}")]
    Randomness(std::io::Error),
    /// A registration token could not be made.
    #[error("no registration token: {0}")]
    RegistrationToken(#[from] IdentityError),
    /// The key that signs events could not be had.
    #[error("no signing key: {0}")]
    SigningKey(#[from] RoomError),
    /// A thread did not come back.
    #[error("{0}")]
    Task(#[from] tokio::task::JoinError),
    /// What was under way did not end in time. What was acknowledged is safe.
    #[error("the server did not come to rest within {} ms", limits::DRAIN_MS)]
    NotAtRest,
    /// The engine did not close well. What was acknowledged is safe.
    #[error("the data was not closed well: {0}")]
    Close(EngineError),
}

/// A server whose data is open and whose addresses are taken; [`Server::run`] makes it answer.
pub struct Server {
    data: Data,
    router: Router,
    listeners: Vec<TcpListener>,
    addresses: Vec<SocketAddr>,
    observed_at: Option<SocketAddr>,
    first_token: Option<String>,
    shutdown: watch::Sender<bool>,
}

impl Server {
    /// Opens the data, takes the addresses, wires the parts.
    ///
    /// # Errors
    /// [`ServerError`].
    pub async fn open(config: &Config, policy: Policy) -> Result<Self, ServerError> {
        // Addresses first: what fails there should not have touched the data.
        let listeners = listen::bind(&config.server.listen)
            .await
            .map_err(|(address, reason)| ServerError::Address { address, reason })?;
        let addresses = listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect();

        let data = Data::open(config, policy.cut_bus).await?;
        let (router, first_token) = wire(&data.store, config, policy).await?;
        let (shutdown, _stopping) = watch::channel(false);
        Ok(Self { data, router, listeners, addresses, observed_at: None, first_token, shutdown })
    }

    /// Where it listens; a port that was given as 0 has its number here.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Where health and metrics are; nowhere without a listener of their own.
    #[must_use]
    pub fn observed_at(&self) -> Option<SocketAddr> {
        self.observed_at
    }

    /// The registration token of the first account, while there is no account.
    #[must_use]
    pub fn first_token(&self) -> Option<&str> {
        self.first_token.as_deref()
    }

    /// Answers requests until `end` resolves. Then takes no more connections, lets long-polls answer with what they have
    /// and other requests finish, commits what was submitted, and closes the data.
    ///
    /// # Errors
    /// [`ServerError::NotAtRest`] after [`limits::DRAIN_MS`], [`ServerError::Close`].
    pub async fn run(self, end: impl Future<Output = ()>) -> Result<(), ServerError> {
        let Self { data, router, listeners, shutdown, .. } = self;
        let mut serving = tokio::spawn(listen::serve(listeners, router, shutdown.subscribe()));
        tokio::select! {
            ended = &mut serving => return Ok(ended?),
            () = end => {}
        }
        let rest = async {
            shutdown.send_replace(true);
            tokio::select! {
                ended = &mut serving => ended?,
                () = end_waits(&data.store) => {}
            }
            data.close().await
        };
        let limit = Duration::from_millis(limits::DRAIN_MS);
        tokio::time::timeout(limit, rest).await.map_err(|_| ServerError::NotAtRest)?
    }
}

/// Ends long-polls again and again: a request that was read before the end may begin to wait after it.
async fn end_waits(store: &Store) {
    loop {
        store.end_waits();
        tokio::time::sleep(Duration::from_millis(limits::DRAIN_STEP_MS)).await;
    }
}

/// The parts over `store`, as one router; and the registration token of the first account, while there is no account.
async fn wire(store: &Store, config: &Config, policy: Policy) -> Result<(Router, Option<String>), ServerError> {
    let name = &config.server.name;
    let accounts = Accounts::new(store.clone(), name.clone());
    let identity = Identity::new(store.clone(), accounts.clone(), policy.identity());
    let first_token = identity.ensure_first_token().await?;
    let key = signing::load_or_create(store, store.rng().as_ref()).await?;
    let rooms = Rooms::new(store.clone(), accounts.clone(), name.clone(), key, RoomVersionId::V12);
    store.set_audience(Arc::new(rooms.clone()));
    let (typing, presence) = (Typing::start(store.clone()), Presence::start(store.clone(), policy.presence));
    let syncer = Syncer::new(store.clone(), rooms.clone(), typing, presence);
    let state = ApiState::new(ApiParts {
        accounts,
        identity,
        rooms,
        syncer,
        config: ApiConfig { base_url: config.server.base_url.clone() },
        clock: Arc::clone(store.clock()),
        rng: Arc::clone(store.rng()),
    });
    Ok((wardstead_api::router(state), first_token))
}

/// Makes a registration token in the data of a server. It must not be running when its data is in a folder.
///
/// # Errors
/// [`ServerError`]; `Unusable` when the server has the folder.
pub async fn make_registration_token(config: &Config, token: NewRegistrationToken) -> Result<String, ServerError> {
    let data = Data::open(config, true).await?;
    let accounts = Accounts::new(data.store.clone(), config.server.name.clone());
    let identity = Identity::new(data.store.clone(), accounts, Policy::production(config).identity());
    let made = identity.create_registration_token(token).await;
    data.close().await?;
    Ok(made?)
}
