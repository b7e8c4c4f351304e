//! Timers: on time, once, whatever is killed or handed over.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use tokio::sync::Semaphore;
use wardstead_engine::{AccessPattern, Batch, JournalEntry, JournalRow, Losing};
use wardstead_limits::{ManualClock, store as limits};
use wardstead_store::{Claim, Fired, Found, Store, StoreError, Table, TimerHandler, Timers, kind, testing::START_MS};

use crate::{
    crash::{self, LONG_MS, at_every_write, journal_of, pass},
    support::{Note, node, on},
};

const TIMERS: Timers<Note> = Timers::new(Table::new(AccessPattern::Churn, 0x0f1, "test_timers", "store tests"));

fn entry(kind: u16, id: u64) -> JournalEntry {
    JournalEntry { kind, scope: id, key: Vec::new().into() }
}

/// Schedules a timer and says so in the journal, with one batch.
fn scheduled(due_ms: u64, id: u64) -> Batch {
    let mut batch = Batch::new();
    batch.journal(entry(kind::ROOM_STATE, id));
    TIMERS.schedule(&mut batch, due_ms, id, &Note { text: id.to_string() });
    batch
}

/// Ids of the journal's entries of `kind`, in order.
fn ids(journal: &[JournalRow], kind: u16) -> Vec<u64> {
    journal.iter().filter(|row| row.entry.kind == kind).map(|row| row.entry.scope).collect()
}

/// Writes a journal entry for each timer that fires.
#[derive(Default)]
struct Noting {
    /// How many calls refuse.
    later: AtomicUsize,
    /// Whether the handler commits itself.
    itself: Option<Store>,
}

#[async_trait]
impl TimerHandler<Note> for Noting {
    async fn fire(&self, timer: &Found<Note>, claim: &Claim) -> Result<Fired, StoreError> {
        let (_, id) = Timers::<Note>::due(&timer.key).unwrap();
        assert_eq!(timer.row.text, id.to_string());
        if self.later.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
            return Ok(Fired::Later);
        }
        let mut batch = Batch::new();
        batch.journal(entry(kind::ROOM_EVENT, id));
        let Some(store) = &self.itself else { return Ok(Fired::Done(batch)) };
        claim.take(&mut batch, std::slice::from_ref(timer));
        store.commit(batch).await?;
        Ok(Fired::Committed)
    }
}

#[tokio::test(start_paused = true)]
async fn timers_fire_when_due_and_once() {
    let node = node().await;
    node.store.run_timers(&TIMERS, Arc::new(Noting::default()));
    pass(&node.clock, 1_000).await;
    let now = node.clock_now();
    for (due_ms, id) in [(now + 5_000, 1), (now + 500, 2), (now - 10, 3), (now + 60_000, 4)] {
        node.store.commit(scheduled(due_ms, id)).await.unwrap();
    }
    let fired = async || ids(&journal_of(node.engine.as_ref()).await, kind::ROOM_EVENT);
    pass(&node.clock, 100).await;
    assert_eq!(fired().await, [3], "a hint wakes the worker");
    pass(&node.clock, 500).await;
    assert_eq!(fired().await, [3, 2], "it knows when the next is due");
    pass(&node.clock, 10_000).await;
    assert_eq!(fired().await, [3, 2, 1]);
    pass(&node.clock, 60_000).await;
    assert_eq!(fired().await, [3, 2, 1, 4]);
}

/// Slots are read from where they are done, and what is written below that is known.
#[tokio::test(start_paused = true)]
async fn a_timer_that_is_due_before_what_has_fired_fires_at_once() {
    let node = node().await;
    node.store.run_timers(&TIMERS, Arc::new(Noting::default()));
    pass(&node.clock, 1_000).await;
    let now = node.clock_now();
    // In each slot.
    let many = 100;
    for (due_ms, ids) in [(now, 0..many), (now - 5_000, many..2 * many)] {
        for id in ids {
            node.store.commit(scheduled(due_ms, id)).await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let fired = ids(&journal_of(node.engine.as_ref()).await, kind::ROOM_EVENT);
    assert_eq!(fired.len() as u64, 2 * many, "no sweep was waited for");
}

/// Cancelling and firing exclude each other.
#[tokio::test(start_paused = true)]
async fn a_cancelled_timer_does_not_fire_and_a_fired_one_is_not_cancelled() {
    let node = node().await;
    node.store.run_timers(&TIMERS, Arc::new(Noting::default()));
    let due_ms = node.clock_now() + 5_000;
    let cancel = |id| {
        let mut batch = Batch::new();
        TIMERS.cancel(&mut batch, due_ms, id, Losing::Fail("fired"));
        batch
    };
    for id in [1, 2] {
        node.store.commit(scheduled(due_ms, id)).await.unwrap();
    }
    node.store.commit(cancel(1)).await.unwrap();
    pass(&node.clock, 6_000).await;
    for id in [1, 2] {
        assert_eq!(node.store.commit(cancel(id)).await, Err(StoreError::Lost(Losing::Fail("fired"))));
    }
    assert_eq!(ids(&journal_of(node.engine.as_ref()).await, kind::ROOM_EVENT), [2]);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_done_is_tried_again_and_holds_up_nothing_else() {
    let node = node().await;
    node.store.run_timers(&TIMERS, Arc::new(Noting { later: AtomicUsize::new(2), itself: Some(node.store.clone()) }));
    pass(&node.clock, 1_000).await;
    let now = node.clock_now();
    node.store.commit(scheduled(now, 1)).await.unwrap();
    pass(&node.clock, 100).await;
    // In the same slot, so behind it.
    let other = (2..1_000).find(|id| TIMERS.key(0, *id).rest()[0] == TIMERS.key(0, 1).rest()[0]).unwrap();
    node.store.commit(scheduled(now + 100, other)).await.unwrap();
    let fired = async || ids(&journal_of(node.engine.as_ref()).await, kind::ROOM_EVENT);
    pass(&node.clock, limits::WORK_RETRY_MS / 2).await;
    // The second refusal was this one's.
    assert_eq!(fired().await, [0; 0]);
    pass(&node.clock, 3 * limits::WORK_RETRY_MS).await;
    let mut both = fired().await;
    both.sort_unstable();
    assert_eq!(both, [1, other]);
}

async fn three_timers(store: &Store, clock: &ManualClock) {
    store.run_timers(&TIMERS, Arc::new(Noting::default()));
    for (due_ms, id) in [(START_MS, 1), (START_MS + 700, 2), (START_MS + 900, 3)] {
        store.commit(scheduled(due_ms, id)).await.unwrap();
    }
    pass(clock, 2_000).await;
}

/// Killed at each of its writes, before and after it took effect: what was scheduled fires once, what was not never.
#[test]
fn a_kill_neither_loses_nor_doubles_a_timer() {
    let recover = async |store: &Store, clock: &ManualClock| {
        store.run_timers(&TIMERS, Arc::new(Noting::default()));
        pass(clock, LONG_MS).await;
    };
    at_every_write(&three_timers, &recover, |journal, about| {
        let mut fired = ids(journal, kind::ROOM_EVENT);
        fired.sort_unstable();
        assert_eq!(fired, ids(journal, kind::ROOM_STATE), "{about}");
    });
}

/// The same with the successor running all along.
#[test]
fn nor_does_a_handover_to_a_node_that_waits() {
    for itself in [false, true] {
        for n in 1.. {
            let (engine, clock) = wardstead_store::testing::engine();
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
            let died = runtime.block_on(async {
                let (one, crash) = crash::mortal(&engine, &clock, 1).await;
                let (two, _) = crash::mortal(&engine, &clock, 2).await;
                one.run_timers(&TIMERS, Arc::new(Noting { itself: itself.then(|| one.clone()), ..Noting::default() }));
                pass(&clock, 1_000).await;
                two.run_timers(&TIMERS, Arc::new(Noting::default()));
                crash.crash_at(n, wardstead_engine::faulty::Crash::After);
                for id in 1..=3 {
                    two.commit(scheduled(clock_now(&clock) + 300 * id, id)).await.unwrap();
                }
                pass(&clock, LONG_MS).await;
                let mut fired = ids(&journal_of(engine.as_ref()).await, kind::ROOM_EVENT);
                fired.sort_unstable();
                assert_eq!(fired, [1, 2, 3], "died at write {n}");
                crash.has_crashed()
            });
            if !died {
                break;
            }
        }
    }
}

/// Holds its timer until it is let go.
struct Slow(Arc<Semaphore>);

#[async_trait]
impl TimerHandler<Note> for Slow {
    async fn fire(&self, timer: &Found<Note>, claim: &Claim) -> Result<Fired, StoreError> {
        self.0.acquire().await.unwrap().forget();
        Noting::default().fire(timer, claim).await
    }
}

/// A node was paused while it fired a timer; another has fired it by the time it goes on.
#[tokio::test(start_paused = true)]
async fn a_node_that_was_paused_does_not_fire_what_another_has_fired() {
    let one = node().await;
    let two = on(one.engine.clone(), one.clock.clone(), 2).await;
    let gate = Arc::new(Semaphore::new(0));
    one.store.run_timers(&TIMERS, Arc::new(Slow(gate.clone())));
    pass(&one.clock, 200).await;
    two.store.run_timers(&TIMERS, Arc::new(Noting::default()));
    two.store.commit(scheduled(one.clock_now(), 1)).await.unwrap();
    pass(&one.clock, 200).await;
    // Its time is over before it renews.
    one.clock.advance_ms(limits::LEASE_TTL_MS);
    tokio::time::sleep(Duration::from_millis(limits::LEASE_RETRY_MS + 50)).await;
    let fired = async || ids(&journal_of(one.engine.as_ref()).await, kind::ROOM_EVENT);
    assert_eq!(fired().await, [1]);
    gate.add_permits(10);
    pass(&one.clock, LONG_MS).await;
    assert_eq!(fired().await, [1]);
}

/// A graceful end lets the successor go on at once.
#[tokio::test(start_paused = true)]
async fn closing_hands_the_timers_over() {
    let one = node().await;
    let two = on(one.engine.clone(), one.clock.clone(), 2).await;
    one.store.run_timers(&TIMERS, Arc::new(Noting::default()));
    pass(&one.clock, 1_000).await;
    two.store.run_timers(&TIMERS, Arc::new(Noting::default()));
    two.store.commit(scheduled(one.clock_now() + 2_000, 1)).await.unwrap();
    one.store.close().await;
    pass(&one.clock, 2_000 + limits::LEASE_RETRY_MS).await;
    assert_eq!(ids(&journal_of(one.engine.as_ref()).await, kind::ROOM_EVENT), [1]);
}

fn clock_now(clock: &ManualClock) -> u64 {
    wardstead_limits::Clock::now_ms(clock)
}
