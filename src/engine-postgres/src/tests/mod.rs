//! The conformance suite on a real PostgreSQL, and what only an engine on a server can do.

mod bus;
mod conformance;
mod durability;
mod failover;
mod faults;
mod loss;
mod plans;
mod pooler;
mod proxy;
mod tls;
mod trips;

use std::{future::Future, sync::Arc, time::Duration};

use wardstead_engine::{
    AccessPattern, Batch, Engine, EngineError, Expect, Group, GroupOutcome, JournalEntry, JournalRow, Key, Losing,
    PageLimit, Position, ScanRange, TableId, Writer, journal, system,
};

use crate::{Durability, PostgresEngine, PostgresOptions, testing::Cluster};

/// Options of a database on a server that has no standby.
pub(crate) fn options(url: &str) -> PostgresOptions {
    let options = PostgresOptions::from_url(url, None, None).unwrap();
    PostgresOptions { durability: Durability::Primary, ..options }
}

pub(crate) async fn open(url: &str) -> Arc<PostgresEngine> {
    Arc::new(PostgresEngine::open(options(url)).await.unwrap())
}

/// Work that waits for processes, off the async threads.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

/// An empty database of the shared server.
pub(crate) async fn fresh() -> String {
    blocking(|| Cluster::shared().database()).await
}

/// Waits for what happens by itself.
pub(crate) async fn until<F: Future<Output = bool>>(mut done: impl FnMut() -> F) {
    for _ in 0..1_200 {
        if done().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it did not happen within a minute");
}

pub(crate) fn key(number: u64) -> Key {
    Key::build(TableId::new(AccessPattern::Point, 0xf0), 1).u64(number).key()
}

pub(crate) fn writer(group: u64) -> Writer {
    Writer { incarnation: 5, group }
}

/// A group of one event: a row of each pattern, and a journal entry. Asserts that it was not written before.
pub(crate) fn event(number: u64) -> Group {
    let mut batch = Batch::new();
    batch.expect(key(number), Expect::Absent, Losing::Done(key(number)));
    for pattern in AccessPattern::ALL {
        batch.put(Key::build(TableId::new(pattern, 0xf0), 1).u64(number).key(), format!("event {number}"));
    }
    batch.journal(JournalEntry { kind: 0x100, scope: number, key: bytes::Bytes::new() });
    Group { epoch: 0, writer: writer(number), batches: vec![Arc::new(batch)] }
}

/// What the committer does about a commit of unknown outcome: an empty group until one goes through.
pub(crate) async fn probe(engine: &PostgresEngine, epoch: u64) -> GroupOutcome {
    let mut outcome = None;
    for _ in 0..100 {
        match engine.commit_group(Group { epoch, writer: writer(999), batches: vec![] }).await {
            Ok(found) => {
                outcome = Some(found);
                break;
            }
            Err(EngineError::Unavailable(_) | EngineError::Unknown(_)) => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(other) => panic!("{other}"),
        }
    }
    outcome.expect("the position row was never free")
}

/// The journal, as positions with the group that wrote them.
pub(crate) async fn journal_of(engine: &PostgresEngine) -> Vec<(Position, u64)> {
    let range = ScanRange::new(journal::key(Position::ZERO), Key::build(system::JOURNAL, 1).key());
    let page = engine.scan(Position::ZERO, &range, PageLimit::default()).await.unwrap();
    assert!(page.resume.is_none());
    let rows = page.rows.iter().map(|(key, cell)| JournalRow::read(key, cell).unwrap());
    rows.map(|row| (row.position, row.writer.group)).collect()
}

pub(crate) async fn exists(engine: &PostgresEngine, number: u64) -> bool {
    engine.get_many(Position::ZERO, &[key(number)]).await.unwrap()[0].is_some()
}
