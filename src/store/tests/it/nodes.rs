//! The table of live nodes.

use std::time::Duration;

use wardstead_engine::{AccessPattern, Engine, PageLimit, Position, ScanRange, TableId};
use wardstead_limits::store as limits;
use wardstead_store::Store;

use crate::{
    crash::mortal,
    support::{Node, node, on},
};

async fn pass(node: &Node, ms: u64) {
    for _ in 0..ms.div_ceil(limits::NODE_BEAT_MS) {
        node.clock.advance_ms(limits::NODE_BEAT_MS);
        tokio::time::sleep(Duration::from_millis(limits::NODE_BEAT_MS)).await;
    }
}

async fn versions(store: &Store) -> Vec<String> {
    let mut versions: Vec<_> = store.nodes().await.unwrap().into_iter().map(|node| node.version).collect();
    versions.sort();
    versions
}

#[tokio::test(start_paused = true)]
async fn live_nodes_are_known_to_all() {
    let one = node().await;
    let two = on(one.engine.clone(), one.clock.clone(), 2).await;
    assert_eq!(versions(&one.store).await, [""; 0], "a node that is not announced is not known");
    one.store.announce("1.0", Some("10.0.0.1:8008"));
    two.store.announce("1.1", None);
    two.store.announce("again", None);
    for _ in 0..50 {
        pass(&one, limits::NODE_BEAT_MS).await;
        assert_eq!(versions(&one.store).await, ["1.0", "1.1"]);
        assert_eq!(one.store.nodes().await.unwrap(), two.store.nodes().await.unwrap());
    }
    let nodes = one.store.nodes().await.unwrap();
    let first = nodes.iter().find(|node| node.incarnation == one.store.incarnation()).unwrap();
    assert_eq!(first.address.as_deref(), Some("10.0.0.1:8008"));
    assert!(first.last_seen_ms > first.started_ms);
    // One ends; it is gone at once.
    two.store.close().await;
    assert_eq!(versions(&one.store).await, ["1.0"]);
}

/// A killed node is soon not counted any more, and later forgotten.
#[tokio::test(start_paused = true)]
async fn a_killed_node_is_forgotten() {
    let one = node().await;
    let (two, crash) = mortal(&one.engine, &one.clock, 2).await;
    one.store.announce("1.0", None);
    two.announce("killed", None);
    pass(&one, limits::NODE_BEAT_MS).await;
    assert_eq!(versions(&one.store).await, ["1.0", "killed"]);
    crash.crash();
    pass(&one, limits::NODE_LIVE_MS + limits::NODE_BEAT_MS).await;
    assert_eq!(versions(&one.store).await, ["1.0"]);
    let table = ScanRange::scope(TableId::new(AccessPattern::Churn, 0x012), 0);
    let rows = async || one.engine.scan(Position::ZERO, &table, PageLimit::default()).await.unwrap().rows.len();
    assert_eq!(rows().await, 2);
    pass(&one, limits::NODE_FORGET_MS).await;
    assert_eq!(rows().await, 1);
}

/// A beat that fails is made up by the next.
#[tokio::test(start_paused = true)]
async fn a_node_whose_beat_fails_beats_again() {
    let one = node().await;
    one.engine.faults().fail_read(1);
    one.store.announce("1.0", None);
    pass(&one, 2 * limits::NODE_BEAT_MS).await;
    assert_eq!(versions(&one.store).await, ["1.0"]);
}
