//! The tail: the only thing that moves a node's memory. It reads the journal in order, moves the change window, publishes
//! its position and wakes whoever is concerned.
//!
//! It looks at once when a commit of this node hints at news, and every [`limits::TAIL_POLL_MS`] without any hint: a lost
//! hint delays, it loses nothing (promise P5). When a read fails it looks again at the next turn; its position stands
//! still until then, so that no answer advertises what was not seen (promise P3).

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::{Notify, oneshot, watch};
use wardstead_engine::{Engine, EngineError, JournalRow, PageLimit, Position, ScanRange, journal};
use wardstead_limits::store as limits;

use crate::{
    kind::{self, ScopeOf},
    notify::Notifier,
    window::Window,
};

/// Says that a commit took place. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hint {
    newest: Arc<AtomicU64>,
    signal: Arc<Notify>,
}

impl Hint {
    /// Something is committed up to `position`.
    pub(crate) fn committed(&self, position: Position) {
        self.newest.fetch_max(position.0, Ordering::SeqCst);
        self.signal.notify_one();
    }

    /// The newest position that this node knows to be committed.
    pub(crate) fn newest(&self) -> Position {
        Position(self.newest.load(Ordering::SeqCst))
    }

    /// Whether hints still get through; a test cuts them.
    async fn given(&self) {
        self.signal.notified().await;
    }
}

pub(crate) struct Tail {
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) window: Arc<Window>,
    pub(crate) notifier: Arc<Notifier>,
    pub(crate) hint: Hint,
    /// Where the tail has arrived.
    pub(crate) reached: watch::Sender<Position>,
}

impl Tail {
    /// Follows the journal until `stop` is sent or dropped.
    pub(crate) async fn run(self, mut stop: oneshot::Receiver<()>) {
        let poll = Duration::from_millis(limits::TAIL_POLL_MS);
        loop {
            tokio::select! {
                biased;
                _ = &mut stop => return,
                () = self.hint.given() => {}
                () = tokio::time::sleep(poll) => {}
            }
            if let Err(error) = self.catch_up().await {
                tracing::warn!(%error, "the journal could not be read; trying again");
                // A hint that comes every millisecond must not make a failing disk busier.
                tokio::time::sleep(poll).await;
            }
        }
    }

    async fn catch_up(&self) -> Result<(), EngineError> {
        let newest = self.engine.position().await?;
        loop {
            let reached = *self.reached.borrow();
            if reached >= newest {
                return Ok(());
            }
            let range = ScanRange::new(journal::key(reached.next()), journal::key(newest.next()));
            let page = self.engine.scan(newest, &range, PageLimit::rows(limits::TAIL_PAGE_ROWS)).await?;
            let rows =
                page.rows.iter().map(|(key, cell)| JournalRow::read(key, cell)).collect::<Result<Vec<_>, _>>()?;
            let last = match (&page.resume, rows.last()) {
                (Some(_), Some(row)) => row.position,
                _ => newest,
            };
            self.see(&rows, last).await;
        }
    }

    /// First the window, then the position, then the wake-ups: who is woken finds what it was woken for.
    async fn see(&self, rows: &[JournalRow], last: Position) {
        let mut rooms = BTreeSet::new();
        let mut users = BTreeSet::new();
        for row in rows {
            let scope = row.entry.scope;
            match kind::scope_of(row.entry.kind) {
                Some(ScopeOf::Room) => {
                    self.window.moved(ScopeOf::Room, scope, row.position);
                    rooms.insert(scope);
                }
                Some(ScopeOf::User) => {
                    self.window.moved(ScopeOf::User, scope, row.position);
                    users.insert(scope);
                }
                None => {}
            }
            if row.entry.kind == kind::MEMBERSHIP
                && let Ok(room) = <[u8; 8]>::try_from(&row.entry.key[..])
            {
                self.notifier.forget_members(u64::from_be_bytes(room));
            }
        }
        self.reached.send_replace(last);
        for user in users {
            self.notifier.wake(user);
        }
        let rooms: Vec<u64> = rooms.into_iter().collect();
        self.notifier.rooms_changed(&rooms).await;
    }
}
