//! What a worker's commit asserts: whoever commits late, or twice, loses.

use std::{future::pending, sync::Arc};

use async_trait::async_trait;
use tokio::sync::mpsc;
use wardstead_engine::{AccessPattern, Batch, Losing};
use wardstead_limits::store as limits;
use wardstead_store::{Claim, Fired, Found, LEASE_LOST, StoreError, Table, TimerHandler, Timers};

use crate::{
    crash::pass,
    support::{NOTES, Node, Note, node, note, note_key, on, room_event},
};

const TIMERS: Timers<Note> = Timers::new(Table::new(AccessPattern::Churn, 0x0f3, "claimed_timers", "store tests"));

/// Gives its claims away, and is never done.
struct Giving(mpsc::UnboundedSender<(Claim, Found<Note>)>);

#[async_trait]
impl TimerHandler<Note> for Giving {
    async fn fire(&self, timer: &Found<Note>, claim: &Claim) -> Result<Fired, StoreError> {
        self.0.send((claim.clone(), timer.clone())).unwrap();
        pending().await
    }
}

/// A node with two timers that are due, and its claim on one of them.
async fn claimed() -> (Node, Claim, Found<Note>) {
    let node = node().await;
    let (given, mut claims) = mpsc::unbounded_channel();
    node.store.run_timers(&TIMERS, Arc::new(Giving(given)));
    let mut batch = Batch::new();
    for id in 1..3 {
        TIMERS.schedule(&mut batch, 0, id, &Note { text: id.to_string() });
    }
    node.store.commit(batch).await.unwrap();
    pass(&node.clock, 100).await;
    let (claim, timer) = claims.recv().await.unwrap();
    (node, claim, timer)
}

/// The claim's commit, with a note.
async fn commit(node: &Node, claim: &Claim, timer: &Found<Note>, name: &str) -> Result<(), StoreError> {
    let mut batch = note(1, name, room_event(1));
    claim.take(&mut batch, std::slice::from_ref(timer));
    let done = node.store.commit(batch).await.map(drop);
    let written = node.store.get(&NOTES, &note_key(1, name)).await.unwrap().is_some();
    assert_eq!(written, done.is_ok());
    done
}

#[tokio::test(start_paused = true)]
async fn a_row_is_taken_once() {
    let (node, claim, timer) = claimed().await;
    assert_eq!(commit(&node, &claim, &timer, "once").await, Ok(()));
    let again = commit(&node, &claim, &timer, "twice").await;
    assert_eq!(again, Err(StoreError::Lost(Losing::Done(timer.key.clone()))));
}

/// Somebody else has the lease now: the work is not this node's, though the row is still there.
#[tokio::test(start_paused = true)]
async fn a_claim_ends_with_its_lease() {
    let (one, claim, timer) = claimed().await;
    let two = on(one.engine.clone(), one.clock.clone(), 2).await;
    one.clock.advance_ms(limits::LEASE_TTL_MS);
    let held = two.store.leases().try_hold("work/claimed_timers/1/0").await.unwrap();
    assert!(held.is_some(), "this is the lease's name");
    let late = commit(&one, &claim, &timer, "late").await;
    assert_eq!(late, Err(StoreError::Lost(Losing::Fail(LEASE_LOST))));
    assert!(one.store.cells(&[timer.key]).await.unwrap()[0].is_some());
}

#[tokio::test(start_paused = true)]
async fn a_claim_ends_with_its_partition() {
    let (node, claim, timer) = claimed().await;
    node.store.set_partitions("claimed_timers", 2).await.unwrap();
    let late = commit(&node, &claim, &timer, "late").await;
    assert!(matches!(late, Err(StoreError::Lost(Losing::Fail(_)))), "{late:?}");
}

/// Progress before anything is done, such as the id of what is about to be sent: it takes no row, and is fenced all the same.
#[tokio::test(start_paused = true)]
async fn a_claim_without_rows_is_fenced_too() {
    let (one, claim, _) = claimed().await;
    let two = on(one.engine.clone(), one.clock.clone(), 2).await;
    let progress = async |name: &str| {
        let mut batch = note(1, name, room_event(1));
        claim.take::<Note>(&mut batch, &[]);
        one.store.commit(batch).await.map(drop)
    };
    assert_eq!(progress("in time").await, Ok(()));
    one.clock.advance_ms(limits::LEASE_TTL_MS);
    let held = two.store.leases().try_hold("work/claimed_timers/1/0").await.unwrap();
    assert!(held.is_some());
    assert_eq!(progress("late").await, Err(StoreError::Lost(Losing::Fail(LEASE_LOST))));
}
