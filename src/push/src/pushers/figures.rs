//! What is counted of the work with gateways, on this node since its start.

use std::sync::atomic::{AtomicU64, Ordering};

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct PusherFigures {
    sent: AtomicU64,
    failed: AtomicU64,
    rejected: AtomicU64,
    waiting: AtomicU64,
}

/// Requests to push gateways.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Notifications {
    /// That a gateway took.
    pub sent: u64,
    /// That none took: they were, or are, sent again.
    pub failed: u64,
    /// Pushers removed because their gateway did not know them any more.
    pub rejected: u64,
    /// Pushers that had something to send when it was last looked, on whatever node.
    pub waiting: u64,
}

impl PusherFigures {
    pub(crate) fn sent(&self) {
        self.sent.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn rejected(&self) {
        self.rejected.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn waiting(&self, pushers: usize) {
        self.waiting.store(pushers as u64, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> Notifications {
        let [sent, failed, rejected, waiting] =
            [&self.sent, &self.failed, &self.rejected, &self.waiting].map(|of| of.load(Ordering::Relaxed));
        Notifications { sent, failed, rejected, waiting }
    }
}
