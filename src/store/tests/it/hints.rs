//! Hints between nodes: fast, coalesced, and never believed.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use tokio::sync::{Semaphore, broadcast};
use wardstead_engine::{Bus, BusError, BusMessage, LocalBus, Position, Topic};
use wardstead_limits::store as limits;

use crate::{
    crash::pass,
    support::{node, note, on_bus, room_event},
};

/// A bus that counts, and that can be slow or cut.
struct Watched {
    bus: LocalBus,
    published: AtomicUsize,
    cut: AtomicBool,
    /// Each message takes a permit.
    passes: Semaphore,
}

impl Watched {
    fn new(passes: usize) -> Arc<Self> {
        let bus = LocalBus::new();
        Arc::new(Self {
            bus,
            published: AtomicUsize::new(0),
            cut: AtomicBool::new(false),
            passes: Semaphore::new(passes),
        })
    }

    fn published(&self) -> usize {
        self.published.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Bus for Watched {
    async fn publish(&self, message: BusMessage) -> Result<(), BusError> {
        self.published.fetch_add(1, Ordering::SeqCst);
        self.passes.acquire().await.unwrap().forget();
        if self.cut.load(Ordering::SeqCst) {
            return Err(BusError::Unavailable("cut".to_owned()));
        }
        self.bus.publish(message).await
    }

    fn subscribe(&self) -> broadcast::Receiver<BusMessage> {
        self.bus.subscribe()
    }
}

async fn committed(position: u64, bus: &LocalBus) {
    let payload = position.to_be_bytes().to_vec().into();
    bus.publish(BusMessage { topic: Topic::Committed, payload }).await.unwrap();
}

/// Well below the poll interval, which is what would find it otherwise.
const SOON: Duration = Duration::from_millis(limits::TAIL_POLL_MS / 10);

#[tokio::test(start_paused = true)]
async fn another_nodes_commit_is_seen_before_any_poll() {
    let bus = Watched::new(1_000);
    let one = node().await;
    let one = on_bus(one.engine, bus.clone(), one.clock, 7).await;
    let two = on_bus(one.engine.clone(), bus.clone(), one.clock.clone(), 2).await;
    for n in 0..20 {
        let positions = one.store.commit(note(1, &n.to_string(), room_event(1))).await.unwrap();
        tokio::time::sleep(SOON).await;
        assert!(two.store.position() >= positions[0]);
    }
    // With the bus cut, polling finds it.
    bus.cut.store(true, Ordering::SeqCst);
    let positions = one.store.commit(note(1, "cut", room_event(1))).await.unwrap();
    tokio::time::sleep(Duration::from_millis(limits::TAIL_POLL_MS + 5)).await;
    assert!(two.store.position() >= positions[0]);
}

/// A bus that takes nothing holds up no commit; when it moves again, one message tells the newest.
#[tokio::test(start_paused = true)]
async fn a_slow_bus_holds_up_no_commit_and_gets_the_newest() {
    let bus = Watched::new(0);
    let one = node().await;
    let one = on_bus(one.engine, bus.clone(), one.clock, 7).await;
    let mut heard = bus.subscribe();
    let mut newest = Position::ZERO;
    for n in 0..100 {
        newest = one.store.commit(note(1, &n.to_string(), room_event(1))).await.unwrap()[0];
    }
    assert_eq!(bus.published(), 1, "the first still waits");
    bus.passes.add_permits(1_000);
    let mut last = heard.recv().await.unwrap();
    tokio::time::sleep(SOON).await;
    while let Ok(message) = heard.try_recv() {
        last = message;
    }
    assert_eq!(last.payload[..], newest.0.to_be_bytes());
    assert_eq!(bus.published(), 2);
}

/// What comes over the bus is a hint: no read is made at a position that only the bus knows, own messages do nothing.
#[tokio::test(start_paused = true)]
async fn what_is_heard_is_not_believed() {
    let bus = LocalBus::new();
    let one = node().await;
    let one = on_bus(one.engine, Arc::new(bus.clone()), one.clock, 7).await;
    let reached = one.store.commit(note(1, "a", room_event(1))).await.unwrap()[0];
    committed(reached.0 + 1_000_000, &bus).await;
    bus.publish(BusMessage { topic: Topic::Committed, payload: vec![1, 2].into() }).await.unwrap();
    bus.publish(BusMessage { topic: Topic::Typing, payload: vec![].into() }).await.unwrap();
    tokio::time::sleep(SOON).await;
    assert_eq!(one.store.position(), reached);
    one.store.cells(&[]).await.unwrap();
    let next = one.store.commit(note(1, "b", room_event(1))).await.unwrap()[0];
    assert_eq!(one.store.caught_up().await.unwrap(), next);
}

/// Who is known to have no company tells nobody; whoever joins is told within a beat.
#[tokio::test(start_paused = true)]
async fn a_lone_node_tells_nobody() {
    let bus = Watched::new(1_000);
    let one = node().await;
    let one = on_bus(one.engine, bus.clone(), one.clock, 7).await;
    one.store.commit(note(1, "nobody knows yet", room_event(1))).await.unwrap();
    one.store.announce("1.0", None);
    pass(&one.clock, limits::NODE_BEAT_MS + limits::SOON_MS).await;
    let before = bus.published();
    assert_eq!(before, 1);
    one.store.commit(note(1, "alone", room_event(1))).await.unwrap();
    pass(&one.clock, 100).await;
    assert_eq!(bus.published(), before);
    let two = on_bus(one.engine.clone(), bus.clone(), one.clock.clone(), 2).await;
    two.store.announce("1.0", None);
    pass(&one.clock, 2 * limits::NODE_BEAT_MS).await;
    let positions = one.store.commit(note(1, "in company", room_event(1))).await.unwrap();
    tokio::time::sleep(SOON).await;
    assert!(two.store.position() >= positions[0] && bus.published() > before);
}
