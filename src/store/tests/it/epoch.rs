//! A change of epoch by somebody else: a restore, or a failover.

use std::time::Duration;

use wardstead_engine::{Losing, Position};
use wardstead_limits::store as limits;
use wardstead_store::{Reach, StoreError};

use crate::support::{fail_over, node, note, on, room_event};

/// It refuses what was built in the old epoch; what is built again is committed.
#[tokio::test]
async fn a_changed_epoch_asks_for_a_rebuild() {
    let node = node().await;
    node.store.commit(note(1, "before", room_event(1))).await.unwrap();
    fail_over(node.engine.as_ref()).await;
    let refused = node.store.commit(note(1, "old", room_event(1))).await;
    assert_eq!(refused, Err(StoreError::Lost(Losing::Rebuild)));
    node.store.commit(note(1, "new", room_event(1))).await.unwrap();
    node.store.caught_up().await.unwrap();
    let later = on(node.engine.clone(), node.clock.clone(), 2).await;
    assert!(later.store.epoch() > 0);
    assert_eq!(later.store.epochs(), node.store.epochs());
    assert!(later.store.position() > Position::ZERO);
}

/// A node that commits nothing notices too: no answer advertises a position of the new epoch as one of the old.
#[tokio::test(start_paused = true)]
async fn a_node_that_only_reads_follows() {
    let node = node().await;
    let last = node.store.commit(note(1, "a", room_event(1))).await.unwrap()[0];
    node.store.caught_up().await.unwrap();
    fail_over(node.engine.as_ref()).await;
    assert_eq!(node.store.epoch(), 0, "the tail has not looked yet");
    let upto = node.store.caught_up().await.unwrap();
    let epochs = node.store.epochs();
    assert_eq!(epochs.current(), node.store.epoch());
    assert!(epochs.current() > 0 && upto >= epochs.ended()[0].next);
    assert_eq!(epochs.readable(0, last), Reach::Incremental);
    assert_eq!(epochs.readable(0, last.next()), Reach::Gappy, "lost with the old server");
    assert_eq!(epochs.readable(epochs.current(), upto), Reach::Incremental);
    // And by polling alone, when nobody asks.
    fail_over(node.engine.as_ref()).await;
    tokio::time::sleep(Duration::from_millis(limits::TAIL_POLL_MS + 5)).await;
    assert!(node.store.epoch() > epochs.current());
}

/// The cell of the epoch cannot be read: the position stands still until it can.
#[tokio::test(start_paused = true)]
async fn the_position_waits_for_the_epoch() {
    let node = node().await;
    node.store.commit(note(1, "a", room_event(1))).await.unwrap();
    let before = node.store.caught_up().await.unwrap();
    fail_over(node.engine.as_ref()).await;
    node.engine.faults().fail_read(1);
    assert!(node.store.caught_up().await.is_err());
    assert_eq!((node.store.position(), node.store.epoch()), (before, 0));
    assert!(node.store.caught_up().await.unwrap() > before);
    assert!(node.store.epoch() > 0);
}

/// What was lost may have held blocks of short ids that nodes still give out: after it, nobody does.
#[tokio::test(start_paused = true)]
async fn short_ids_of_lost_commits_are_never_given_again() {
    let node = node().await;
    let early = node.store.next_id().await.unwrap();
    fail_over(node.engine.as_ref()).await;
    assert!(node.store.commit(note(1, "a", room_event(1))).await.is_err());
    node.store.caught_up().await.unwrap();
    let late = node.store.next_id().await.unwrap();
    assert!(late >= early + limits::EPOCH_JUMP_IDS);
    let other = on(node.engine.clone(), node.clock.clone(), 2).await;
    assert!(other.store.next_id().await.unwrap() < late + 2 * limits::SHORT_ID_BLOCK, "the jump is made once");
}
