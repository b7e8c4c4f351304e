//! The store: what the parts are given.

use std::sync::Arc;

use parking_lot::Mutex as SyncMutex;
use tokio::sync::{Mutex, watch};
use wardstead_engine::{Batch, Bus, Cell, Engine, JournalRow, Key, PageLimit, Position, ScanRange, journal};
use wardstead_limits::{Clock, Rng, store as limits};

use crate::{
    Audience, Changes, Epochs, Figures, Found, Leases, Listener, OpenError, Row, StoreError, Submission, Table,
    TokenCodec,
    commit::Entrance,
    epochs::SeenEpochs,
    hint::Hint,
    ids::Block,
    nodes::{self, Beating, Node},
    notify::Notifier,
    start::{self, Tasks},
    tail::Reached,
    watch::{Watcher, Watchers},
    window::{Side, Window},
    work::{self, Queue, QueueHandler, QueueJob, TimerHandler, TimerJob, Timers, Wakers, Workers},
};

/// An engine with everything that stands directly on it. Clones share it.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) entrance: Entrance,
    pub(crate) stalled: watch::Receiver<bool>,
    pub(crate) figures: Figures,
    pub(crate) hint: Hint,
    pub(crate) reached: Reached,
    pub(crate) watchers: Arc<Watchers>,
    pub(crate) window: Arc<Window>,
    pub(crate) notifier: Arc<Notifier>,
    pub(crate) epochs: SeenEpochs,
    pub(crate) ids: Mutex<Block>,
    pub(crate) incarnation: u64,
    pub(crate) leases: Leases,
    pub(crate) beating: Beating,
    pub(crate) wakers: Wakers,
    pub(crate) workers: Workers,
    pub(crate) tokens: TokenCodec,
    pub(crate) server_name: String,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) rng: Arc<dyn Rng>,
    pub(crate) tasks: SyncMutex<Option<Tasks>>,
}

/// How a store stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// Commits do not get through: the engine does not come back from one.
    pub stalled: bool,
    /// Batches that wait for the committer, of [`limits::COMMIT_QUEUE_BATCHES`].
    pub queued: usize,
    /// Requests that wait for news.
    pub waiting: usize,
    /// Bytes of the cache of who is in which room, of [`limits::AUDIENCE_CACHE_BYTES`].
    pub audience_bytes: u64,
    /// Bytes of the change window, of [`limits::CHANGE_WINDOW_BYTES`].
    pub window_bytes: usize,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("server_name", &self.inner.server_name).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the data in `engine` for the server `server_name`, making what is missing, and starts the committer and the
    /// tail on the current runtime. `bus` reaches the other nodes.
    ///
    /// # Errors
    /// [`OpenError`]: another server's data, a newer schema, a failing engine.
    pub async fn open(
        engine: Arc<dyn Engine>,
        bus: Arc<dyn Bus>,
        server_name: &str,
        clock: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
    ) -> Result<Self, OpenError> {
        Ok(Self { inner: Arc::new(start::start(engine, bus, server_name, clock, rng).await?) })
    }

    /// Hands over, refuses new commits, finishes those that wait, ends every wait for news. Later calls do nothing.
    pub async fn close(&self) {
        let Some(tasks) = self.inner.tasks.lock().take() else { return };
        self.inner.notifier.end_all();
        self.hand_over().await;
        self.inner.beating.stop().await;
        tasks.close().await;
    }

    /// Stops the work that this node does for all, and gives its leases back, so that another node takes over at once: the
    /// first step of a graceful end. Requests are served until [`Self::close`], which does this where it was not done.
    pub async fn hand_over(&self) {
        self.inner.workers.stop().await;
        self.inner.leases.hand_over().await;
    }

    /// Has `handler` handle the rows of `queue` from now on, wherever this node gets its leases, until the store is closed.
    /// Called once, when the parts are wired, on every node.
    pub fn run_queue<R: Row + Send + Sync>(&self, queue: &'static Queue<R>, handler: Arc<dyn QueueHandler<R>>) {
        self.inner.workers.start(self.clone(), QueueJob::new(queue, handler));
    }

    /// Has `handler` fire the timers of `timers` from now on; as [`Self::run_queue`].
    pub fn run_timers<R: Row + Send + Sync>(&self, timers: &'static Timers<R>, handler: Arc<dyn TimerHandler<R>>) {
        self.inner.workers.start(self.clone(), TimerJob::new(timers, handler));
    }

    /// Cuts the work in the table called `name` into `partitions`, each for one node at a time; workers follow within
    /// [`limits::WORK_SWEEP_MS`]. One until this is called; more than the table's slots count as so many.
    ///
    /// # Errors
    /// The engine's.
    pub async fn set_partitions(&self, name: &str, partitions: u8) -> Result<(), StoreError> {
        work::set_partitions(self, name, partitions).await
    }

    /// Makes this node known to the others, from now until the store is closed: the program's `version`, and `address`, where
    /// its listener is reached, for people to read. The first call counts.
    pub fn announce(&self, version: &str, address: Option<&str>) {
        self.inner.beating.start(self.clone(), version, address);
    }

    /// The nodes that were announced and live, by incarnation.
    ///
    /// # Errors
    /// The engine's.
    pub async fn nodes(&self) -> Result<Vec<Node>, StoreError> {
        nodes::live(self).await
    }

    /// Takes leases for this node.
    #[must_use]
    pub fn leases(&self) -> &Leases {
        &self.inner.leases
    }

    /// The random number of this node's process: the owner of its leases, the writer of its journal entries.
    #[must_use]
    pub fn incarnation(&self) -> u64 {
        self.inner.incarnation
    }

    /// Ends every wait for news, as when the server stops taking requests.
    pub fn end_waits(&self) {
        self.inner.notifier.end_all();
    }

    /// The row under `key`.
    ///
    /// # Errors
    /// The engine's.
    pub async fn get<R: Row>(&self, table: &Table<R>, key: &Key) -> Result<Option<Found<R>>, StoreError> {
        Ok(self.get_many(table, std::slice::from_ref(key)).await?.pop().flatten())
    }

    /// The rows under `keys`, in their order, with one read of the engine.
    ///
    /// # Errors
    /// The engine's.
    pub async fn get_many<R: Row>(&self, table: &Table<R>, keys: &[Key]) -> Result<Vec<Option<Found<R>>>, StoreError> {
        read_at(self.inner.engine.as_ref(), self.floor(), table, keys).await
    }

    /// The cells under `keys` of any tables, in their order, with one read of the engine.
    ///
    /// # Errors
    /// The engine's.
    pub async fn cells(&self, keys: &[Key]) -> Result<Vec<Option<Cell>>, StoreError> {
        Ok(self.inner.engine.get_many(self.floor(), keys).await?)
    }

    /// One page of the rows in `range`, and where the next starts.
    ///
    /// # Errors
    /// The engine's.
    pub async fn scan<R: Row>(
        &self,
        table: &Table<R>,
        range: &ScanRange,
        page: PageLimit,
    ) -> Result<(Vec<Found<R>>, Option<Key>), StoreError> {
        let page = self.inner.engine.scan(self.floor(), range, page).await?;
        let rows = page.rows.into_iter().map(|(key, cell)| table.found(key, cell)).collect::<Result<_, _>>()?;
        Ok((rows, page.resume))
    }

    /// All rows in `range`, page by page. For ranges that have a bound of their own.
    ///
    /// # Errors
    /// The engine's.
    pub async fn scan_all<R: Row>(&self, table: &Table<R>, range: ScanRange) -> Result<Vec<Found<R>>, StoreError> {
        let mut all = Vec::new();
        let mut rest = Some(range);
        while let Some(range) = rest {
            let (rows, resume) = self.scan(table, &range, PageLimit::default()).await?;
            all.extend(rows);
            rest = resume.map(|resume| range.resumed(resume));
        }
        Ok(all)
    }

    /// Queues `batch` now, behind everything submitted before; await the submission to know that it is durable.
    ///
    /// # Errors
    /// An invalid batch, a full queue, a closing store.
    pub fn submit(&self, batch: Batch) -> Result<Submission, StoreError> {
        self.inner.entrance.submit(batch)
    }

    /// As [`Self::submit`]; `then` is called with the outcome before the submission resolves, whether or not anybody still waits for
    /// it, in the order of the commits. It runs on the committer's task, so it must be short. It is not called when this is an error.
    ///
    /// # Errors
    /// As [`Self::submit`].
    pub fn submit_then(
        &self,
        batch: Batch,
        then: impl FnOnce(&Result<Vec<Position>, StoreError>) + Send + 'static,
    ) -> Result<Submission, StoreError> {
        self.inner.entrance.submit_then(batch, then)
    }

    /// Commits `batch` and gives the positions of its journal entries.
    ///
    /// # Errors
    /// [`StoreError::Lost`] and the engine's.
    pub async fn commit(&self, batch: Batch) -> Result<Vec<Position>, StoreError> {
        self.submit(batch)?.await
    }

    /// A fresh short id: never 0, never given before.
    ///
    /// # Errors
    /// The engine's, when a new block is taken.
    pub async fn next_id(&self) -> Result<u64, StoreError> {
        Ok(self.next_ids(1).await?.pop().unwrap_or_default())
    }

    /// `count` fresh short ids, ascending.
    ///
    /// # Errors
    /// The engine's, when a new block is taken.
    pub async fn next_ids(&self, count: usize) -> Result<Vec<u64>, StoreError> {
        self.inner.ids.lock().await.take(self, count).await
    }

    /// Waits until the tail has reached every commit that was visible when the call was made, on whatever node, and
    /// gives the position. A response is built for such a position.
    ///
    /// # Errors
    /// The engine's, `Unavailable` when the journal cannot be read now, or [`StoreError::Closed`].
    pub async fn caught_up(&self) -> Result<Position, StoreError> {
        self.inner.reached.caught_up().await
    }

    /// Whether `position`, which is not the newest, may stand between two entries of one commit: unless the journal shows that a commit ends
    /// there. The tail stands only where commits end, so no token that a node gives is such a one; who reads rows by position that have those
    /// of different entries of a commit need not rely on that. One read.
    ///
    /// # Errors
    /// The engine's.
    pub async fn may_be_within_commit(&self, position: Position) -> Result<bool, StoreError> {
        let keys = [position, position.next()].map(journal::key);
        let cells = self.cells(&keys).await?;
        let rows = keys.iter().zip(&cells).filter_map(|(key, cell)| Some(JournalRow::read(key, cell.as_ref()?)));
        let rows = rows.collect::<Result<Vec<_>, _>>()?;
        let of = |row: &JournalRow| (row.writer, row.batch);
        Ok(!matches!(rows.as_slice(), [here, next] if of(here) != of(next)))
    }

    /// Where the tail has arrived.
    #[must_use]
    pub fn position(&self) -> Position {
        self.inner.reached.position()
    }

    /// A listener for news of `user`.
    #[must_use]
    pub fn listen(&self, user: u64) -> Listener {
        self.inner.notifier.listen(user)
    }

    /// Wakes those who wait for news of `room`, on this node, for something that is not in the journal. A hint: when it cannot
    /// be found out who is in the room, nobody is woken.
    pub async fn wake_room(&self, room: u64) {
        self.inner.notifier.room_hinted(room).await;
    }

    /// Who is to be woken when a room changes. Set once, when the parts are wired.
    pub fn set_audience(&self, audience: Arc<dyn Audience>) {
        self.inner.notifier.set_audience(audience);
    }

    /// Has `watcher` told of each journal entry of `kind` from now on. Called when the parts are wired, before anything is read.
    pub fn watch(&self, kind: u16, watcher: Arc<dyn Watcher>) {
        self.inner.watchers.add(kind, watcher);
    }

    /// Rooms that changed after `since`, from memory.
    #[must_use]
    pub fn rooms_since(&self, since: Position) -> Changes {
        self.inner.window.since(Side::Rooms, since, limits::WALK_CHANGES)
    }

    /// Rooms of which receipts moved after `since`, from memory.
    #[must_use]
    pub fn receipts_since(&self, since: Position) -> Changes {
        self.inner.window.since(Side::Receipts, since, limits::WALK_CHANGES)
    }

    /// Whether something in `user`'s own scope changed after `since`, from memory; `None` when memory does not reach
    /// back so far.
    #[must_use]
    pub fn user_changed(&self, user: u64, since: Position) -> Option<bool> {
        self.inner.window.changed(Side::Users, user, since)
    }

    /// Short ids of the users whose devices or keys changed after `since`, from memory.
    #[must_use]
    pub fn lists_since(&self, since: Position) -> Changes {
        self.inner.window.since(Side::Lists, since, limits::WALK_CHANGES)
    }

    /// Short ids of the rooms in which a membership changed after `since`, and of the users whose, or who signed somebody's keys; from
    /// memory.
    #[must_use]
    pub fn company_since(&self, since: Position) -> Changes {
        self.inner.window.since(Side::Company, since, limits::WALK_CHANGES)
    }

    /// Whether messages came after `since` for a device of the user with this short id, or whether the device with this short id got
    /// other keys to give away, from memory; `None` when memory does not reach back so far.
    #[must_use]
    pub fn waits_since(&self, user_or_device: u64, since: Position) -> Option<bool> {
        self.inner.window.changed(Side::Waiting, user_or_device, since)
    }

    /// When a message last came for a device of the user with this short id, as far back as memory reaches.
    #[must_use]
    pub fn last_waited(&self, user: u64) -> Option<Position> {
        self.inner.window.last(Side::Waiting, user)
    }

    /// Reaches the other nodes of the installation, fast and lossy.
    #[must_use]
    pub fn bus(&self) -> &Arc<dyn Bus> {
        &self.inner.bus
    }

    /// What is counted, for the metrics.
    #[must_use]
    pub fn figures(&self) -> &Figures {
        &self.inner.figures
    }

    /// How the store stands, for readiness and metrics.
    #[must_use]
    pub fn status(&self) -> Status {
        Status {
            stalled: *self.inner.stalled.borrow(),
            queued: self.inner.entrance.depth(),
            waiting: self.inner.notifier.waiting(),
            audience_bytes: self.inner.notifier.cached_bytes(),
            window_bytes: self.inner.window.bytes(),
        }
    }

    /// The time.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.inner.clock
    }

    /// Random bytes.
    #[must_use]
    pub fn rng(&self) -> &Arc<dyn Rng> {
        &self.inner.rng
    }

    /// The server's name.
    #[must_use]
    pub fn server_name(&self) -> &str {
        &self.inner.server_name
    }

    /// Writes and reads the tokens that clients carry.
    #[must_use]
    pub fn tokens(&self) -> &TokenCodec {
        &self.inner.tokens
    }

    /// The epoch as of [`Self::position`], for the tokens of an answer.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.inner.epochs.current()
    }

    /// The epoch and those before it, to judge the tokens that clients bring.
    #[must_use]
    pub fn epochs(&self) -> Epochs {
        self.inner.epochs.get()
    }

    pub(crate) fn wakers(&self) -> &Wakers {
        &self.inner.wakers
    }

    /// Says whether other nodes are known to live.
    pub(crate) fn set_alone(&self, alone: bool) {
        self.inner.hint.set_alone(alone);
    }

    /// What every read must at least see: what the tail has seen and what this node has committed.
    fn floor(&self) -> Position {
        self.position().max(self.inner.hint.newest())
    }
}

pub(crate) async fn read_at<R: Row>(
    engine: &dyn Engine,
    at: Position,
    table: &Table<R>,
    keys: &[Key],
) -> Result<Vec<Option<Found<R>>>, StoreError> {
    let cells = engine.get_many(at, keys).await?;
    let found = keys.iter().zip(cells).map(|(key, cell)| cell.map(|cell| table.found(key.clone(), cell)).transpose());
    Ok(found.collect::<Result<_, _>>()?)
}
