//! Figures about commits and the tail, for the metrics.

use prometheus_client::{
    metrics::{counter::Counter, histogram::Histogram},
    registry::{Registry, Unit},
};
use wardstead_limits::{store::GROUP_BUCKETS_BATCHES, wardstead::LATENCY_BUCKETS_S};

/// What a store counts. Clones count together.
#[derive(Clone, Debug)]
pub struct Figures {
    pub(crate) commit: Histogram,
    pub(crate) batches: Histogram,
    pub(crate) unknown: Counter,
    pub(crate) refused: Counter,
    pub(crate) woken: Counter,
}

impl Default for Figures {
    fn default() -> Self {
        Self {
            commit: Histogram::new(LATENCY_BUCKETS_S),
            batches: Histogram::new(GROUP_BUCKETS_BATCHES),
            unknown: Counter::default(),
            refused: Counter::default(),
            woken: Counter::default(),
        }
    }
}

impl Figures {
    /// Adds them to `registry`.
    pub fn register(&self, registry: &mut Registry) {
        registry.register_with_unit(
            "wardstead_commit_duration",
            "Time until the engine had written a group, whatever became of it",
            Unit::Seconds,
            self.commit.clone(),
        );
        registry.register("wardstead_commit_group_batches", "Batches in a group", self.batches.clone());
        registry.register(
            "wardstead_commit_unknown",
            "Groups of which nobody could say at first whether they were written",
            self.unknown.clone(),
        );
        registry.register(
            "wardstead_commit_refused_batches",
            "Batches that were refused because the engine failed or did not answer",
            self.refused.clone(),
        );
        registry.register("wardstead_wake_ups", "Users whose waiting requests were woken", self.woken.clone());
    }

    /// A group of so many batches took so long.
    #[expect(clippy::cast_precision_loss, reason = "milliseconds and batches of one group")]
    pub(crate) fn committed(&self, batches: usize, ms: u64) {
        self.commit.observe(ms as f64 / 1000.0);
        self.batches.observe(batches as f64);
    }
}
