//! Many writers, many readers: one order, no hole, no step back.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::task::{JoinHandle, yield_now};

use super::{
    Bench,
    bench::{POINT, entry, group_of, is_won, point, put, row, won},
};
use crate::{
    Batch, Engine, EngineError, Expect, Group, GroupOutcome, JournalRow, Key, Losing, PageLimit, Position,
    PositionSlot, ScanRange, Writer, journal,
};

cases!("concurrency":
    readers_of_the_journal_see_one_order_without_holes,
    a_floor_shows_every_row_of_every_commit_up_to_it,
    the_newest_position_never_goes_back_and_has_its_row,
    groups_at_once_take_positions_of_their_own,
    a_commit_that_nobody_waits_for_is_whole_or_not_at_all,
);

/// Journal rows that the counting readers see at least.
const ENTRIES: u64 = 100_000;

async fn commit(engine: &dyn Engine, group: &Group) -> GroupOutcome {
    loop {
        match engine.commit_group(group.clone()).await {
            Ok(outcome) => return outcome,
            // Nothing of it was written: the same call may succeed a moment later.
            Err(EngineError::Busy(_)) => yield_now().await,
            Err(other) => unreachable!("{other}"),
        }
    }
}

/// What a writer was told.
#[derive(Default)]
struct Told {
    /// Positions with their writer and batch.
    written: Vec<(Position, Writer, u16)>,
    /// Batches that lost.
    lost: Vec<(Writer, u16)>,
}

/// Small groups in which every other batch loses.
async fn aborting_writer(engine: Arc<dyn Engine>, incarnation: u64, stop: Arc<AtomicBool>) -> Told {
    let mut told = Told::default();
    for number in 1.. {
        if stop.load(Ordering::SeqCst) {
            break;
        }
        let writer = Writer { incarnation, group: number };
        let batches = (0..40).map(|batch| {
            let mut entries = Batch::new();
            entries.journal.extend((0..10).map(entry));
            let expect = if batch % 2 == 0 { Expect::Absent } else { Expect::Version(1) };
            entries.expect(point(99), expect, Losing::Rebuild);
            entries
        });
        let outcome = commit(&*engine, &group_of(writer, batches.collect())).await;
        for (batch, outcome) in (0..).zip(&outcome.outcomes) {
            if is_won(outcome) {
                told.written.extend(won(outcome).into_iter().map(|position| (position, writer, batch)));
            } else {
                told.lost.push((writer, batch));
            }
        }
        // Gives the readers a turn on an engine that never waits.
        yield_now().await;
    }
    told
}

/// Large groups, every third of them given up while it is on its way.
async fn stalling_writer(engine: Arc<dyn Engine>, incarnation: u64, stop: Arc<AtomicBool>) -> Told {
    let mut told = Told::default();
    for number in 1.. {
        if stop.load(Ordering::SeqCst) {
            break;
        }
        let writer = Writer { incarnation, group: number };
        let mut batch = Batch::new();
        batch.journal.extend((0..800).map(entry));
        batch.put(row(incarnation), vec![1; 400_000]);
        let group = group_of(writer, vec![batch]);
        if number % 3 == 0 {
            tokio::select! {
                biased;
                _ = engine.commit_group(group) => {}
                () = yield_now() => {}
            }
        } else {
            let outcome = commit(&*engine, &group).await;
            told.written.extend(won(&outcome.outcomes[0]).into_iter().map(|position| (position, writer, 0)));
        }
        yield_now().await;
    }
    told
}

/// Reads the journal from its start until `done` and its end, and counts: each row is the next.
async fn counting_reader(engine: Arc<dyn Engine>, rows_a_page: usize, done: Arc<AtomicBool>) -> Vec<(Writer, u16)> {
    let mut seen = Vec::new();
    loop {
        // In this order, so that nothing comes after the end that is seen.
        let no_more = done.load(Ordering::SeqCst);
        let newest = engine.position().await.unwrap();
        let next = Position(seen.len() as u64 + 1);
        if no_more && next > newest {
            return seen;
        }
        let range = ScanRange::new(journal::key(next), journal::key(Position(u64::MAX)));
        let page = engine.scan(newest, &range, PageLimit::rows(rows_a_page)).await.unwrap();
        for (key, cell) in &page.rows {
            let row = JournalRow::read(key, cell).unwrap();
            assert_eq!(row.position, Position(seen.len() as u64 + 1), "a hole or a step back");
            seen.push((row.writer, row.batch));
        }
        let reached = seen.len() as u64;
        assert!(page.resume.is_some() || reached >= newest.0, "{newest} is the newest, the journal ended at {reached}");
        yield_now().await;
    }
}

async fn join<T>(tasks: Vec<JoinHandle<T>>) -> Vec<T> {
    let mut results = Vec::new();
    for task in tasks {
        results.push(task.await.unwrap());
    }
    results
}

async fn readers_of_the_journal_see_one_order_without_holes(bench: Bench) {
    bench.win(put(&point(99))).await;
    // The row that aborting writers assert on has version 1.
    let mut batch = Batch::new();
    batch.put_with(point(99), 1, &[], "");
    bench.win(batch).await;
    let (stop, done) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
    let pages = [7_000, 1_000, 200];
    let readers =
        pages.map(|rows| tokio::spawn(counting_reader(bench.engine(), rows, Arc::clone(&done)))).into_iter().collect();
    let mut writers: Vec<JoinHandle<Told>> = Vec::new();
    for number in 0..3 {
        writers.push(tokio::spawn(aborting_writer(bench.engine(), 100 + number, Arc::clone(&stop))));
        writers.push(tokio::spawn(stalling_writer(bench.engine(), 200 + number, Arc::clone(&stop))));
    }
    while bench.position().await < Position(ENTRIES) {
        bench.stall(true);
        for _ in 0..20 {
            yield_now().await;
        }
        bench.stall(false);
        yield_now().await;
    }
    stop.store(true, Ordering::SeqCst);
    let told = join(writers).await;
    // What was given up is through as well once a later group is.
    commit(&*bench.engine(), &bench.group(vec![])).await;
    done.store(true, Ordering::SeqCst);
    let orders = join(readers).await;

    assert!(orders[0].len() as u64 >= ENTRIES);
    assert!(orders.iter().all(|order| *order == orders[0]), "readers saw different orders");
    let written: HashSet<(Writer, u16)> = orders[0].iter().copied().collect();
    for told in told {
        for (position, writer, batch) in told.written {
            let at = usize::try_from(position.0).unwrap() - 1;
            assert_eq!(orders[0][at], (writer, batch), "what was acknowledged for {position}");
        }
        assert!(told.lost.iter().all(|lost| !written.contains(lost)), "a loser stands in the journal");
    }
}

async fn a_floor_shows_every_row_of_every_commit_up_to_it(bench: Bench) {
    const COMMITS: u64 = 300;
    let cells = super::bench::EACH_PATTERN.map(|table| Key::build(table, 8).text("cell").key());
    let writer = {
        let (engine, cells) = (bench.engine(), cells.clone());
        let groups: Vec<Group> = (1..=COMMITS)
            .map(|version| {
                let mut batch = Batch::new();
                let slot = batch.journal(entry(1));
                for cell in &cells {
                    batch.put_with(cell.clone(), version, &[PositionSlot::Entry(slot)], "");
                }
                bench.group(vec![batch])
            })
            .collect();
        tokio::spawn(async move {
            for group in &groups {
                commit(&*engine, group).await;
                yield_now().await;
            }
        })
    };
    loop {
        let floor = bench.position().await;
        let found = bench.engine().get_many(floor, &cells).await.unwrap();
        for cell in found {
            let version = cell.map_or(0, |cell| cell.version);
            assert!(version >= floor.0, "version {version} at floor {floor}");
        }
        if floor == Position(COMMITS) {
            break;
        }
        yield_now().await;
    }
    writer.await.unwrap();
}

async fn the_newest_position_never_goes_back_and_has_its_row(bench: Bench) {
    let stop = Arc::<AtomicBool>::default();
    let writers: Vec<_> =
        (0..2).map(|number| tokio::spawn(aborting_writer(bench.engine(), number, Arc::clone(&stop)))).collect();
    let mut batch = Batch::new();
    batch.put_with(point(99), 1, &[], "");
    bench.win(batch).await;
    let mut last = Position::ZERO;
    while last < Position(10_000) {
        let newest = bench.position().await;
        assert!(newest >= last, "{newest} after {last}");
        if newest > Position::ZERO {
            assert!(bench.exists(&journal::key(newest)).await, "{newest} is the newest and has no row");
        }
        last = newest;
        yield_now().await;
    }
    stop.store(true, Ordering::SeqCst);
    join(writers).await;
}

async fn groups_at_once_take_positions_of_their_own(bench: Bench) {
    let committing = (0..32_u64).map(|number| {
        let batch = |_| {
            let mut batch = put(&Key::build(POINT, number).u64(1).key());
            batch.journal.extend((0..3).map(entry));
            batch
        };
        let (engine, group) = (bench.engine(), bench.group((0..4).map(batch).collect()));
        tokio::spawn(async move { commit(&*engine, &group).await })
    });
    let mut positions = Vec::new();
    for outcome in join(committing.collect()).await {
        let of_group: Vec<u64> = outcome.outcomes.iter().flat_map(won).map(|position| position.0).collect();
        assert!(of_group.windows(2).all(|pair| pair[1] == pair[0] + 1), "a group's positions are consecutive");
        assert_eq!(of_group.last(), Some(&outcome.position.0));
        positions.extend(of_group);
    }
    positions.sort_unstable();
    assert_eq!(positions, (1..=32 * 12).collect::<Vec<_>>());
}

async fn a_commit_that_nobody_waits_for_is_whole_or_not_at_all(bench: Bench) {
    for number in 0..50 {
        let mut first = put(&point(number));
        first.journal(entry(1));
        let (engine, group) = (bench.engine(), bench.group(vec![first, put(&row(number))]));
        tokio::select! {
            biased;
            _ = engine.commit_group(group) => {}
            () = std::future::ready(()) => {}
        }
    }
    commit(&*bench.engine(), &bench.group(vec![])).await;
    let mut written = 0;
    for number in 0..50 {
        let (one, two) = (bench.exists(&point(number)).await, bench.exists(&row(number)).await);
        assert_eq!(one, two, "group {number}");
        written += u64::from(one);
    }
    assert_eq!((bench.position().await, bench.journal().await.len() as u64), (Position(written), written));
}
