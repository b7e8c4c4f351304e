//! The cases that every engine runs: what callers may rely on, whatever lies below.
//!
//! An engine's test implements [`Factory`] and calls [`run`]. A case gets an empty installation of its own and panics when
//! the engine is wrong.
#![expect(clippy::unwrap_used, reason = "a case fails by panicking")]

/// Lists async functions as cases.
macro_rules! cases {
    ($subject:literal: $($case:ident),* $(,)?) => {
        /// The cases of this subject.
        pub(super) fn cases() -> Vec<super::Case> {
            vec![$(super::Case {
                name: concat!($subject, "::", stringify!($case)),
                run: |bench| Box::pin($case(bench)),
            }),*]
        }
    };
}

mod assertions;
mod bench;
mod concurrency;
mod delete_range;
mod endurance;
mod epoch;
mod groups;
mod journal;
mod leases;
mod limits;
mod nodes;
mod reads;
mod reopen;
mod scans;
mod slots;
mod values;
mod verify;

use std::{future::Future, pin::Pin, sync::Arc};

use async_trait::async_trait;
use tokio::task::JoinHandle;
use wardstead_limits::ManualClock;

pub use bench::Bench;

use crate::{Engine, Key};

/// Makes empty installations.
#[async_trait]
pub trait Factory: Send + Sync {
    /// An empty installation whose engine reads `clock`.
    async fn fresh(&self, clock: ManualClock) -> Box<dyn Installation>;
}

/// Changes the stored bytes of a row.
pub type Tampering = Box<dyn FnOnce(&mut Vec<u8>) + Send>;

/// An engine and its data.
#[async_trait]
pub trait Installation: Send + Sync {
    /// The engine that is open now.
    fn engine(&self) -> Arc<dyn Engine>;

    /// Closes the engine and opens it again on the same data. Handles from before are dead. An engine that is not durable
    /// stays as it is.
    async fn reopen(&mut self);

    /// Changes what is stored under `key`, past the engine; the engine may be another one afterwards.
    async fn tamper(&mut self, key: &Key, change: Tampering);

    /// A handle of another node on the same data; this one's own where only one can have it open.
    async fn second(&self) -> Arc<dyn Engine> {
        self.engine()
    }

    /// Keeps somebody else's view of the data as it is now open until the answer is dropped, where the engine has such a thing.
    async fn hold_snapshot(&self) -> Box<dyn Send> {
        Box::new(())
    }

    /// Makes commits wait, or lets them pass again, where the engine can do that.
    fn stall(&self, stalled: bool) {
        let _ = stalled;
    }
}

/// One case.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// Subject and name.
    pub name: &'static str,
    run: fn(Bench) -> Pin<Box<dyn Future<Output = ()> + Send>>,
}

/// All cases, the same for every engine.
#[must_use]
pub fn cases() -> Vec<Case> {
    let subjects = [
        reads::cases(),
        scans::cases(),
        assertions::cases(),
        groups::cases(),
        limits::cases(),
        journal::cases(),
        slots::cases(),
        delete_range::cases(),
        leases::cases(),
        epoch::cases(),
        values::cases(),
        verify::cases(),
        reopen::cases(),
        concurrency::cases(),
        nodes::cases(),
        endurance::cases(),
    ];
    subjects.concat()
}

/// Cases that run at once: most of their time is the disk's.
const CASES_AT_ONCE: usize = 8;

/// Runs all cases and returns their number. Needs a multi-threaded runtime.
///
/// # Panics
/// When cases failed, with their names, after all have run.
pub async fn run(factory: &dyn Factory) -> usize {
    let cases = cases();
    let mut running = Vec::new();
    let mut failed = Vec::new();
    for case in &cases {
        if running.len() == CASES_AT_ONCE {
            collect(&mut failed, running.remove(0)).await;
        }
        let clock = ManualClock::new(1_000_000);
        let bench = Bench::new(factory.fresh(clock.clone()).await, clock);
        // A task of its own, so that a panic ends the case and not the others.
        running.push((case.name, tokio::spawn((case.run)(bench))));
    }
    for case in running {
        collect(&mut failed, case).await;
    }
    assert!(failed.is_empty(), "{} of {} cases failed: {failed:?}", failed.len(), cases.len());
    cases.len()
}

async fn collect(failed: &mut Vec<&'static str>, (name, case): (&'static str, JoinHandle<()>)) {
    if case.await.is_err() {
        failed.push(name);
    }
}
