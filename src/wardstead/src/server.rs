//! A server: the parts, put together and taken apart again.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use tokio::{net::TcpListener, sync::watch};
use wardstead_accounts::{AccountChange, AccountHooks, Accounts, Presence};
use wardstead_api::{ApiConfig, ApiParts, ApiState, Availability, Figures, Limiter, RateLimits, TrustedProxies};
use wardstead_directory::{Directory, PeopleIndex, Publisher};
use wardstead_e2ee::{BackupKeeper, Backups, Company, Dehydrated, DehydratedKeeper, InboxKeeper, KeyKeeper};
use wardstead_engine::EngineError;
use wardstead_identity::{Doorkeeper, Identity, IdentityConfig, IdentityError, NewRegistrationToken, run_departures};
use wardstead_limits::api as limits;
use wardstead_media::{Media, objects::Objects};
use wardstead_push::{Counter, HttpGateway, Push, PusherKeeper, Pushers, RuleKeeper};
use wardstead_rooms::{Hooks, Mover, RoomChange, RoomError, Rooms, Rotated, Typing, signing};
use wardstead_store::{CommitContributor, Contributors, Store};
use wardstead_sync::{ConnectionKeeper, Syncer};

use crate::{
    Policy,
    config::{Config, Place},
    control::{self, Answer, Control, Request},
    data::{Backend, Data},
    health::Health,
    listen,
    metrics::{self, Looked, Nodes},
    observe::{self, Observed},
};

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
    /// The control socket cannot be had.
    #[error("no control socket in {}: {reason}", folder.display())]
    Control {
        /// The data folder.
        folder: std::path::PathBuf,
        /// Why.
        reason: std::io::Error,
    },
    /// The running server that was asked did not do it.
    #[error("{0}")]
    Asked(String),
    /// The key that signs events could not be had.
    #[error("no signing key: {0}")]
    SigningKey(#[from] RoomError),
    /// Push gateways could not be spoken to.
    #[error("no HTTP client for push gateways: {0}")]
    Gateways(String),
    /// The folder of files, or their keys, cannot be used.
    #[error("cannot keep files: {0}")]
    Media(String),
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
    control: Option<Control>,
    health: Arc<Health>,
    router: Router,
    listeners: Vec<TcpListener>,
    addresses: Vec<SocketAddr>,
    observing: Option<(TcpListener, Router)>,
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
        let listeners = bind(&config.server.listen).await?;
        let addresses: Vec<_> = listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect();
        let observe = if config.observe.enabled { vec![config.observe.listen] } else { Vec::new() };
        let observing = bind(&observe).await?.pop();
        let observed_at = observing.as_ref().and_then(|listener| listener.local_addr().ok());

        let data = Data::open(config, policy.cut_bus).await?;
        let control = control(&data, config)?;
        let health = Arc::new(Health::new(data.backend.clone(), data.store.clone()));
        let wired = wire(&data, &health, config, policy).await?;
        let Wired { router, observed, first_token } = wired;
        let address = addresses.first().map(SocketAddr::to_string);
        data.store.announce(env!("CARGO_PKG_VERSION"), address.as_deref());
        let (shutdown, _stopping) = watch::channel(false);
        let observing = observing.map(|listener| (listener, observe::router(observed)));
        Ok(Self { data, control, health, router, listeners, addresses, observing, observed_at, first_token, shutdown })
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

    /// Answers requests until `end` resolves. Then is not ready any more, hands over what it does for all nodes, takes no more
    /// connections, lets long-polls answer with what they have and other requests finish, commits what was submitted, and
    /// closes the data. Health and metrics are answered to the end.
    ///
    /// # Errors
    /// [`ServerError::NotAtRest`] after [`limits::DRAIN_MS`], [`ServerError::Close`].
    pub async fn run(self, end: impl Future<Output = ()>) -> Result<(), ServerError> {
        let Self { data, control, health, router, listeners, observing, shutdown, .. } = self;
        let (stop_observing, stopping) = watch::channel(false);
        let watching = tokio::spawn({
            let health = Arc::clone(&health);
            async move { health.watch().await }
        });
        let observing = tokio::spawn(async move {
            if let Some((listener, router)) = observing {
                listen::serve(vec![listener], router, stopping).await;
            }
        });
        let controlled = tokio::spawn({
            let stopping = shutdown.subscribe();
            async move {
                if let Some(control) = control {
                    control.serve(stopping).await;
                }
            }
        });
        let mut serving = tokio::spawn(listen::serve(listeners, router, shutdown.subscribe()));
        tokio::select! {
            ended = &mut serving => return Ok(ended?),
            () = end => {}
        }
        health.drain();
        let rest = async {
            data.store.hand_over().await;
            shutdown.send_replace(true);
            tokio::select! {
                ended = &mut serving => ended?,
                () = end_waits(&data.store) => {}
            }
            watching.abort();
            controlled.await?;
            data.close().await?;
            stop_observing.send_replace(true);
            Ok(observing.await?)
        };
        let limit = Duration::from_millis(limits::DRAIN_MS);
        tokio::time::timeout(limit, rest).await.map_err(|_| ServerError::NotAtRest)?
    }
}

async fn bind(addresses: &[SocketAddr]) -> Result<Vec<TcpListener>, ServerError> {
    listen::bind(addresses).await.map_err(|(address, reason)| ServerError::Address { address, reason })
}

/// Ends long-polls again and again: a request that was read before the end may begin to wait after it.
async fn end_waits(store: &Store) {
    loop {
        store.end_waits();
        tokio::time::sleep(Duration::from_millis(limits::DRAIN_STEP_MS)).await;
    }
}

/// The parts, put together.
struct Wired {
    router: Router,
    observed: Observed,
    /// The registration token of the first account, while there is no account.
    first_token: Option<String>,
}

/// The parts over `data`.
async fn wire(data: &Data, health: &Arc<Health>, config: &Config, policy: Policy) -> Result<Wired, ServerError> {
    let (store, name) = (&data.store, &config.server.name);
    let followers: Vec<Arc<dyn CommitContributor<AccountChange>>> = vec![
        Arc::new(PeopleIndex),
        Arc::new(RuleKeeper),
        Arc::new(PusherKeeper),
        Arc::new(KeyKeeper),
        Arc::new(InboxKeeper),
        Arc::new(BackupKeeper),
        Arc::new(DehydratedKeeper),
        Arc::new(ConnectionKeeper),
    ];
    let followers = Arc::new(Contributors::new(followers));
    let hooks = AccountHooks { contributors: followers, lifetimes: config.sessions.lifetimes() };
    let accounts = Accounts::with_hooks(store.clone(), name.clone(), hooks);
    accounts.run_sweeps();
    accounts.run_removals();
    let sign_in = IdentityConfig {
        login_tokens: config.sessions.login_tokens,
        ..config.registration.complete(policy.identity())
    };
    let identity = Identity::new(store.clone(), accounts.clone(), sign_in);
    let first_token = identity.ensure_first_token().await?;
    let key = signing::load_or_create(store, store.rng().as_ref()).await?;
    let version = config.rooms.default_version.id().clone();
    let counter = Counter::new(store.clone(), accounts.clone());
    let contributors: Vec<Arc<dyn CommitContributor<RoomChange>>> =
        vec![Arc::new(Publisher), Arc::new(counter.clone()), Arc::new(Doorkeeper), Arc::new(Mover), Arc::new(Company)];
    let hooks = Hooks { contributors: Arc::new(Contributors::new(contributors)), ..Hooks::default() };
    let rooms = Rooms::with_hooks(store.clone(), accounts.clone(), name.clone(), key, version, hooks);
    run_departures(store, &accounts, &rooms);
    let push = Push::new(&counter);
    push.run_changes(&rooms);
    rooms.run_moves(vec![push.carrier(&rooms)]);
    let gateways = config.push.policy(policy.private_addresses);
    let pushers = Pushers::new(&push, gateways.clone());
    pushers.run(&rooms, Arc::new(HttpGateway::new(gateways).map_err(ServerError::Gateways)?));
    store.set_audience(Arc::new(rooms.clone()));
    accounts.follow_names(Arc::new(rooms.clone()));
    let (typing, presence) = (Typing::start(store.clone()), Presence::start(store.clone(), policy.presence));
    let syncer = Syncer::new(store.clone(), accounts.clone(), rooms.clone(), typing, presence);
    let directory = Directory::new(store.clone(), accounts.clone(), rooms.clone(), config.directory.people.visible());
    let backups = Backups::new(store.clone(), accounts.clone());
    backups.run_removals();
    let media = media(store, config).await?;
    let figures = Figures::default();
    let nodes = Arc::new(Nodes::new(store.clone()));
    let limits = if policy.rate_limits { config.limits.requests() } else { RateLimits::default() };
    let limiter = Limiter::new(limits, Arc::clone(store.clock()));
    let looked = Looked {
        health: Arc::clone(health),
        backend: data.backend.clone(),
        store: store.clone(),
        rooms: rooms.clone(),
        directory: directory.clone(),
        syncer: syncer.clone(),
        limiter: limiter.clone(),
        counter: counter.clone(),
        pushers: pushers.clone(),
        nodes: Arc::clone(&nodes),
    };
    let observed_pushers = pushers.clone();
    let registry = metrics::registry(looked, &figures, config.durability());
    let keys = syncer.keys().clone();
    let inboxes = syncer.inboxes().clone();
    let dehydrated = Dehydrated::new(store.clone(), accounts.clone(), keys.clone(), inboxes);
    let state = ApiState::new(ApiParts {
        accounts,
        identity,
        rooms,
        directory,
        keys,
        push,
        backups,
        dehydrated,
        media,
        pushers,
        syncer,
        availability: Availability::watching(health.available()),
        figures,
        config: ApiConfig {
            base_url: config.server.base_url.clone(),
            delegated_to: config.well_known.server.clone(),
            support: config.well_known.support(),
            trusted_proxies: TrustedProxies::new(config.server.trusted_proxies.clone()),
        },
        limiter,
        clock: Arc::clone(store.clock()),
        rng: Arc::clone(store.rng()),
    });
    let observed = Observed { health: Arc::clone(health), registry, nodes, pushers: observed_pushers };
    Ok(Wired { router: wardstead_api::router(state), observed, first_token })
}

/// Files, where there is a folder for them.
async fn media(store: &Store, config: &Config) -> Result<Media, ServerError> {
    let none = || Media::new(store.clone(), None, config.media.config());
    let Some(folder) = config.media_folder() else {
        tracing::warn!("no files are taken: there is no folder for them (media.dir)");
        return Ok(none());
    };
    let keys = config.media.keys().map_err(ServerError::Media)?;
    let keys = keys.with_own(store).await.map_err(|error| ServerError::Media(error.to_string()))?;
    let encrypts = config.media.encryption;
    let opened = tokio::task::spawn_blocking(move || Objects::local(&folder, keys, encrypts)).await?;
    let objects = match opened {
        Ok(objects) => objects,
        // A folder that nobody named keeps no server from starting.
        Err(error) if config.media.dir.is_none() => {
            tracing::warn!(%error, "no files are taken: the folder for them cannot be used (media.dir)");
            return Ok(none());
        }
        Err(error) => return Err(ServerError::Media(error.to_string())),
    };
    let media = Media::new(store.clone(), Some(objects), config.media.config());
    media.run();
    Ok(media)
}

/// The socket for an operator's commands, where the data is in a folder: a database can be opened beside the server.
fn control(data: &Data, config: &Config) -> Result<Option<Control>, ServerError> {
    let (Backend::Rocks(engine), Place::Folder(folder)) = (&data.backend, config.place()) else { return Ok(None) };
    let listening = Control::listen(folder, Arc::clone(engine), data.store.clone(), config.clone());
    listening.map(Some).map_err(|reason| ServerError::Control { folder: folder.to_owned(), reason })
}

/// Makes a registration token: asks the server that runs on the data folder, or opens the data.
///
/// # Errors
/// [`ServerError`].
pub async fn make_registration_token(config: &Config, token: NewRegistrationToken) -> Result<String, ServerError> {
    if let Place::Folder(folder) = config.place() {
        let request = Request::RegistrationToken { uses: token.uses, admin: token.admin };
        match control::ask(folder, &request).await.map_err(ServerError::Asked)? {
            Some(Answer::RegistrationToken { token }) => return Ok(token),
            Some(_) => return Err(ServerError::Asked("the server answered something else".to_owned())),
            None => {}
        }
    }
    let data = Data::open(config, true).await?;
    let made = registration_token(&data.store, config, token).await;
    data.close().await?;
    Ok(made?)
}

/// Makes a registration token in `store`.
pub(crate) async fn registration_token(
    store: &Store,
    config: &Config,
    token: NewRegistrationToken,
) -> Result<String, IdentityError> {
    let accounts = Accounts::new(store.clone(), config.server.name.clone());
    let identity = Identity::new(store.clone(), accounts, Policy::production(config).identity());
    identity.create_registration_token(token).await
}

/// Makes a signing key that takes the place of the one that signs now: asks the server that runs on the data folder, or opens the
/// data.
///
/// # Errors
/// [`ServerError`].
pub async fn rotate_signing_key(config: &Config) -> Result<Rotated, ServerError> {
    if let Place::Folder(folder) = config.place() {
        match control::ask(folder, &Request::RotateSigningKey).await.map_err(ServerError::Asked)? {
            Some(Answer::SigningKey { key_id, from_ms }) => return Ok(Rotated { key_id, from_ms }),
            Some(_) => return Err(ServerError::Asked("the server answered something else".to_owned())),
            None => {}
        }
    }
    let data = Data::open(config, true).await?;
    let rotated = rotate(&data.store).await;
    data.close().await?;
    Ok(rotated?)
}

async fn rotate(store: &Store) -> Result<Rotated, RoomError> {
    // A server that never ran has no key yet.
    signing::load_or_create(store, store.rng().as_ref()).await?;
    signing::rotate(store).await
}
