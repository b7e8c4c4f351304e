//! Which nodes live: each writes a row every few seconds, nobody waits for it.
//!
//! For operators and metrics, to have each node commit now and then, and so that a node without company tells nobody of its
//! commits. Nothing decides by it who may do what: that is what leases are for. The times are of the nodes' own wall clocks.

use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::{sync::watch, task::JoinHandle};
use wardstead_engine::{AccessPattern, Batch, Key, ScanRange, Urgency};
use wardstead_limits::store as limits;

use crate::{Found, Store, StoreError, Table, start::stopped};

/// A node of the installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// The random number of its process.
    pub incarnation: u64,
    /// When it was announced, in milliseconds since 1970.
    pub started_ms: u64,
    /// When it last said that it lives, in milliseconds since 1970.
    pub last_seen_ms: u64,
    /// The program's version.
    pub version: String,
    /// Where its listener is reached, as far as it said.
    pub address: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct NodeRow {
    started_ms: u64,
    last_seen_ms: u64,
    version: String,
    address: Option<String>,
}
crate::row!(NodeRow, 1);

const NODES: Table<NodeRow> = Table::new(AccessPattern::Churn, 0x012, "nodes", "store");

fn key(incarnation: u64) -> Key {
    NODES.key(0).u64(incarnation).key()
}

fn silent_ms(found: &Found<NodeRow>, now_ms: u64) -> u64 {
    now_ms.saturating_sub(found.row.last_seen_ms)
}

async fn all(store: &Store) -> Result<Vec<Found<NodeRow>>, StoreError> {
    store.scan_all(&NODES, ScanRange::scope(NODES.id(), 0)).await
}

/// See [`Store::nodes`].
pub(crate) async fn live(store: &Store) -> Result<Vec<Node>, StoreError> {
    let now_ms = store.clock().now_ms();
    let live = all(store).await?.into_iter().filter(|found| silent_ms(found, now_ms) <= limits::NODE_LIVE_MS);
    Ok(live.map(node).collect())
}

fn node(found: Found<NodeRow>) -> Node {
    let incarnation = wardstead_engine::KeyReader::new(&found.key).u64().unwrap_or_default();
    let NodeRow { started_ms, last_seen_ms, version, address } = found.row;
    Node { incarnation, started_ms, last_seen_ms, version, address }
}

/// The task that says that this node lives.
#[derive(Debug, Default)]
pub(crate) struct Beating(Mutex<Option<(watch::Sender<bool>, JoinHandle<()>)>>);

impl Beating {
    pub(crate) fn start(&self, store: Store, version: &str, address: Option<&str>) {
        let mut running = self.0.lock();
        if running.is_none() {
            let started_ms = store.clock().now_ms();
            let (version, address) = (version.to_owned(), address.map(ToOwned::to_owned));
            let row = NodeRow { started_ms, last_seen_ms: started_ms, version, address };
            let (stop, stopped) = watch::channel(false);
            *running = Some((stop, tokio::spawn(run(store, row, stopped))));
        }
    }

    /// Removes the node. Waits for that at most [`limits::HAND_OVER_MS`]: the row of a node that cannot is forgotten by the
    /// others.
    pub(crate) async fn stop(&self) {
        let Some((stop, task)) = self.0.lock().take() else { return };
        stop.send_replace(true);
        if tokio::time::timeout(Duration::from_millis(limits::HAND_OVER_MS), task).await.is_err() {
            tracing::warn!("this node's row could not be removed in time");
        }
    }
}

async fn run(store: Store, mut row: NodeRow, mut stop: watch::Receiver<bool>) {
    let incarnation = store.incarnation();
    loop {
        row.last_seen_ms = store.clock().now_ms();
        if let Err(error) = beat(&store, incarnation, &row).await {
            tracing::warn!(%error, "this node could not say that it lives");
        }
        tokio::select! {
            biased;
            () = stopped(&mut stop) => break,
            () = tokio::time::sleep(Duration::from_millis(limits::NODE_BEAT_MS)) => {}
        }
    }
    let mut batch = Batch::new();
    batch.delete(key(incarnation));
    if let Err(error) = store.commit(batch).await {
        tracing::warn!(%error, "this node could not be removed; the others will forget it");
    }
}

/// Writes the node's row, and removes those of nodes that were killed.
async fn beat(store: &Store, incarnation: u64, row: &NodeRow) -> Result<(), StoreError> {
    let mut batch = Batch { urgency: Urgency::Soon, ..Batch::new() };
    let mut alone = true;
    for other in all(store).await? {
        let silent_ms = silent_ms(&other, row.last_seen_ms);
        alone &= silent_ms > limits::NODE_LIVE_MS || other.key == key(incarnation);
        if silent_ms > limits::NODE_FORGET_MS {
            batch.delete(other.key);
        }
    }
    store.set_alone(alone);
    NODES.put(&mut batch, key(incarnation), row);
    store.commit(batch).await.map(drop)
}
