//! Long snapshots, and callers and engines that go away in the middle.

use std::{
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
};

use tokio::task::yield_now;

use super::{
    Bench,
    bench::{entry, group_of, is_won, point, put, row},
};
use crate::{
    Batch, Engine, EngineError, Expect, Group, Key, Losing, PageLimit, Position, ScanRange, Writer, journal, system,
};

cases!("endurance":
    ten_thousand_commits_beside_a_snapshot_that_is_held,
    a_commit_given_up_at_any_moment_is_whole_or_not_at_all,
    an_engine_closed_under_its_writers_keeps_what_it_acknowledged,
);

const CELLS: u64 = 100;
const ROUNDS: u64 = 100;

/// Reads all cells and the newest part of the journal until `stop`: versions never go back.
async fn keep_reading(engine: Arc<dyn Engine>, stop: Arc<AtomicBool>) {
    let cells: Vec<Key> = (0..CELLS).map(point).collect();
    let mut least = 0;
    while !stop.load(Ordering::SeqCst) {
        let newest = engine.position().await.unwrap();
        let versions =
            engine.get_many(newest, &cells).await.unwrap().into_iter().map(|cell| cell.map_or(0, |cell| cell.version));
        let versions: Vec<u64> = versions.collect();
        let lowest = versions.iter().copied().min().unwrap_or_default();
        assert!(lowest >= least && lowest >= newest.0 / CELLS, "{lowest} at {newest} after {least}");
        least = lowest;
        let from = Position(newest.0.saturating_sub(20));
        let range = ScanRange::new(journal::key(from.next()), journal::key(newest.next())).descending();
        let page = engine.scan(newest, &range, PageLimit::rows(50)).await.unwrap();
        assert_eq!(page.rows.len() as u64, newest.0 - from.0);
        yield_now().await;
    }
}

async fn ten_thousand_commits_beside_a_snapshot_that_is_held(bench: Bench) {
    bench.put_all((0..CELLS).map(point)).await;
    let held = bench.hold_snapshot().await;
    let stop = Arc::<AtomicBool>::default();
    let reading = tokio::spawn(keep_reading(bench.engine(), Arc::clone(&stop)));
    for version in 0..ROUNDS {
        let batch = |number| {
            let mut batch = Batch::new();
            batch.expect(point(number), Expect::Version(version), Losing::Rebuild);
            batch.put_with(point(number), version + 1, &[], "value");
            batch.journal(entry(1));
            batch
        };
        let outcome = bench.commit((0..CELLS).map(batch).collect()).await;
        assert!(outcome.outcomes.iter().all(is_won), "round {version}");
    }
    stop.store(true, Ordering::SeqCst);
    reading.await.unwrap();
    drop(held);
    assert_eq!(bench.position().await, Position(CELLS * ROUNDS));
    for number in 0..CELLS {
        assert_eq!(bench.cell(&point(number)).await.unwrap().version, ROUNDS);
    }
}

/// A group of two batches that must be there together, and its journal entry.
fn pair(writer: Writer, number: u64) -> Group {
    let mut first = put(&point(number));
    first.journal(entry(1));
    group_of(writer, vec![first, put(&row(number))])
}

/// Whether both rows of [`pair`] are there.
async fn is_there(bench: &Bench, number: u64) -> bool {
    let (one, two) = (bench.exists(&point(number)).await, bench.exists(&row(number)).await);
    assert_eq!(one, two, "group {number} is there in part");
    one
}

async fn a_commit_given_up_at_any_moment_is_whole_or_not_at_all(bench: Bench) {
    const GROUPS: u64 = 60;
    for number in 1..=GROUPS {
        let engine = bench.engine();
        let mut committing = Box::pin(engine.commit_group(pair(Writer { incarnation: 1, group: number }, number)));
        // The later in the sequence, the further it gets.
        for _ in 0..number * 5 {
            if poll_fn(|context| Poll::Ready(committing.as_mut().poll(context).is_ready())).await {
                break;
            }
            yield_now().await;
        }
    }
    // What was given up is through once a later group is.
    bench.commit(vec![]).await;
    let mut written = 0;
    for number in 1..=GROUPS {
        written += u64::from(is_there(&bench, number).await);
    }
    assert_eq!((bench.position().await, bench.journal().await.len() as u64), (Position(written), written));
}

/// Commits one group after the other until told to stop or refused; the numbers that were acknowledged, and how many began.
async fn keep_writing(engine: Arc<dyn Engine>, incarnation: u64, stop: Arc<AtomicBool>) -> (Vec<u64>, u64) {
    let (mut acknowledged, mut begun) = (Vec::new(), 0);
    while !stop.load(Ordering::SeqCst) {
        let number = incarnation * 1_000_000 + begun;
        match engine.commit_group(pair(Writer { incarnation, group: begun }, number)).await {
            Ok(_) => acknowledged.push(number),
            Err(EngineError::Busy(_)) => {
                yield_now().await;
                continue;
            }
            Err(EngineError::Unavailable(_) | EngineError::Unknown(_)) => {
                begun += 1;
                break;
            }
            Err(other) => unreachable!("{other}"),
        }
        begun += 1;
        yield_now().await;
    }
    (acknowledged, begun)
}

async fn an_engine_closed_under_its_writers_keeps_what_it_acknowledged(mut bench: Bench) {
    let stop = Arc::<AtomicBool>::default();
    let writing: Vec<_> =
        (1..=4).map(|writer| tokio::spawn(keep_writing(bench.engine(), writer, Arc::clone(&stop)))).collect();
    while bench.position().await < Position(100) {
        yield_now().await;
    }
    bench.reopen().await;
    stop.store(true, Ordering::SeqCst);
    let mut written = 0;
    for (writer, writing) in (1_u64..).zip(writing) {
        let (acknowledged, begun) = writing.await.unwrap();
        for number in (0..begun).map(|number| writer * 1_000_000 + number) {
            let there = is_there(&bench, number).await;
            assert!(there || !acknowledged.contains(&number), "group {number} was acknowledged");
            written += u64::from(there);
        }
    }
    let journal = bench.rows_by(&ScanRange::scope(system::JOURNAL, 0), PageLimit::default()).await;
    assert_eq!((bench.position().await, journal.len() as u64), (Position(written), written));
}
