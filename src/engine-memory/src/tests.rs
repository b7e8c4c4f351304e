//! The engine's own faults; what it must do as an engine is in the conformance suite.

use wardstead_engine::{AccessPattern, Batch, Outcome, TableId, Writer, conformance};
use wardstead_limits::ManualClock;

use super::*;

const TABLE: TableId = TableId::new(AccessPattern::Point, 0xf00);

fn key(number: u64) -> Key {
    Key::build(TABLE, 1).u64(number).key()
}

fn engine() -> (Arc<MemoryEngine>, Faults) {
    let engine = Arc::new(MemoryEngine::new(Arc::new(ManualClock::new(1))));
    let faults = engine.faults();
    (engine, faults)
}

fn group(numbers: &[u64]) -> Group {
    let batches = numbers.iter().map(|number| {
        let mut batch = Batch::new();
        batch.put(key(*number), "row");
        Arc::new(batch)
    });
    Group { epoch: 0, writer: Writer { incarnation: 1, group: 1 }, batches: batches.collect() }
}

async fn exists(engine: &MemoryEngine, number: u64) -> bool {
    engine.get_many(Position::ZERO, &[key(number)]).await.unwrap()[0].is_some()
}

#[tokio::test]
async fn the_named_read_fails_and_no_other() {
    let (engine, faults) = engine();
    faults.fail_read(2);
    let range = ScanRange::scope(TABLE, 1);
    let answers = [
        engine.get_many(Position::ZERO, &[key(1)]).await.is_ok(),
        engine.scan(Position::ZERO, &range, PageLimit::default()).await.is_ok(),
        engine.scan(Position::ZERO, &range, PageLimit::default()).await.is_ok(),
    ];
    assert_eq!((answers, faults.reads()), ([true, false, true], 3));
}

#[tokio::test]
async fn journal_scans_are_counted_apart() {
    let (engine, faults) = engine();
    faults.fail_read(1);
    faults.fail_journal_scan(2);
    let range = ScanRange::scope(system::JOURNAL, 0);
    assert!(engine.scan(Position::ZERO, &range, PageLimit::default()).await.is_ok());
    assert!(engine.scan(Position::ZERO, &range, PageLimit::default()).await.is_err());
    assert_eq!(faults.reads(), 0);
    assert!(engine.get_many(Position::ZERO, &[]).await.is_err());
}

#[tokio::test]
async fn a_seed_fails_the_same_reads_again() {
    let mut runs = Vec::new();
    for _ in 0..2 {
        let (engine, faults) = engine();
        faults.fail_reads_from_seed(7, 5);
        let mut run = Vec::new();
        for _ in 0..500 {
            run.push(engine.get_many(Position::ZERO, &[]).await.is_err());
        }
        runs.push(run);
    }
    let failed = runs[0].iter().filter(|failed| **failed).count();
    assert!(runs[0] == runs[1] && (50..150).contains(&failed), "{failed} of 500 failed");
}

#[tokio::test]
async fn commit_faults_write_what_they_say() {
    for (fault, written) in
        [(CommitFault::Unavailable, false), (CommitFault::UnknownBefore, false), (CommitFault::UnknownAfter, true)]
    {
        let (engine, faults) = engine();
        faults.fail_commit(1, fault);
        let error = engine.commit_group(group(&[1])).await.unwrap_err();
        assert_eq!(matches!(error, EngineError::Unknown(_)), fault != CommitFault::Unavailable, "{error}");
        assert_eq!(exists(&engine, 1).await, written, "{fault:?}");
        assert!(engine.commit_group(group(&[2])).await.is_ok(), "only the named commit fails");
    }
}

#[tokio::test]
async fn a_poisoned_key_takes_its_whole_group_along() {
    let (engine, faults) = engine();
    faults.poison(key(2));
    assert!(matches!(engine.commit_group(group(&[1, 2, 3])).await, Err(EngineError::Unavailable(_))));
    assert!(!exists(&engine, 1).await && !exists(&engine, 3).await);
    assert!(engine.commit_group(group(&[1, 3])).await.is_ok());
}

#[tokio::test]
async fn stalled_commits_wait_for_the_gate() {
    let (engine, faults) = engine();
    faults.stall_commits();
    let committing = tokio::spawn({
        let engine = Arc::clone(&engine);
        async move { engine.commit_group(group(&[1])).await }
    });
    faults.wait_stalled(1).await;
    assert!(!exists(&engine, 1).await);
    faults.release_commits();
    let outcome = committing.await.unwrap().unwrap();
    assert!(matches!(outcome.outcomes[0], Outcome::Won { .. }) && exists(&engine, 1).await);
}

#[tokio::test]
async fn a_flipped_bit_is_corrupt() {
    let (engine, faults) = engine();
    engine.commit_group(group(&[1])).await.unwrap();
    assert!(faults.flip_bit(&key(1), 9) && !faults.flip_bit(&key(1), 1_000) && !faults.flip_bit(&key(2), 0));
    let error = engine.get_many(Position::ZERO, &[key(1)]).await.unwrap_err();
    assert!(matches!(error, EngineError::Corrupt { key: found, .. } if found == key(1)));
}

struct Memory;

struct Installed {
    engine: Arc<MemoryEngine>,
}

#[async_trait]
impl conformance::Factory for Memory {
    async fn fresh(&self, clock: ManualClock) -> Box<dyn conformance::Installation> {
        Box::new(Installed { engine: Arc::new(MemoryEngine::new(Arc::new(clock))) })
    }
}

#[async_trait]
impl conformance::Installation for Installed {
    fn engine(&self) -> Arc<dyn Engine> {
        Arc::clone(&self.engine) as Arc<dyn Engine>
    }

    async fn reopen(&mut self) {}

    async fn tamper(&mut self, key: &Key, change: conformance::Tampering) {
        let found = self.engine.faults().tamper(key, |stored| {
            change(stored);
            true
        });
        assert!(found, "{key:?} is not stored");
    }

    fn stall(&self, stalled: bool) {
        if stalled { self.engine.faults().stall_commits() } else { self.engine.faults().release_commits() }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn conformance_suite() {
    let count = conformance::run(&Memory).await;
    println!("conformance: {count} cases on engine-memory");
}
