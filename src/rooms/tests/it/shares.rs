//! Several nodes that append to one room at once.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::future::join_all;
use ruma::RoomId;
use tokio::sync::Mutex;
use wardstead_accounts::Session;
use wardstead_engine::{
    Cell, Engine, EngineError, EngineLimits, Group, GroupOutcome, Key, Lease, LeaseRequest, Page, PageLimit, Position,
    ScanRange,
};
use wardstead_limits::ManualClock;
use wardstead_store::testing;

use crate::support::{Server, through};

/// A database: commits wait for one another, first come, first served, and each takes a while.
struct Database {
    engine: Arc<dyn Engine>,
    lock: Arc<Mutex<()>>,
}

const COMMIT: Duration = Duration::from_millis(4);
const READ: Duration = Duration::from_millis(1);

#[async_trait]
impl Engine for Database {
    async fn get_many(&self, at: Position, keys: &[Key]) -> Result<Vec<Option<Cell>>, EngineError> {
        tokio::time::sleep(READ).await;
        self.engine.get_many(at, keys).await
    }

    async fn scan(&self, at: Position, range: &ScanRange, page: PageLimit) -> Result<Page, EngineError> {
        tokio::time::sleep(READ).await;
        self.engine.scan(at, range, page).await
    }

    async fn commit_group(&self, group: Group) -> Result<GroupOutcome, EngineError> {
        let _lock = self.lock.lock().await;
        tokio::time::sleep(COMMIT).await;
        self.engine.commit_group(group).await
    }

    async fn position(&self) -> Result<Position, EngineError> {
        self.engine.position().await
    }

    async fn lease(&self, request: LeaseRequest) -> Result<Option<Lease>, EngineError> {
        let _lock = self.lock.lock().await;
        tokio::time::sleep(COMMIT).await;
        self.engine.lease(request).await
    }

    fn limits(&self) -> EngineLimits {
        self.engine.limits()
    }
}

async fn nodes(count: u64) -> Vec<Server> {
    let (engine, clock) = testing::engine();
    let lock = Arc::<Mutex<()>>::default();
    let mut nodes = Vec::new();
    for seed in 1..=count {
        let database = Database { engine: Arc::clone(&engine) as Arc<dyn Engine>, lock: Arc::clone(&lock) };
        nodes.push(through(Arc::new(database), Arc::clone(&engine), clock.clone(), seed).await);
    }
    tokio::spawn(tick(clock));
    nodes
}

/// The nodes' clock goes with tokio's, which is paused: it jumps to the next moment at which something is to be done.
async fn tick(clock: ManualClock) {
    loop {
        tokio::time::sleep(Duration::from_millis(1)).await;
        clock.advance_ms(1);
    }
}

/// Sixty-four senders on a node, each of which sends the next message when the last one is acknowledged.
async fn send(node: &Server, by: &Session, room: &RoomId, name: &str, each: usize) -> Vec<String> {
    let senders = (0..64).map(|sender| async move {
        let mut sent = Vec::new();
        for number in 0..each {
            let body = format!("{name} {sender} {number}");
            node.say(by, room, &body).await.unwrap();
            sent.push(body);
        }
        sent
    });
    join_all(senders).await.concat()
}

#[tokio::test(start_paused = true)]
async fn sixty_four_senders_on_each_of_two_nodes_all_get_through() {
    let nodes = nodes(2).await;
    let ada = nodes[0].user("ada").await;
    let room = nodes[0].room(&[&ada]).await;
    let (one, two) = tokio::join!(send(&nodes[0], &ada, &room, "one", 12), send(&nodes[1], &ada, &room, "two", 12));
    let bodies = nodes[0].bodies(&ada, &room).await;
    let all: BTreeSet<String> = one.into_iter().chain(two).collect();
    assert_eq!(bodies.len(), all.len(), "each once");
    assert_eq!(bodies.iter().cloned().collect::<BTreeSet<_>>(), all);
    assert_eq!(bodies, nodes[1].bodies(&ada, &room).await, "in one order");
    assert!(nodes.iter().all(|node| node.busy_rooms() == 0));
}

/// Two that talk to each other over two nodes conflict now and then, and wait for nobody's share to end.
#[tokio::test(start_paused = true)]
async fn a_share_that_is_not_needed_any_more_is_given_back() {
    let nodes = nodes(2).await;
    let ada = nodes[0].user("ada").await;
    let room = nodes[0].room(&[&ada]).await;
    tokio::join!(send(&nodes[0], &ada, &room, "one", 3), send(&nodes[1], &ada, &room, "two", 3));
    // Both know that the other appends, and neither has anything more to say.
    tokio::time::sleep(Duration::from_millis(50)).await;
    for node in [&nodes[0], &nodes[1], &nodes[0]] {
        // Time passes here only when everybody waits for it.
        let said = tokio::time::timeout(Duration::from_millis(200), node.say(&ada, &room, "hello")).await;
        said.expect("it waited for the other's share to end").unwrap();
    }
}
