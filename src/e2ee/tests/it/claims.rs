//! One-time keys are claimed once each, whoever asks, and none that was handed out before a restore.

use std::{collections::BTreeSet, sync::Arc};

use futures::future::join_all;
use wardstead_engine::{
    Engine, Group, Outcome, Position, Writer,
    system::{self, EpochReason},
};
use wardstead_limits::Clock as _;
use wardstead_store::testing;

use crate::support::{ALGORITHM, Node, name, node};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_claim_each_of_a_thousand_keys_once() {
    let (engine, clock) = testing::engine();
    let nodes: Vec<Arc<Node>> = vec![
        Arc::new(node(engine.clone(), clock.clone(), 1).await),
        Arc::new(node(engine.clone(), clock.clone(), 2).await),
    ];
    let anna = nodes[0].user("anna").await;
    nodes[0].upload(&anna, 0..1_000).await;
    nodes[0].fallback(&anna, 5_000).await;
    let claims = (0..2_000).map(|n| {
        let (node, anna) = (Arc::clone(&nodes[n % 2]), anna.clone());
        tokio::spawn(async move { node.claim(&anna).await })
    });
    let claimed: Vec<String> = join_all(claims).await.into_iter().map(|claimed| claimed.unwrap().unwrap()).collect();
    let fallback = claimed.iter().filter(|claimed| **claimed == name(5_000)).count();
    assert_eq!(fallback, 1_000, "each key once, and then the fallback key");
    let once: BTreeSet<String> = claimed.into_iter().collect();
    assert_eq!(once.len(), 1_001);
    assert!(once.into_iter().eq((0..1_000).chain([5_000]).map(name)));
    for node in &nodes {
        node.store.caught_up().await.unwrap();
        let counts = node.keys.counts(anna.device).await.unwrap();
        assert_eq!((counts.one_time[ALGORITHM], counts.unused_fallback.len()), (0, 0));
    }
}

#[tokio::test]
async fn keys_are_claimed_in_the_order_of_upload_and_counted_on_every_node() {
    let (engine, clock) = testing::engine();
    let (one, other) = (node(engine.clone(), clock.clone(), 1).await, node(engine.clone(), clock.clone(), 2).await);
    let anna = one.user("anna").await;
    assert_eq!(one.keys.counts(anna.device).await.unwrap().one_time[ALGORITHM], 0, "told before anything is uploaded");
    one.upload(&anna, 50..52).await;
    one.upload(&anna, 10..12).await;
    let counted = async |node: &Node| {
        node.store.caught_up().await.unwrap();
        let counts = node.keys.counts(anna.device).await.unwrap();
        (counts.one_time[ALGORITHM], counts.unused_fallback.clone())
    };
    assert_eq!(counted(&other).await, (4, vec![]));
    one.fallback(&anna, 99).await;
    assert_eq!(counted(&other).await, (4, vec![ALGORITHM.to_owned()]));
    for (claimer, expected, left) in [(&one, 50, 3), (&other, 51, 2), (&one, 10, 1), (&other, 11, 0)] {
        assert_eq!(claimer.claim(&anna).await, Some(name(expected)));
        assert_eq!(counted(&one).await, (left, vec![ALGORITHM.to_owned()]));
        assert_eq!(counted(&other).await, counted(&one).await);
    }
    assert_eq!(other.claim(&anna).await, Some(name(99)));
    assert_eq!(counted(&one).await, (0, vec![]));
    assert_eq!(one.claim(&anna).await, Some(name(99)), "a fallback key is given again");
    one.fallback(&anna, 98).await;
    assert_eq!(counted(&other).await, (0, vec![ALGORITHM.to_owned()]));
    one.fallback(&anna, 98).await;
}

#[tokio::test]
async fn a_restore_voids_one_time_keys_and_marks_fallback_keys_used() {
    for (reason, lost) in [(EpochReason::Restore, true), (EpochReason::Import, true), (EpochReason::Failover, false)] {
        let (engine, clock) = testing::engine();
        let before = node(engine.clone(), clock.clone(), 1).await;
        let anna = before.user("anna").await;
        before.upload(&anna, 0..3).await;
        before.fallback(&anna, 99).await;
        before.store.close().await;
        let position = engine.position().await.unwrap();
        let cells = engine.get_many(position, &[system::epoch_key()]).await.unwrap();
        let batch = system::raise_epoch(cells[0].as_ref(), position, reason, clock.now_ms()).unwrap();
        let writer = Writer { incarnation: 77, group: 0 };
        let raised = engine.commit_group(Group { epoch: 0, writer, batches: vec![Arc::new(batch)] }).await.unwrap();
        assert!(matches!(raised.outcomes[..], [Outcome::Won { .. }]));

        let after = node(engine.clone(), clock.clone(), 2).await;
        let counts = after.keys.counts(anna.device).await.unwrap();
        let expected = if lost { (0, 0) } else { (3, 1) };
        assert_eq!((counts.one_time[ALGORITHM], counts.unused_fallback.len()), expected, "{reason:?}");
        let first = if lost { name(99) } else { name(0) };
        assert_eq!(after.claim(&anna).await, Some(first), "{reason:?}");
        // What is uploaded from now on counts; what was there before, uploaded again, does not come back.
        after.upload(&anna, 2..5).await;
        let counts = after.keys.counts(anna.device).await.unwrap();
        assert_eq!(counts.one_time[ALGORITHM], if lost { 2 } else { 4 }, "{reason:?}");
        assert_eq!(after.claim(&anna).await, Some(name(if lost { 3 } else { 1 })), "{reason:?}");
        after.fallback(&anna, 98).await;
        assert_eq!(after.keys.counts(anna.device).await.unwrap().unused_fallback, [ALGORITHM]);
        assert!(after.store.epochs().restored_at() > Position::ZERO || !lost);
    }
}
