//! An engine in memory, for tests: the same rows, bytes and errors as the durable ones, and faults on demand
//! ([`Faults`]). Nothing outlives the process.

mod data;
mod faults;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::RwLock;
use wardstead_engine::{
    Cell, Engine, EngineError, EngineLimits, Group, GroupOutcome, Key, Lease, LeaseRequest, Page, PageLimit, Position,
    ScanRange, check_get, lease, plan, system, value,
};
use wardstead_limits::Clock;

use data::Data;
pub use faults::{CommitFault, Faults};

/// The engine. Share it as `Arc`; a store that is opened on it again finds everything.
pub struct MemoryEngine {
    clock: Arc<dyn Clock>,
    data: Arc<RwLock<Data>>,
    faults: Faults,
}

impl std::fmt::Debug for MemoryEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryEngine").field("newest", &self.data.read().newest).finish_non_exhaustive()
    }
}

impl MemoryEngine {
    /// An empty engine whose leases expire by `clock`.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let data = Arc::<RwLock<Data>>::default();
        Self { clock, faults: Faults::new(Arc::clone(&data)), data }
    }

    /// Every row as it is stored, leases and journal included: what tests compare to see that nothing was written.
    #[must_use]
    pub fn rows(&self) -> BTreeMap<Key, Bytes> {
        self.data.read().rows.clone()
    }

    /// The handle by which tests make the engine fail.
    #[must_use]
    pub fn faults(&self) -> Faults {
        self.faults.clone()
    }
}

#[async_trait]
impl Engine for MemoryEngine {
    async fn get_many(&self, at: Position, keys: &[Key]) -> Result<Vec<Option<Cell>>, EngineError> {
        check_get(keys)?;
        self.faults.on_read().on_get()?;
        let data = self.data.read();
        data.check_floor(at)?;
        keys.iter().map(|key| data.cell(key)).collect()
    }

    async fn scan(&self, at: Position, range: &ScanRange, page: PageLimit) -> Result<Page, EngineError> {
        self.faults.on_read().on_scan(range)?;
        let data = self.data.read();
        data.check_floor(at)?;
        data.page(range, page)
    }

    async fn commit_group(&self, group: Group) -> Result<GroupOutcome, EngineError> {
        group.validate(&self.limits())?;
        self.faults.pass_gate().await;
        let fault = self.faults.on_commit(&group)?;
        let mut data = self.data.write();
        plan::check_epoch(&group, data.cell(&system::epoch_key())?.map(|cell| cell.version))?;
        let versions = data.versions(&plan::asserted_keys(&group))?;
        let plan = plan::plan(&group, data.newest, versions);
        if fault == Some(CommitFault::UnknownBefore) {
            return Err(EngineError::Unknown("injected before the write".into()));
        }
        data.apply(plan.changes);
        data.newest = plan.outcome.position;
        if fault == Some(CommitFault::UnknownAfter) {
            return Err(EngineError::Unknown("injected after the write".into()));
        }
        Ok(plan.outcome)
    }

    async fn position(&self) -> Result<Position, EngineError> {
        Ok(self.data.read().newest)
    }

    async fn lease(&self, request: LeaseRequest) -> Result<Option<Lease>, EngineError> {
        self.faults.on_lease()?;
        let key = system::lease_key(&request.name);
        let mut data = self.data.write();
        match lease::decide(&key, data.cell(&key)?.as_ref(), &request, self.clock.now_ms())? {
            lease::Decision::Refuse => Ok(None),
            lease::Decision::Write(lease, payload) => {
                let stored = value::seal(&key, lease.fencing, &[], &payload);
                data.apply(vec![plan::Change::Put(key, stored)]);
                Ok(Some(lease))
            }
        }
    }

    fn limits(&self) -> EngineLimits {
        EngineLimits::default()
    }
}
