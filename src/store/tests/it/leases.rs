//! Leases: renewed, fenced, handed over.

use std::time::Duration;

use wardstead_engine::{Batch, Losing};
use wardstead_limits::{ManualClock, store as limits};
use wardstead_store::{Held, LEASE_LOST, Store, StoreError};

use crate::{
    crash::{self, at_every_write},
    support::{NOTES, Node, membership, node, note, note_key, on, room_event},
};

async fn pair() -> (Node, Node) {
    let one = node().await;
    let two = on(one.engine.clone(), one.clock.clone(), 2).await;
    (one, two)
}

fn fenced(held: &Held, name: &str) -> Batch {
    let mut batch = note(1, name, room_event(1));
    held.assert(&mut batch);
    batch
}

/// Both clocks go on: the engine's and that of the tasks.
async fn pass(node: &Node, ms: u64) {
    let step = limits::LEASE_TTL_MS / 12;
    for _ in 0..ms.div_ceil(step) {
        node.clock.advance_ms(step);
        tokio::time::sleep(Duration::from_millis(step)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_held_lease_renews_itself_and_keeps_its_number() {
    let (one, two) = pair().await;
    let held = one.store.leases().hold("work").await.unwrap();
    for round in 0..5 {
        pass(&one, limits::LEASE_TTL_MS).await;
        assert!(!held.is_lost());
        assert!(two.store.leases().try_hold("work").await.unwrap().is_none());
        one.store.commit(fenced(&held, &round.to_string())).await.unwrap();
    }
    assert_eq!((held.name(), held.fencing()), ("work", 1));
}

/// Tasks of one node are one owner to the engine, and still only one of them holds it.
#[tokio::test(start_paused = true)]
async fn two_tasks_of_a_node_do_not_share_one() {
    let node = node().await;
    let leases = node.store.leases();
    let held = leases.hold("work").await.unwrap();
    assert!(leases.try_hold("work").await.unwrap().is_none());
    assert!(leases.try_hold("other").await.unwrap().is_some());
    let waiting = tokio::spawn({
        let leases = leases.clone();
        async move { leases.hold("work").await.unwrap().fencing() }
    });
    tokio::time::sleep(Duration::from_millis(1)).await;
    held.release().await;
    assert_eq!(waiting.await.unwrap(), 2);
}

/// A node that was away too long and still believes that it works: its batches lose.
#[tokio::test(start_paused = true)]
async fn a_former_owners_batch_loses() {
    let (one, two) = pair().await;
    let held = one.store.leases().hold("work").await.unwrap();
    // Without its renewals: only the engine's clock goes on.
    one.clock.advance_ms(limits::LEASE_TTL_MS);
    let successor = two.store.leases().try_hold("work").await.unwrap().unwrap();
    assert!(successor.fencing() > held.fencing());
    let refused = one.store.commit(fenced(&held, "late")).await;
    assert_eq!(refused, Err(StoreError::Lost(Losing::Fail(LEASE_LOST))));
    assert!(one.store.get(&NOTES, &note_key(1, "late")).await.unwrap().is_none());
    two.store.commit(fenced(&successor, "own")).await.unwrap();
    // And it is told as soon as it asks again.
    held.lost().await;
    assert!(held.is_lost());
    assert!(!successor.is_lost());
}

#[tokio::test(start_paused = true)]
async fn who_cannot_renew_in_time_is_told() {
    let node = node().await;
    let held = node.store.leases().hold("work").await.unwrap();
    node.engine.faults().fail_leases(true);
    pass(&node, limits::LEASE_TTL_MS / 2).await;
    assert!(!held.is_lost(), "one renewal may fail");
    pass(&node, limits::LEASE_TTL_MS).await;
    assert!(held.is_lost());
    // And may have it again, with a new number, when the engine is back.
    drop(held);
    let waiting = tokio::spawn({
        let leases = node.store.leases().clone();
        async move { leases.hold("work").await.unwrap().fencing() }
    });
    pass(&node, limits::LEASE_TTL_MS).await;
    node.engine.faults().fail_leases(false);
    assert_eq!(waiting.await.unwrap(), 2);
}

/// A graceful end: another node has it without waiting for the end of its time.
#[tokio::test(start_paused = true)]
async fn closing_hands_leases_over() {
    let (one, two) = pair().await;
    let (held, other) =
        (one.store.leases().hold("work").await.unwrap(), one.store.leases().hold("other").await.unwrap());
    let waiting = tokio::spawn({
        let leases = two.store.leases().clone();
        async move { leases.hold("work").await.unwrap() }
    });
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert!(!waiting.is_finished());
    one.store.hand_over().await;
    assert!(held.is_lost() && other.is_lost());
    assert!(matches!(one.store.leases().try_hold("work").await, Err(StoreError::Closed)));
    assert!(matches!(one.store.leases().hold("more").await, Err(StoreError::Closed)));
    one.store.commit(note(1, "still served", room_event(1))).await.unwrap();
    let held = tokio::time::timeout(Duration::from_millis(limits::LEASE_RETRY_MS + 1), waiting).await;
    assert_eq!(held.unwrap().unwrap().fencing(), 2);
    assert!(two.store.leases().try_hold("other").await.unwrap().is_some());
    one.store.close().await;
}

#[tokio::test(start_paused = true)]
async fn dropping_it_gives_it_back() {
    let (one, two) = pair().await;
    drop(one.store.leases().hold("work").await.unwrap());
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(two.store.leases().try_hold("work").await.unwrap().unwrap().fencing(), 2);
    assert!(one.store.leases().hold(&"x".repeat(5_000)).await.is_err(), "not a name");
}

/// Killed at any of its writes: the successor gets the lease when its time is over, and nothing of the dead one's comes after.
#[test]
fn a_killed_owner_is_succeeded() {
    let act = async |store: &Store, clock: &ManualClock| {
        for name in ["a", "b"] {
            let held = store.leases().hold("work").await.unwrap();
            for n in 0..3 {
                store.commit(fenced(&held, &format!("{name}{n}"))).await.unwrap();
                crash::pass(clock, limits::LEASE_TTL_MS / 2).await;
            }
            held.release().await;
        }
    };
    let recover = async |store: &Store, clock: &ManualClock| {
        let leases = store.leases().clone();
        let waiting = tokio::spawn(async move { leases.hold("work").await.unwrap() });
        crash::pass(clock, limits::LEASE_TTL_MS + limits::LEASE_RETRY_MS + 100).await;
        assert!(waiting.is_finished());
        let mut batch = note(1, "successor", membership(1, 1));
        waiting.await.unwrap().assert(&mut batch);
        store.commit(batch).await.unwrap();
    };
    at_every_write(&act, &recover, |journal, about| {
        let last = journal.last().unwrap();
        assert_eq!(last.entry.kind, wardstead_store::kind::MEMBERSHIP, "{about}");
    });
}
