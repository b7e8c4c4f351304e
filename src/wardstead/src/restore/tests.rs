use wardstead_engine::{PageLimit, ScanRange};
use wardstead_engine_rocksdb::RocksEngine;
use wardstead_limits::ManualClock;

use super::*;

const NOW_MS: u64 = 1_767_225_600_000;

fn engine(folder: &std::path::Path) -> Arc<RocksEngine> {
    let clock = Arc::new(ManualClock::new(NOW_MS));
    Arc::new(RocksEngine::open(folder, &RocksOptions::default(), clock).unwrap())
}

async fn cells(engine: &RocksEngine) -> Vec<Option<Cell>> {
    let keys = [system::epoch_key(), floor::session_floor_key()];
    engine.get_many(Position::ZERO, &keys).await.unwrap()
}

/// Either both or none: a crash between them would let old sessions into the new epoch.
#[tokio::test]
async fn epoch_and_session_floor_are_one_commit() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(folder.path());
    let choice = Choice { keep_sessions: false, now_ms: NOW_MS };
    let (last, epoch) = begin_epoch(&*engine, 7, choice).await.unwrap();
    assert_eq!((last, epoch), (Position::ZERO, NOW_MS / 1_000));
    let found = cells(&engine).await;
    assert_eq!(found[0].as_ref().map(|cell| cell.version), Some(epoch));
    assert!(found[1].is_some());
    let journal =
        engine.scan(Position::ZERO, &ScanRange::scope(system::JOURNAL, 0), PageLimit::default()).await.unwrap();
    assert_eq!(journal.rows.len(), 1, "one group, whose one entry begins the epoch");
    assert!(verify(&*engine, &mut |_| ()).await.unwrap().is_clean());

    // Another node changes the floor between reading and committing: neither is written, and both are with the next try.
    let mut other = Batch::new();
    floor::restored(&mut other, found[1].as_ref(), false, NOW_MS).unwrap();
    let stored = found[0].clone();
    let mut batch =
        system::raise_epoch(stored.as_ref(), engine.position().await.unwrap(), EpochReason::Restore, NOW_MS).unwrap();
    for (step, cell) in STEPS.iter().zip(&found[1..]) {
        (step.write)(&mut batch, cell.as_ref(), choice).unwrap();
    }
    let writer = Writer { incarnation: 8, group: 1 };
    let group = Group { epoch, writer, batches: vec![Arc::new(other), Arc::new(batch)] };
    let outcome = engine.commit_group(group).await.unwrap();
    assert!(matches!(outcome.outcomes[1], Outcome::Lost { .. }), "{outcome:?}");
    assert_eq!(cells(&engine).await[0], stored);
    let (_, next) = begin_epoch(&*engine, 9, choice).await.unwrap();
    assert_eq!(next, epoch + 1);
}

#[tokio::test]
async fn two_at_once_begin_two_epochs() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(folder.path());
    let choice = Choice { keep_sessions: true, now_ms: NOW_MS };
    let (first, second) = tokio::join!(begin_epoch(&*engine, 1, choice), begin_epoch(&*engine, 2, choice));
    let mut epochs = [first.unwrap().1, second.unwrap().1];
    epochs.sort_unstable();
    assert_eq!(epochs, [NOW_MS / 1_000, NOW_MS / 1_000 + 1]);
    assert!(verify(&*engine, &mut |_| ()).await.unwrap().is_clean());
}

/// What is said is what was chosen, and what is not done yet is said, too.
#[test]
fn the_operator_is_told() {
    let begun = Begun { rows: 12, last: Position(5), epoch: 99 };
    let told = |keep_sessions| begun.text(Choice { keep_sessions, now_ms: NOW_MS });
    assert!(told(false).contains("everybody signs in again") && told(true).contains("sessions of the backup go on"));
    for told in [told(false), told(true)] {
        assert!(
            told.contains("epoch 99")
                && told.contains("one-time keys from before are void")
                && told.contains("transaction ids"),
            "{told}"
        );
        assert!(told.lines().all(|line| line.starts_with("  ")), "{told}");
    }
}
