//! A wrapper that counts what passes through an engine, for tests that hold a request to its number of batches or reads.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use async_trait::async_trait;

use crate::{
    Cell, Engine, EngineError, EngineLimits, Group, GroupOutcome, Key, Lease, LeaseRequest, Page, PageLimit, Position,
    ScanRange,
};

/// Numbers since the start. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Counts(Arc<[AtomicU64; 6]>);

/// One reading of [`Counts`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Calls of `get_many`.
    pub gets: u64,
    /// Keys asked for by them.
    pub keys: u64,
    /// Calls of `scan`.
    pub scans: u64,
    /// Groups committed.
    pub groups: u64,
    /// Batches in them.
    pub batches: u64,
}

impl Counts {
    /// The numbers now.
    #[must_use]
    pub fn read(&self) -> Reading {
        let [gets, keys, scans, groups, batches] = std::array::from_fn(|at| self.0[at].load(Ordering::SeqCst));
        Reading { gets, keys, scans, groups, batches }
    }

    /// Rows that scans have given.
    #[must_use]
    pub fn scanned_rows(&self) -> u64 {
        self.0[5].load(Ordering::SeqCst)
    }

    fn add(&self, at: usize, count: usize) {
        self.0[at].fetch_add(count as u64, Ordering::SeqCst);
    }
}

/// Passes everything through and counts it.
#[derive(Debug)]
pub struct CountingEngine {
    inner: Arc<dyn Engine>,
    counts: Counts,
}

impl std::fmt::Debug for dyn Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Engine")
    }
}

impl CountingEngine {
    /// Wraps `inner`.
    #[must_use]
    pub fn new(inner: Arc<dyn Engine>) -> (Self, Counts) {
        let counts = Counts::default();
        (Self { inner, counts: counts.clone() }, counts)
    }
}

#[async_trait]
impl Engine for CountingEngine {
    async fn get_many(&self, at: Position, keys: &[Key]) -> Result<Vec<Option<Cell>>, EngineError> {
        self.counts.add(0, 1);
        self.counts.add(1, keys.len());
        self.inner.get_many(at, keys).await
    }

    async fn scan(&self, at: Position, range: &ScanRange, page: PageLimit) -> Result<Page, EngineError> {
        self.counts.add(2, 1);
        let page = self.inner.scan(at, range, page).await?;
        self.counts.add(5, page.rows.len());
        Ok(page)
    }

    async fn commit_group(&self, group: Group) -> Result<GroupOutcome, EngineError> {
        self.counts.add(3, 1);
        self.counts.add(4, group.batches.len());
        self.inner.commit_group(group).await
    }

    async fn position(&self) -> Result<Position, EngineError> {
        self.inner.position().await
    }

    async fn lease(&self, request: LeaseRequest) -> Result<Option<Lease>, EngineError> {
        self.inner.lease(request).await
    }

    fn limits(&self) -> EngineLimits {
        self.inner.limits()
    }
}
