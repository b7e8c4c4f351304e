//! Processes that die: each has a runtime of its own, which ends with it, over an engine that stays.

use std::{sync::Arc, time::Duration};

use wardstead_engine::{
    Engine, JournalRow, PageLimit, Position, ScanRange,
    faulty::{Crash, CrashPoint, FaultyEngine},
    journal,
};
use wardstead_engine_memory::MemoryEngine;
use wardstead_limits::{ManualClock, store as limits};
use wardstead_store::{Store, testing};

/// Both clocks go on: the engine's and that of the tasks.
pub async fn pass(clock: &ManualClock, ms: u64) {
    let step = 100;
    for _ in 0..ms.div_ceil(step) {
        clock.advance_ms(step);
        tokio::time::sleep(Duration::from_millis(step)).await;
    }
}

/// Long enough for leases of the dead to end and for everything that is left to be done.
pub const LONG_MS: u64 = 3 * limits::LEASE_TTL_MS;

/// A node over `engine` that can be killed.
pub async fn mortal(engine: &Arc<MemoryEngine>, clock: &ManualClock, seed: u64) -> (Store, CrashPoint) {
    let (faulty, _, crash) = FaultyEngine::new(Arc::clone(engine) as Arc<dyn Engine>);
    let store = testing::over(Arc::new(faulty), "example.org", clock.clone(), seed).await.unwrap();
    (store, crash)
}

/// A process that does `act` and dies at its `n`-th write after it has opened the store. `false`: it got to the end before.
pub fn dying(
    engine: &Arc<MemoryEngine>,
    clock: &ManualClock,
    at: Option<(u64, Crash)>,
    act: impl AsyncFnOnce(&Store),
) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let seed = at.map_or(7, |(n, _)| 100 + n);
    runtime.block_on(async {
        let (store, crash) = mortal(engine, clock, seed).await;
        if let Some((n, moment)) = at {
            crash.crash_at(n, moment);
        }
        tokio::select! {
            biased;
            () = crash.crashed() => true,
            () = act(&store) => {
                assert!(!crash.has_crashed());
                false
            }
        }
    })
}

/// Kills a process that does `act` at each of its writes in turn, before and after it took effect; after each death a second
/// one does `recover` on the same data, and `check` looks at what is left.
pub fn at_every_write(
    act: &impl AsyncFn(&Store, &ManualClock),
    recover: &impl AsyncFn(&Store, &ManualClock),
    check: impl Fn(&[JournalRow], &str),
) {
    let mut deaths = 0;
    for moment in [Crash::Before, Crash::After] {
        for n in 1.. {
            let (engine, clock) = testing::engine();
            let died = dying(&engine, &clock, Some((n, moment)), async |store| act(store, &clock).await);
            dying(&engine, &clock, None, async |store| recover(store, &clock).await);
            let journal = futures::executor::block_on(journal_of(engine.as_ref()));
            check(&journal, &format!("died at write {n}, {moment:?}"));
            if !died {
                break;
            }
            deaths += 1;
        }
    }
    assert!(deaths > 10, "{deaths} deaths: where are the others?");
}

/// The whole journal.
pub async fn journal_of(engine: &dyn Engine) -> Vec<JournalRow> {
    let newest = engine.position().await.unwrap();
    let range = ScanRange::new(journal::key(Position::ZERO), journal::key(newest.next()));
    let page = engine.scan(newest, &range, PageLimit::default()).await.unwrap();
    assert_eq!(page.resume, None);
    page.rows.iter().map(|(key, cell)| JournalRow::read(key, cell).unwrap()).collect()
}
