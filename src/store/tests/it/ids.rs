//! Short ids: never reused, by blocks, on two nodes.

use std::collections::HashSet;

use wardstead_limits::store as limits;

use crate::support::{node, on};

#[tokio::test]
async fn two_nodes_never_give_the_same_number_and_pay_once_per_block() {
    let one = node().await;
    let two = on(one.engine.clone(), one.clock.clone(), 2).await;
    let before = one.counts.read().batches;
    let block = usize::try_from(limits::SHORT_ID_BLOCK).unwrap();
    let mut seen = HashSet::new();
    for _ in 0..3 {
        for node in [&one, &two] {
            seen.extend(node.store.next_ids(block - 1).await.unwrap());
            seen.insert(node.store.next_id().await.unwrap());
        }
    }
    assert_eq!(seen.len(), 6 * block);
    assert!(!seen.contains(&0));
    assert_eq!(one.counts.read().batches - before, 3, "one commit per block");
    // The process ends; what was left of its block is lost, not given again.
    let three = on(one.engine.clone(), one.clock.clone(), 3).await;
    assert!(seen.insert(three.store.next_id().await.unwrap()));
}

#[tokio::test]
async fn tasks_that_ask_at_once_get_different_numbers() {
    let node = node().await;
    let asks = (0..64).map(|_| {
        let store = node.store.clone();
        tokio::spawn(async move { store.next_ids(100).await.unwrap() })
    });
    let mut seen = HashSet::new();
    for ask in asks.collect::<Vec<_>>() {
        seen.extend(ask.await.unwrap());
    }
    assert_eq!(seen.len(), 6_400);
}
