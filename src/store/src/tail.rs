//! The tail: the only thing that moves a node's memory. It reads the journal in order, moves the change window, publishes
//! its position and wakes whoever is concerned.
//!
//! It looks at once when a commit of this node hints at news, and every [`limits::TAIL_POLL_MS`] without any hint: a lost
//! hint delays, it loses nothing (promise P5). When a read fails it looks again at the next turn; its position stands
//! still until then, so that no answer advertises what was not seen (promise P3).

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tokio::sync::watch;
use wardstead_engine::{Engine, EngineError, JournalRow, PageLimit, Position, ScanRange, journal, system};
use wardstead_limits::store as limits;

use crate::{
    StoreError,
    epochs::{Epochs, SeenEpochs},
    hint::Hint,
    kind::{self, ScopeOf},
    notify::Notifier,
    start::stopped,
    watch::Watchers,
    window::{Side, Window},
};

/// Where the tail has arrived, for those who wait for it.
#[derive(Clone)]
pub(crate) struct Reached {
    engine: Arc<dyn Engine>,
    hint: Hint,
    at: watch::Receiver<Position>,
    failures: watch::Receiver<u64>,
}

impl Reached {
    /// Where the tail is.
    pub(crate) fn position(&self) -> Position {
        *self.at.borrow()
    }

    /// The same, for those who watch it.
    pub(crate) fn watch(&self) -> watch::Receiver<Position> {
        self.at.clone()
    }

    /// Waits until the tail has seen everything that is visible now.
    pub(crate) async fn caught_up(&self) -> Result<Position, StoreError> {
        let mut failures = self.failures.clone();
        failures.mark_unchanged();
        let newest = self.engine.position().await?;
        let mut at = self.at.clone();
        if *at.borrow() < newest {
            self.hint.known(newest);
        }
        tokio::select! {
            biased;
            reached = at.wait_for(|at| *at >= newest) => reached.map(|at| *at).map_err(|_| StoreError::Closed),
            // Whoever asks is told now, and asks again; the tail goes on trying.
            failed = failures.changed() => Err(match failed {
                Ok(()) => EngineError::Unavailable("the journal could not be read".to_owned()).into(),
                Err(_) => StoreError::Closed,
            }),
        }
    }
}

pub(crate) struct Tail {
    engine: Arc<dyn Engine>,
    window: Arc<Window>,
    watchers: Arc<Watchers>,
    notifier: Arc<Notifier>,
    epochs: SeenEpochs,
    hint: Hint,
    /// Where the tail has arrived.
    reached: watch::Sender<Position>,
    /// How often the journal could not be read.
    failures: watch::Sender<u64>,
}

impl Tail {
    /// A tail that has arrived at `at`, where `window` is empty.
    pub(crate) fn new(
        engine: Arc<dyn Engine>,
        at: Position,
        window: Arc<Window>,
        watchers: Arc<Watchers>,
        notifier: Arc<Notifier>,
        epochs: SeenEpochs,
        hint: Hint,
    ) -> (Self, Reached) {
        let (reached, at) = watch::channel(at);
        let (failing, failures) = watch::channel(0);
        let told = Reached { engine: Arc::clone(&engine), hint: hint.clone(), at, failures };
        (Self { engine, window, watchers, notifier, epochs, hint, reached, failures: failing }, told)
    }

    /// Follows the journal until `stop`.
    pub(crate) async fn run(self, mut stop: watch::Receiver<bool>) {
        let poll = Duration::from_millis(limits::TAIL_POLL_MS);
        let mut failing = false;
        loop {
            tokio::select! {
                biased;
                () = stopped(&mut stop) => return,
                () = self.hint.given() => {}
                () = tokio::time::sleep(poll) => self.hint.unasked(),
            }
            if let Err(error) = self.catch_up().await {
                // Once for an outage, however long.
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!(%error, "the journal could not be read; trying again");
                }
                self.failures.send_modify(|failures| *failures += 1);
                // A hint that comes every millisecond must not make a failing disk busier.
                tokio::time::sleep(poll).await;
            } else {
                failing = false;
            }
        }
    }

    async fn catch_up(&self) -> Result<(), EngineError> {
        // What this node has committed itself is known to be visible: that need not be asked for.
        let known = self.hint.newest();
        let newest = if self.hint.take_more() || known <= *self.reached.borrow() {
            self.engine.position().await?
        } else {
            known
        };
        if self.hint.take_epoch_changed() {
            self.read_epochs(newest).await?;
        }
        loop {
            let reached = *self.reached.borrow();
            if reached >= newest {
                return Ok(());
            }
            let range = ScanRange::new(journal::key(reached.next()), journal::key(newest.next()));
            let page = self.engine.scan(newest, &range, PageLimit::rows(limits::TAIL_PAGE_ROWS)).await?;
            let mut rows =
                page.rows.iter().map(|(key, cell)| JournalRow::read(key, cell)).collect::<Result<Vec<_>, _>>()?;
            if page.resume.is_some() {
                keep_whole(&mut rows);
            }
            let last = match (&page.resume, rows.last()) {
                (Some(_), Some(row)) => row.position,
                _ => newest,
            };
            // Before any position of the new epoch is published: tokens carry both.
            if rows.iter().any(|row| row.entry.kind == system::EPOCH_BEGINS) {
                self.read_epochs(newest).await?;
            }
            self.see(&rows, last).await;
        }
    }

    async fn read_epochs(&self, at: Position) -> Result<(), EngineError> {
        match Epochs::read(self.engine.as_ref(), at).await {
            Ok(epochs) => {
                self.epochs.set(epochs);
                Ok(())
            }
            Err(error) => {
                self.hint.epoch_changed();
                Err(error)
            }
        }
    }

    /// First memory (watchers, window), then the position, then the wake-ups: who is woken finds what it was woken for.
    async fn see(&self, rows: &[JournalRow], last: Position) {
        self.watchers.tell(rows.iter().map(|row| &row.entry));
        let mut rooms = BTreeSet::new();
        let mut receipts = BTreeSet::new();
        let mut users = BTreeSet::new();
        let mut lists = BTreeSet::new();
        for row in rows {
            let scope = row.entry.scope;
            match kind::scope_of(row.entry.kind) {
                Some(ScopeOf::Room) => {
                    self.window.moved(Side::Rooms, scope, row.position);
                    rooms.insert(scope);
                }
                Some(ScopeOf::Receipts) => {
                    self.window.moved(Side::Receipts, scope, row.position);
                    receipts.insert(scope);
                    // The other devices of who reads need not wait with the room.
                    users.extend(named(&row.entry.key).map(|(user, _)| user));
                }
                Some(ScopeOf::User) => {
                    self.window.moved(Side::Users, scope, row.position);
                    users.insert(scope);
                }
                None => {}
            }
            self.see_aside(row);
            if row.entry.kind == kind::DEVICE_LIST {
                lists.insert(scope);
            }
        }
        self.reached.send_replace(last);
        for user in users {
            self.notifier.wake(user);
        }
        let rooms: Vec<u64> = rooms.into_iter().collect();
        self.notifier.rooms_changed(&rooms).await;
        let lists: Vec<u64> = lists.into_iter().collect();
        self.notifier.lists_changed(&lists).await;
        let receipts: Vec<u64> = receipts.into_iter().collect();
        self.notifier.receipts_moved(&receipts).await;
    }

    /// What memory keeps of an entry beside its scope.
    fn see_aside(&self, row: &JournalRow) {
        let scope = row.entry.scope;
        let moved = |side: Side, scope: u64| self.window.moved(side, scope, row.position);
        match row.entry.kind {
            kind::MEMBERSHIP => {
                moved(Side::Company, scope);
                if let Some((room, rest)) = named(&row.entry.key) {
                    moved(Side::Company, room);
                    self.notifier.member_changed(room, scope, rest);
                }
            }
            kind::SIGNED => moved(Side::Company, scope),
            kind::DEVICE_LIST => moved(Side::Lists, scope),
            kind::TO_DEVICE => moved(Side::Waiting, scope),
            kind::KEY_COUNTS => {
                if let Some((device, _)) = named(&row.entry.key) {
                    moved(Side::Waiting, device);
                }
            }
            _ => {}
        }
    }
}

/// Leaves off the entries of the last batch, of which there may be more: no answer is to stand within a commit. A page holds more than one
/// batch has.
fn keep_whole(rows: &mut Vec<JournalRow>) {
    let of = |row: &JournalRow| (row.writer, row.batch);
    let Some(last) = rows.last().map(of) else { return };
    if let Some(before) = rows.iter().rposition(|row| of(row) != last) {
        rows.truncate(before + 1);
    }
}

/// The short id with which an entry's key begins, and what follows it.
fn named(key: &[u8]) -> Option<(u64, &[u8])> {
    let (id, rest) = key.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*id), rest))
}
