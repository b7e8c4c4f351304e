//! What is read when metrics are asked for, beside what the parts count themselves.

use std::{
    fmt::{self, Error},
    fs,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeGaugeValue, EncodeMetric, MetricEncoder},
    metrics::{MetricType, gauge::ConstGauge, info::Info},
    registry::Registry,
};
use wardstead_api::Limiter;
use wardstead_directory::Directory;
use wardstead_limits::{store as store_limits, wardstead as limits};
use wardstead_push::{Counter, Notifications, Pushers};
use wardstead_rooms::Rooms;
use wardstead_store::Store;
use wardstead_sync::Syncer;

use crate::{
    data::{Backend, Figure},
    health::Health,
};

/// How many nodes live. Asked of the data when metrics are asked for.
#[derive(Debug)]
pub(crate) struct Nodes {
    store: Store,
    /// Negative: not known.
    count: AtomicI64,
}

impl Nodes {
    pub(crate) fn new(store: Store) -> Self {
        Self { store, count: AtomicI64::new(-1) }
    }

    /// Reads the table of nodes. Without it there is no figure, rather than an old one.
    pub(crate) async fn look(&self) {
        let read = tokio::time::timeout(Duration::from_millis(limits::NODES_READ_MS), self.store.nodes()).await;
        let count = match read {
            Ok(Ok(nodes)) => i64::try_from(nodes.len()).unwrap_or(i64::MAX),
            _ => -1,
        };
        self.count.store(count, Ordering::Relaxed);
    }
}

/// Everything that has to be looked at.
#[derive(Debug)]
pub(crate) struct Looked {
    pub(crate) health: Arc<Health>,
    pub(crate) backend: Backend,
    pub(crate) store: Store,
    pub(crate) rooms: Rooms,
    pub(crate) directory: Directory,
    pub(crate) syncer: Syncer,
    pub(crate) limiter: Limiter,
    pub(crate) counter: Counter,
    pub(crate) pushers: Pushers,
    pub(crate) nodes: Arc<Nodes>,
}

/// All metrics of one server.
pub(crate) fn registry(looked: Looked, requests: &wardstead_api::Figures, durability: &'static str) -> Registry {
    let mut registry = Registry::default();
    requests.register(&mut registry);
    looked.store.figures().register(&mut registry);
    let build = Info::new([("version", env!("CARGO_PKG_VERSION")), ("engine", looked.backend.name())]);
    registry.register("wardstead_build", "The program, and which engine it runs on", build);
    let durability = Info::new([("reaches", durability)]);
    registry.register("wardstead_durability", "What a commit has reached when it is acknowledged", durability);
    registry.register_collector(Box::new(looked));
    registry
}

impl Collector for Looked {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let mut page = Page(&mut encoder);
        let readiness = self.health.readiness();
        page.gauge("wardstead_ready", "1: this node can be given requests", i64::from(readiness.ready))?;
        let checks: Vec<_> = readiness.checks.iter().map(|check| (check.name, i64::from(check.ok))).collect();
        page.labelled("wardstead_check", "1: the check of this name found nothing wrong", "check", &checks)?;

        let status = self.store.status();
        page.gauge("wardstead_syncs_waiting", "Requests that wait for news", number(status.waiting))?;
        page.gauge("wardstead_commit_queue_batches", "Batches that wait for the committer", number(status.queued))?;
        page.gauge(
            "wardstead_commit_queue_limit_batches",
            "The most that may wait; the next is refused",
            number(store_limits::COMMIT_QUEUE_BATCHES),
        )?;
        page.gauge("wardstead_commit_stalled", "1: commits do not come back", i64::from(status.stalled))?;
        let (positions, ms) = self.health.behind();
        page.gauge(
            "wardstead_tail_behind_positions",
            "Journal positions that the tail has not read",
            number(positions),
        )?;
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of a delay")]
        page.gauge("wardstead_tail_behind_seconds", "For how long the tail has been behind", ms as f64 / 1000.0)?;
        let nodes = self.nodes.count.load(Ordering::Relaxed);
        if nodes >= 0 {
            page.gauge("wardstead_nodes", "Nodes that live on this data", nodes)?;
        }

        self.notifications(&mut page)?;
        let (caches, figures) = self.backend.figures();
        self.caches(&mut page, &status, caches)?;
        for Figure { name, help, value } in figures {
            page.gauge(name, help, value)?;
        }
        if let Some(bytes) = resident_bytes() {
            page.gauge("process_resident_memory_bytes", "Memory that the process has in use", bytes)?;
        }
        Ok(())
    }
}

impl Looked {
    fn notifications(&self, page: &mut Page<'_, '_>) -> Result<(), Error> {
        let Notifications { sent, failed, rejected, waiting } = self.pushers.notifications();
        let counters = [("sent", sent), ("failed", failed), ("rejected", rejected)];
        let counters = counters.map(|(name, count)| (name, number(count)));
        let help = "Notifications to push gateways by what became of them; rejected ones removed their pusher";
        page.labelled("wardstead_push_notifications", help, "outcome", &counters)?;
        page.gauge(
            "wardstead_pushers_waiting",
            "Pushers that have something to send, as of now or later",
            number(waiting),
        )
    }

    fn caches(
        &self,
        page: &mut Page<'_, '_>,
        status: &wardstead_store::Status,
        mut caches: Vec<(&'static str, u64, u64)>,
    ) -> Result<(), Error> {
        caches.push(("audience", status.audience_bytes, store_limits::AUDIENCE_CACHE_BYTES));
        caches.push(("change_window", status.window_bytes as u64, store_limits::CHANGE_WINDOW_BYTES as u64));
        caches.extend(self.rooms.caches());
        caches.extend(self.directory.caches());
        caches.extend(self.syncer.caches());
        caches.push(self.limiter.cache());
        caches.extend(self.counter.caches());
        caches.extend(self.pushers.caches());
        let held: Vec<_> = caches.iter().map(|(name, held, _)| (*name, number(*held))).collect();
        page.labelled("wardstead_cache_bytes", "Bytes that the cache of this name holds", "cache", &held)?;
        let most: Vec<_> = caches.iter().map(|(name, _, most)| (*name, number(*most))).collect();
        page.labelled("wardstead_cache_limit_bytes", "Bytes that it holds at most", "cache", &most)
    }
}

/// Writes gauges.
struct Page<'a, 'e>(&'a mut DescriptorEncoder<'e>);

impl Page<'_, '_> {
    fn begin<'p>(&'p mut self, name: &'p str, help: &str) -> Result<MetricEncoder<'p>, Error> {
        self.0.encode_descriptor(name, help, None, MetricType::Gauge)
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl EncodeGaugeValue + fmt::Debug) -> Result<(), Error> {
        ConstGauge::new(value).encode(self.begin(name, help)?)
    }

    fn labelled(&mut self, name: &str, help: &str, label: &str, values: &[(&str, i64)]) -> Result<(), Error> {
        let mut metric = self.begin(name, help)?;
        for (value, figure) in values {
            ConstGauge::new(*figure).encode(metric.encode_family(&[(label, *value)])?)?;
        }
        Ok(())
    }
}

fn number(value: impl TryInto<i64>) -> i64 {
    value.try_into().unwrap_or(i64::MAX)
}

/// Linux tells it in its own file system (`proc(5)`); elsewhere there is no figure.
fn resident_bytes() -> Option<i64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: i64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}
