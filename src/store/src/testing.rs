//! A store for tests: over the memory engine, at a time that the test moves, with random bytes from a seed.

use std::sync::Arc;

use wardstead_engine::{Bus, Engine, LocalBus};
use wardstead_engine_memory::MemoryEngine;
use wardstead_limits::{ManualClock, SeededRng};

use crate::{OpenError, Store};

/// 2026-01-01T00:00:00Z.
pub const START_MS: u64 = 1_767_225_600_000;

/// An empty memory engine and the clock that it goes by.
#[must_use]
pub fn engine() -> (Arc<MemoryEngine>, ManualClock) {
    let clock = ManualClock::new(START_MS);
    (Arc::new(MemoryEngine::new(Arc::new(clock.clone()))), clock)
}

/// A store over an empty memory engine.
///
/// # Panics
/// Never, unless the memory engine is broken.
#[expect(clippy::expect_used, reason = "for tests")]
pub async fn memory(server_name: &str) -> Store {
    let (engine, clock) = engine();
    over(engine, server_name, clock, 1).await.expect("an empty engine opens")
}

/// A store over `engine`; `seed` makes this node's random bytes. Two stores over one engine are two nodes.
///
/// # Errors
/// As [`Store::open`].
pub async fn over(
    engine: Arc<dyn Engine>,
    server_name: &str,
    clock: ManualClock,
    seed: u64,
) -> Result<Store, OpenError> {
    over_bus(engine, Arc::new(LocalBus::new()), server_name, clock, seed).await
}

/// As [`over`], with `bus` between the nodes.
///
/// # Errors
/// As [`Store::open`].
pub async fn over_bus(
    engine: Arc<dyn Engine>,
    bus: Arc<dyn Bus>,
    server_name: &str,
    clock: ManualClock,
    seed: u64,
) -> Result<Store, OpenError> {
    Store::open(engine, bus, server_name, Arc::new(clock), Arc::new(SeededRng::new(seed))).await
}
