//! Assertions: what must hold, and what losing means.

use super::{
    Bench,
    bench::{entry, is_won, point, put, row, won},
};
use crate::{Batch, Expect, Key, Losing, Outcome};

cases!("assertions":
    absent_holds_where_there_is_no_row,
    absent_is_lost_where_there_is_a_row,
    absent_holds_again_after_a_delete,
    the_stated_version_must_be_the_stored_one,
    a_version_is_lost_where_there_is_no_row,
    a_row_without_version_has_version_zero,
    the_version_is_that_of_the_last_put,
    the_first_assertion_that_does_not_hold_decides,
    every_meaning_of_losing_comes_back,
    a_loser_writes_nothing,
    a_batch_may_assert_and_write_nothing,
    assertions_reach_every_pattern,
    of_two_groups_that_assert_absent_one_wins,
    a_counter_under_contention_counts_each_winner_once,
);

fn assert_on(key: &Key, expect: Expect) -> Batch {
    let mut batch = Batch::new();
    batch.expect(key.clone(), expect, Losing::Rebuild);
    batch
}

async fn holds(bench: &Bench, key: &Key, expect: Expect) -> bool {
    is_won(&bench.commit(vec![assert_on(key, expect)]).await.outcomes[0])
}

fn put_version(key: &Key, version: u64) -> Batch {
    let mut batch = Batch::new();
    batch.put_with(key.clone(), version, &[], "row");
    batch
}

async fn absent_holds_where_there_is_no_row(bench: Bench) {
    bench.put_all([point(1), point(3)]).await;
    assert!(holds(&bench, &point(2), Expect::Absent).await);
}

async fn absent_is_lost_where_there_is_a_row(bench: Bench) {
    bench.win(put(&point(1))).await;
    bench.win(put_version(&point(2), 5)).await;
    assert!(!holds(&bench, &point(1), Expect::Absent).await);
    assert!(!holds(&bench, &point(2), Expect::Absent).await);
}

async fn absent_holds_again_after_a_delete(bench: Bench) {
    bench.win(put(&point(1))).await;
    let mut batch = Batch::new();
    batch.delete(point(1));
    bench.win(batch).await;
    assert!(holds(&bench, &point(1), Expect::Absent).await);
}

async fn the_stated_version_must_be_the_stored_one(bench: Bench) {
    bench.win(put_version(&point(1), 5)).await;
    for version in [0, 4, 6, 5 << 32, u64::MAX] {
        assert!(!holds(&bench, &point(1), Expect::Version(version)).await, "version {version}");
    }
    assert!(holds(&bench, &point(1), Expect::Version(5)).await);
}

async fn a_version_is_lost_where_there_is_no_row(bench: Bench) {
    for version in [0, 1] {
        assert!(!holds(&bench, &point(1), Expect::Version(version)).await);
    }
}

async fn a_row_without_version_has_version_zero(bench: Bench) {
    bench.win(put(&point(1))).await;
    assert!(holds(&bench, &point(1), Expect::Version(0)).await);
    assert!(!holds(&bench, &point(1), Expect::Version(1)).await);
}

async fn the_version_is_that_of_the_last_put(bench: Bench) {
    for version in [9, 3, 7] {
        bench.win(put_version(&point(1), version)).await;
        assert!(holds(&bench, &point(1), Expect::Version(version)).await, "versions are stated, they need not grow");
    }
    bench.win(put(&point(1))).await;
    assert!(!holds(&bench, &point(1), Expect::Version(7)).await);
}

async fn the_first_assertion_that_does_not_hold_decides(bench: Bench) {
    bench.win(put_version(&point(1), 5)).await;
    let mut batch = Batch::new();
    batch.expect(point(1), Expect::Version(5), Losing::Rebuild);
    batch.expect(point(2), Expect::Version(1), Losing::Fail("second"));
    batch.expect(point(1), Expect::Absent, Losing::Fail("third"));
    let outcome = bench.commit(vec![batch]).await.outcomes.remove(0);
    assert_eq!(outcome, Outcome::Lost { assertion: 1, losing: Losing::Fail("second") });
}

async fn every_meaning_of_losing_comes_back(bench: Bench) {
    bench.win(put(&point(1))).await;
    let meanings = [Losing::Rebuild, Losing::Done(row(9)), Losing::Fail("M_ROOM_IN_USE")];
    let batch = |losing: &Losing| {
        let mut batch = Batch::new();
        batch.expect(point(1), Expect::Absent, losing.clone());
        batch
    };
    let outcomes = bench.commit(meanings.iter().map(batch).collect()).await.outcomes;
    let expected = meanings.map(|losing| Outcome::Lost { assertion: 0, losing });
    assert_eq!(outcomes, expected);
}

async fn a_loser_writes_nothing(bench: Bench) {
    bench.put_all([point(1), row(1), row(2), row(3)]).await;
    let before = bench.position().await;
    let mut batch = assert_on(&point(1), Expect::Absent);
    batch.put(point(2), "new").put(row(1), "changed").delete(row(2)).delete_range(row(3), row(4));
    batch.journal(entry(1));
    let outcome = bench.commit(vec![batch]).await;
    assert!(!is_won(&outcome.outcomes[0]));
    assert_eq!((outcome.position, bench.position().await), (before, before));
    assert!(!bench.exists(&point(2)).await && bench.journal().await.is_empty());
    let rows = bench.keys(&crate::ScanRange::new(row(0), row(9))).await;
    assert_eq!(rows, [1, 2, 3].map(row), "and their values are the old ones");
}

async fn a_batch_may_assert_and_write_nothing(bench: Bench) {
    bench.win(put_version(&point(1), 5)).await;
    let outcomes = bench
        .commit(vec![assert_on(&point(1), Expect::Version(5)), assert_on(&point(1), Expect::Absent)])
        .await
        .outcomes;
    assert_eq!(won(&outcomes[0]), []);
    assert!(!is_won(&outcomes[1]));
}

async fn assertions_reach_every_pattern(bench: Bench) {
    for table in super::bench::EACH_PATTERN {
        let key = Key::build(table, 2).text("asserted").key();
        assert!(holds(&bench, &key, Expect::Absent).await);
        bench.win(put_version(&key, 3)).await;
        assert!(holds(&bench, &key, Expect::Version(3)).await && !holds(&bench, &key, Expect::Absent).await);
    }
}

async fn of_two_groups_that_assert_absent_one_wins(bench: Bench) {
    for round in 0..40 {
        let racers: Vec<_> = (0..2)
            .map(|racer| {
                let mut batch = Batch::new();
                batch.expect(point(round), Expect::Absent, Losing::Done(point(round)));
                batch.put_with(point(round), racer + 1, &[], "taken");
                let (engine, group) = (bench.engine(), bench.group(vec![batch]));
                tokio::spawn(async move { engine.commit_group(group).await.unwrap().outcomes.remove(0) })
            })
            .collect();
        let mut winners = Vec::new();
        for (racer, running) in (1..).zip(racers) {
            match running.await.unwrap() {
                Outcome::Won { .. } => winners.push(racer),
                Outcome::Lost { losing, .. } => assert_eq!(losing, Losing::Done(point(round))),
            }
        }
        assert_eq!(winners.len(), 1, "round {round}");
        assert_eq!(bench.cell(&point(round)).await.unwrap().version, winners[0]);
    }
}

async fn a_counter_under_contention_counts_each_winner_once(bench: Bench) {
    const TASKS: u64 = 8;
    const EACH: u64 = 10;
    bench.win(put_version(&point(1), 1)).await;
    let bench = std::sync::Arc::new(bench);
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let bench = std::sync::Arc::clone(&bench);
            tokio::spawn(async move {
                let mut wins = 0;
                while wins < EACH {
                    let version = bench.cell(&point(1)).await.unwrap().version;
                    let mut batch = assert_on(&point(1), Expect::Version(version));
                    batch.put_with(point(1), version + 1, &[], "row");
                    wins += u64::from(is_won(&bench.commit(vec![batch]).await.outcomes[0]));
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(bench.cell(&point(1)).await.unwrap().version, 1 + TASKS * EACH);
}
