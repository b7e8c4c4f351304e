//! A server in this process and a way to ask it.

use std::{collections::BTreeMap, fmt::Write as _, net::SocketAddr, sync::Arc};

use axum::{
    body::{Body, to_bytes},
    extract::ConnectInfo,
};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, header};
use ruma::{RoomVersionId, server_name};
use serde_json::Value;
use tokio::sync::watch;
use tower::ServiceExt as _;
use wardstead_accounts::{AccountChange, AccountHooks, Accounts, NewAccount, Presence};
use wardstead_api::{ApiConfig, ApiParts, ApiState, Availability, Figures, Limiter, RateLimits, router};
use wardstead_directory::{Directory, PeopleIndex, Publisher, VisiblePeople};
use wardstead_e2ee::{BackupKeeper, Backups, Company, Dehydrated, DehydratedKeeper, InboxKeeper, KeyKeeper};
use wardstead_engine::{Batch, Key};
use wardstead_engine_memory::{Faults, MemoryEngine};
use wardstead_identity::{
    Doorkeeper, FailedLogins, HashCost, Identity, IdentityConfig, Registration, SharedSecret, run_departures,
};
use wardstead_limits::ManualClock;
use wardstead_media::{
    Media, MediaConfig,
    objects::{MediaKeys, Objects},
};
use wardstead_push::{Counter, GatewayPolicy, Push, PusherKeeper, Pushers, RuleKeeper};
use wardstead_rooms::{Hooks, Mover, Proposed, RoomChange, RoomError, RoomPolicy, Rooms, Typing, Verdict, signing};
use wardstead_store::{CommitContributor, Contributors, Store, testing};
use wardstead_sync::{ConnectionKeeper, Syncer};

/// A router over an empty memory engine.
pub struct Server {
    pub router: axum::Router,
    pub accounts: Accounts,
    pub rooms: Rooms,
    pub media: Media,
    /// What of this node waits between its making and its commit.
    pub held: Held,
    pub faults: Faults,
    pub store: Store,
    /// Whether the data can be reached, as whoever watches it would tell.
    pub available: watch::Sender<bool>,
    pub figures: Figures,
    pub engine: Arc<MemoryEngine>,
    pub clock: ManualClock,
    options: Options,
}

/// What an operator chose.
#[derive(Clone)]
pub struct Options {
    pub config: ApiConfig,
    pub presence: bool,
    pub limits: RateLimits,
    pub failed_logins: FailedLogins,
    pub login_tokens: bool,
    /// Whether those who have to leave rooms do so on this node.
    pub departures: bool,
    pub registration: Registration,
    pub media: MediaConfig,
    /// Where files are: the same for all nodes.
    pub objects: Objects,
}

impl Default for Options {
    /// Presence, and no limits.
    fn default() -> Self {
        let (config, limits) = (ApiConfig::default(), RateLimits::default());
        let (failed_logins, registration) = (FailedLogins::default(), Registration::Open);
        let (media, objects) = (MediaConfig::default(), Objects::in_memory(MediaKeys::default(), true));
        let (presence, login_tokens, departures) = (true, true, true);
        Self { config, presence, limits, failed_logins, login_tokens, departures, registration, media, objects }
    }
}

/// A policy of the server's own, under which all tests run: nobody says what looks like a patient's number.
struct NoIdentifiers(Held);

/// Holds one event back when it is made, and read what it rests on, and is not committed.
#[derive(Clone, Default)]
pub struct Held(Arc<Holding>);

#[derive(Default)]
struct Holding {
    /// What its content contains, and how many such events pass before it.
    wanted: parking_lot::Mutex<Option<(&'static str, usize)>>,
    arrived: tokio::sync::Notify,
    released: tokio::sync::Notify,
}

impl Held {
    /// Holds back the next event whose content contains `what`, after letting `after` such pass.
    pub fn back(&self, what: &'static str, after: usize) {
        *self.0.wanted.lock() = Some((what, after));
    }

    /// Returns once it waits.
    pub async fn arrived(&self) {
        self.0.arrived.notified().await;
    }

    pub fn release(&self) {
        self.0.released.notify_one();
    }

    async fn pass(&self, content: &str) {
        let is_it = {
            let mut wanted = self.0.wanted.lock();
            match &mut *wanted {
                Some((what, 0)) if content.contains(*what) => wanted.take().is_some(),
                Some((what, after)) if content.contains(*what) => {
                    *after -= 1;
                    false
                }
                _ => false,
            }
        };
        if is_it {
            self.0.arrived.notify_one();
            self.0.released.notified().await;
        }
    }
}

#[async_trait::async_trait]
impl RoomPolicy for NoIdentifiers {
    async fn judge(&self, proposed: &Proposed<'_>) -> Result<Verdict, RoomError> {
        self.0.pass(proposed.event.content.get()).await;
        Ok(if proposed.event.content.get().contains("943 476 5919") {
            Verdict::Refused("This looks like a patient's number: write it where it belongs.".to_owned())
        } else {
            Verdict::Allowed
        })
    }
}

/// Every row of an engine, as stored.
pub type Rows = BTreeMap<Key, Bytes>;

/// What was answered.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub bytes: Vec<u8>,
}

impl Server {
    pub async fn new() -> Self {
        Self::with_base_url(None).await
    }

    pub async fn with_base_url(base_url: Option<&str>) -> Self {
        let base_url = base_url.map(str::to_owned);
        Self::with(Options { config: ApiConfig { base_url, ..ApiConfig::default() }, ..Options::default() }).await
    }

    pub async fn with(options: Options) -> Self {
        let (engine, clock) = testing::engine();
        Self::over(engine, clock, 1, options).await
    }

    /// Another node on the same engine, with nothing in memory.
    pub async fn another(&self, seed: u64) -> Self {
        Self::over(Arc::clone(&self.engine), self.clock.clone(), seed, self.options.clone()).await
    }

    /// One on which presence is switched off.
    pub async fn without_presence() -> Self {
        Self::with(Options { presence: false, ..Options::default() }).await
    }

    /// One that gives out no tokens to sign in on another device.
    pub async fn without_login_tokens() -> Self {
        Self::with(Options { login_tokens: false, ..Options::default() }).await
    }

    /// Another one, with other options.
    pub async fn another_with(&self, seed: u64, options: Options) -> Self {
        Self::over(Arc::clone(&self.engine), self.clock.clone(), seed, options).await
    }

    pub async fn over(engine: Arc<MemoryEngine>, clock: ManualClock, seed: u64, options: Options) -> Self {
        let Options {
            config: chosen,
            presence,
            limits,
            failed_logins,
            login_tokens,
            departures,
            registration,
            media,
            objects,
        } = options.clone();
        let held = Held::default();
        let faults = engine.faults();
        let store = testing::over(Arc::clone(&engine) as _, "example.org", clock.clone(), seed).await.unwrap();
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
        let hooks = AccountHooks { contributors: Arc::new(Contributors::new(followers)), ..AccountHooks::default() };
        let accounts = Accounts::with_hooks(store.clone(), server_name!("example.org").to_owned(), hooks);
        accounts.run_removals();
        let config = IdentityConfig {
            registration,
            hash: HashCost::Cheap,
            failed_logins,
            login_tokens,
            guests: true,
            shared_secret: Some(SharedSecret::new("complement".to_owned())),
            ..IdentityConfig::default()
        };
        let identity = Identity::new(store.clone(), accounts.clone(), config);
        let key = signing::load_or_create(&store, store.rng().as_ref()).await.unwrap();
        let name = server_name!("example.org").to_owned();
        let counter = Counter::new(store.clone(), accounts.clone());
        let contributors: Vec<Arc<dyn CommitContributor<RoomChange>>> = vec![
            Arc::new(Publisher),
            Arc::new(counter.clone()),
            Arc::new(Doorkeeper),
            Arc::new(Mover),
            Arc::new(Company),
        ];
        let hooks = Hooks {
            policy: Some(Arc::new(NoIdentifiers(held.clone()))),
            contributors: Arc::new(Contributors::new(contributors)),
        };
        let rooms = Rooms::with_hooks(store.clone(), accounts.clone(), name, key, RoomVersionId::V12, hooks);
        if departures {
            run_departures(&store, &accounts, &rooms);
        }
        rooms.run_moves(vec![Push::new(&counter).carrier(&rooms)]);
        store.set_audience(Arc::new(rooms.clone()));
        let (typing, presence) = (Typing::start(store.clone()), Presence::start(store.clone(), presence));
        let syncer = Syncer::new(store.clone(), accounts.clone(), rooms.clone(), typing, presence);
        let backups = Backups::new(store.clone(), accounts.clone());
        backups.run_removals();
        let keys = syncer.keys().clone();
        let inboxes = syncer.inboxes().clone();
        let push = Push::new(&counter);
        let media_keys = MediaKeys::default().with_own(&store).await.unwrap();
        let media = Media::new(store.clone(), Some(objects.with_keys(media_keys, true)), media);
        media.run();
        let (available, figures) = (watch::Sender::new(true), Figures::default());
        let state = ApiState::new(ApiParts {
            accounts: accounts.clone(),
            identity,
            directory: Directory::new(store.clone(), accounts.clone(), rooms.clone(), VisiblePeople::All),
            rooms: rooms.clone(),
            dehydrated: Dehydrated::new(store.clone(), accounts.clone(), keys.clone(), inboxes.clone()),
            keys,
            push: push.clone(),
            pushers: Pushers::new(&push, GatewayPolicy::default()),
            backups: backups.clone(),
            media: media.clone(),
            syncer,
            availability: Availability::watching(available.subscribe()),
            figures: figures.clone(),
            config: chosen,
            limiter: Limiter::new(limits, Arc::clone(store.clock())),
            clock: Arc::clone(store.clock()),
            rng: Arc::clone(store.rng()),
        });
        let router = router(state);
        Self { router, accounts, rooms, media, held, faults, store, available, figures, engine, clock, options }
    }

    /// Where its files are, for another node.
    pub fn objects(&self) -> Objects {
        self.options.objects.clone()
    }

    /// Everything that is stored.
    pub fn rows(&self) -> Rows {
        self.engine.rows()
    }

    /// Tells rooms of new names and pictures from now on, as a server in production does.
    pub fn follow_names(&self) {
        self.accounts.follow_names(Arc::new(self.rooms.clone()));
    }

    /// The access token of a new user.
    pub async fn token(&self, username: &str) -> String {
        let new = NewAccount { username: Some(username.to_owned()), ..NewAccount::default() };
        self.accounts.register(new, Batch::new()).await.unwrap().access_token
    }

    /// The access token of a new user who administers the server.
    pub async fn admin(&self, username: &str) -> String {
        let new = NewAccount { username: Some(username.to_owned()), admin: true, ..NewAccount::default() };
        self.accounts.register(new, Batch::new()).await.unwrap().access_token
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.unwrap().to_vec();
        Answer { status: parts.status, headers: parts.headers, bytes }
    }

    /// As [`Self::send`], from a peer at this address.
    pub async fn send_from(&self, address: &str, mut request: Request<Body>) -> Answer {
        request.extensions_mut().insert(ConnectInfo(SocketAddr::new(address.parse().unwrap(), 40_000)));
        self.send(request).await
    }

    /// Asks with a token (`""`: none) and a body (`""`: none).
    pub async fn ask(&self, method: Method, path: &str, token: &str, body: impl Into<Body>) -> Answer {
        let mut request = Request::builder().method(method).uri(path).header(header::HOST, "matrix.example.org:8008");
        if !token.is_empty() {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        self.send(request.body(body.into()).unwrap()).await
    }

    pub async fn get(&self, path: &str, token: &str) -> Answer {
        self.ask(Method::GET, path, token, "").await
    }

    pub async fn post(&self, path: &str, token: &str, body: &Value) -> Answer {
        self.ask(Method::POST, path, token, body.to_string()).await
    }

    pub async fn put(&self, path: &str, token: &str, body: &Value) -> Answer {
        self.ask(Method::PUT, path, token, body.to_string()).await
    }
}

/// `text` with every byte percent-encoded.
pub fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        write!(encoded, "%{byte:02X}").unwrap();
        encoded
    })
}

impl Answer {
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes)
            .unwrap_or_else(|_| panic!("{}: {:?}", self.status, String::from_utf8_lossy(&self.bytes)))
    }

    /// The body of a success.
    #[track_caller]
    pub fn ok(&self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{}", String::from_utf8_lossy(&self.bytes));
        self.json()
    }

    /// That this is the error, in the form that every error has.
    #[track_caller]
    pub fn expect_error(&self, status: u16, errcode: &str) {
        let json = self.json();
        assert_eq!((self.status.as_u16(), json["errcode"].as_str()), (status, Some(errcode)), "{json}");
        assert!(json["error"].as_str().is_some_and(|sentence| !sentence.is_empty()), "{json}");
        assert_eq!(self.headers[header::CONTENT_TYPE], "application/json");
    }
}
