//! Hints: that something was committed, here or on another node. Each may be lost; polling finds what they were about.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use tokio::sync::{Notify, watch};
use wardstead_engine::{Position, TableId};

/// What the other nodes are to be told: only ever the newest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct News {
    /// The newest position that this node committed.
    pub(crate) newest: Position,
    /// Tables that have new rows for workers.
    pub(crate) work: BTreeSet<TableId>,
}

/// Says that a commit took place. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Hint {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    newest: AtomicU64,
    epoch_changed: AtomicBool,
    /// Whether there may be more than `newest` says.
    more: AtomicBool,
    /// Whether no other node is known to live.
    alone: AtomicBool,
    tail: Notify,
    /// What the other nodes are to be told.
    news: watch::Sender<News>,
}

impl Hint {
    /// At the start, everything up to `newest` is known to be committed.
    pub(crate) fn new(newest: Position) -> Self {
        let inner = Inner {
            newest: AtomicU64::new(newest.0),
            epoch_changed: AtomicBool::new(false),
            more: AtomicBool::new(false),
            alone: AtomicBool::new(false),
            tail: Notify::new(),
            news: watch::Sender::new(News { newest, work: BTreeSet::new() }),
        };
        Self { inner: Arc::new(inner) }
    }

    /// This node committed something, with rows for workers in `work`; everything up to `position` is visible. Never waits.
    pub(crate) fn committed(&self, position: Position, work: BTreeSet<TableId>) {
        self.known(position);
        self.inner.news.send_if_modified(|news| {
            let newer = position > news.newest || !work.is_empty();
            news.newest = position.max(news.newest);
            news.work.extend(work);
            newer
        });
    }

    /// Everything up to `position` is visible, as the engine itself says: later reads must see it.
    pub(crate) fn known(&self, position: Position) {
        self.inner.newest.fetch_max(position.0, Ordering::SeqCst);
        self.inner.tail.notify_one();
    }

    /// Something may be new. Unlike [`Self::known`] this takes nobody's word for a position: reads would fail if it were
    /// beyond what the engine has, as after a failover.
    pub(crate) fn look(&self) {
        self.inner.more.store(true, Ordering::SeqCst);
        self.inner.tail.notify_one();
    }

    /// The same to who is looking already, because it is time to.
    pub(crate) fn unasked(&self) {
        self.inner.more.store(true, Ordering::SeqCst);
    }

    /// Whether that was said since the last call: only the engine knows then how far to look.
    pub(crate) fn take_more(&self) -> bool {
        self.inner.more.swap(false, Ordering::SeqCst)
    }

    /// Whether other nodes are known to live.
    pub(crate) fn set_alone(&self, alone: bool) {
        self.inner.alone.store(alone, Ordering::SeqCst);
    }

    /// Whether there is nobody to be told anything.
    pub(crate) fn is_alone(&self) -> bool {
        self.inner.alone.load(Ordering::SeqCst)
    }

    /// The epoch is not the one that this node knew.
    pub(crate) fn epoch_changed(&self) {
        self.inner.epoch_changed.store(true, Ordering::SeqCst);
        self.look();
    }

    /// Whether that was said since the last call.
    pub(crate) fn take_epoch_changed(&self) -> bool {
        self.inner.epoch_changed.swap(false, Ordering::SeqCst)
    }

    /// The newest position that this node knows to be committed.
    pub(crate) fn newest(&self) -> Position {
        Position(self.inner.newest.load(Ordering::SeqCst))
    }

    /// Changes when there are news to tell.
    pub(crate) fn news(&self) -> watch::Receiver<News> {
        self.inner.news.subscribe()
    }

    /// The news, to be told once.
    pub(crate) fn take_news(&self) -> News {
        let mut taken = News::default();
        self.inner.news.send_if_modified(|news| {
            taken = News { newest: news.newest, work: std::mem::take(&mut news.work) };
            false
        });
        taken
    }

    /// Waits for the next hint.
    pub(crate) async fn given(&self) {
        self.inner.tail.notified().await;
    }
}
