//! A small table and what tests do with it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use wardstead_engine::{
    AccessPattern, Batch, Bus, Engine, Expect, Group, JournalEntry, Key, LocalBus, Losing, Position, PositionSlot,
    Writer,
    counting::{CountingEngine, Counts},
    system::{self, EpochReason},
};
use wardstead_engine_memory::MemoryEngine;
use wardstead_limits::ManualClock;
use wardstead_store::{Store, Table, kind, testing};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    pub text: String,
}
wardstead_store::row!(Note, 1);

pub const NOTES: Table<Note> = Table::new(AccessPattern::Point, 0x0f0, "notes", "store tests");

pub fn note_key(scope: u64, name: &str) -> Key {
    NOTES.key(scope).text(name).key()
}

/// A batch that writes a note and one journal entry of `kind` in `scope`.
pub fn note(scope: u64, name: &str, entry: JournalEntry) -> Batch {
    let mut batch = Batch::new();
    let at = batch.journal(entry);
    let row = Note { text: name.to_owned() };
    NOTES.put_with(&mut batch, note_key(scope, name), 0, &[PositionSlot::Entry(at)], &row);
    batch
}

pub fn room_event(room: u64) -> JournalEntry {
    JournalEntry { kind: kind::ROOM_EVENT, scope: room, key: Vec::new().into() }
}

pub fn membership(user: u64, room: u64) -> JournalEntry {
    JournalEntry { kind: kind::MEMBERSHIP, scope: user, key: room.to_be_bytes().to_vec().into() }
}

/// Adds the next link of a chain on one cell: asserts version `n`, writes `n + 1`.
pub fn link(mut batch: Batch, head: &Key, n: u64) -> Batch {
    let expect = if n == 0 { Expect::Absent } else { Expect::Version(n) };
    batch.expect(head.clone(), expect, Losing::Rebuild);
    NOTES.put_with(&mut batch, head.clone(), n + 1, &[], &Note { text: n.to_string() });
    batch
}

pub struct Node {
    pub store: Store,
    pub engine: Arc<MemoryEngine>,
    pub counts: Counts,
    pub clock: ManualClock,
}

impl Node {
    pub fn clock_now(&self) -> u64 {
        wardstead_limits::Clock::now_ms(&self.clock)
    }
}

pub async fn node() -> Node {
    let (engine, clock) = testing::engine();
    on(engine, clock, 1).await
}

/// One more node on `engine`, which no bus reaches.
pub async fn on(engine: Arc<MemoryEngine>, clock: ManualClock, seed: u64) -> Node {
    on_bus(engine, Arc::new(LocalBus::new()), clock, seed).await
}

/// One more node on `engine` and `bus`.
pub async fn on_bus(engine: Arc<MemoryEngine>, bus: Arc<dyn Bus>, clock: ManualClock, seed: u64) -> Node {
    let (counting, counts) = CountingEngine::new(Arc::clone(&engine) as Arc<dyn Engine>);
    let store = testing::over_bus(Arc::new(counting), bus, "example.org", clock.clone(), seed).await.unwrap();
    Node { store, engine, counts, clock }
}

/// Raises the epoch, as a failover does.
pub async fn fail_over(engine: &dyn Engine) {
    let stored = engine.get_many(Position::ZERO, &[system::epoch_key()]).await.unwrap().pop().unwrap();
    let newest = engine.position().await.unwrap();
    let batch = system::raise_epoch(stored.as_ref(), newest, EpochReason::Failover, testing::START_MS).unwrap();
    let writer = Writer { incarnation: 99, group: 1 };
    let epoch = stored.map_or(0, |cell| cell.version);
    engine.commit_group(Group { epoch, writer, batches: vec![batch.into()] }).await.unwrap();
}
