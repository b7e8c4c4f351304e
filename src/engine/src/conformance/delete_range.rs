//! `delete_range`, of few rows and of many: engines may do the two in different ways.

use wardstead_limits::engine as limits;

use super::{
    Bench,
    bench::{CHURN, EACH_PATTERN, SCAN, SCAN_NEXT, in_scope, payload_of, put, row},
};
use crate::{Batch, Expect, Key, Losing, PageLimit, ScanRange};

cases!("delete_range":
    few_rows_go_and_their_neighbours_stay,
    many_rows_go_and_their_neighbours_stay,
    just_as_many_as_are_deleted_one_by_one,
    a_whole_scope_goes_and_no_other,
    the_largest_scope_of_the_last_table_goes,
    an_empty_range_deletes_nothing,
    bounds_need_not_be_rows,
    rows_put_before_it_in_the_batch_go_and_later_ones_stay,
    rows_put_before_a_large_one_go_and_later_ones_stay,
    rows_put_by_an_earlier_batch_of_the_group_go,
    deleted_rows_can_be_written_again,
    every_pattern_has_it,
    overlapping_ranges_are_deleted_in_one_batch,
    assertions_of_later_groups_see_it,
    it_outlives_the_process,
);

/// More rows than RocksDB deletes one by one.
const MANY: u64 = 1_000;

fn delete(from: u64, to: u64) -> Batch {
    let mut batch = Batch::new();
    batch.delete_range(row(from), row(to));
    batch
}

async fn left(bench: &Bench) -> Vec<Key> {
    let range = ScanRange::scope(SCAN, 1);
    let ascending = bench.keys_by(&range, PageLimit::rows(101)).await;
    let mut descending = bench.keys_by(&range.descending(), PageLimit::rows(1_001)).await;
    descending.reverse();
    assert_eq!(ascending, descending);
    ascending
}

async fn few_rows_go_and_their_neighbours_stay(bench: Bench) {
    bench.put_all((0..20).map(row)).await;
    bench.win(delete(5, 15)).await;
    assert_eq!(left(&bench).await, (0..5).chain(15..20).map(row).collect::<Vec<_>>());
    assert!(bench.exists(&row(4)).await && !bench.exists(&row(5)).await);
    assert!(!bench.exists(&row(14)).await && bench.exists(&row(15)).await);
}

async fn many_rows_go_and_their_neighbours_stay(bench: Bench) {
    bench.put_all((0..MANY + 20).map(row)).await;
    bench.win(delete(5, MANY + 15)).await;
    assert_eq!(left(&bench).await, (0..5).chain(MANY + 15..MANY + 20).map(row).collect::<Vec<_>>());
    assert!(bench.exists(&row(4)).await && !bench.exists(&row(5)).await);
    assert!(!bench.exists(&row(MANY + 14)).await && bench.exists(&row(MANY + 15)).await);
}

async fn just_as_many_as_are_deleted_one_by_one(bench: Bench) {
    let most = limits::RANGE_POINT_DELETES as u64;
    for count in [most - 1, most, most + 1] {
        bench.put_all((0..=count).map(row)).await;
        bench.win(delete(0, count)).await;
        assert_eq!(left(&bench).await, [row(count)], "{count} rows deleted");
    }
}

async fn a_whole_scope_goes_and_no_other(bench: Bench) {
    for count in [10, MANY] {
        bench.put_all((0..count).map(row)).await;
        let others = [
            in_scope(0).u64(u64::MAX).key(),
            in_scope(2).key(),
            in_scope(2).u64(0).key(),
            Key::build(SCAN_NEXT, 1).u64(0).key(),
        ];
        bench.put_all(others.clone()).await;
        let scope = ScanRange::scope(SCAN, 1);
        let mut batch = Batch::new();
        batch.delete_range(scope.from, scope.to);
        bench.win(batch).await;
        assert!(left(&bench).await.is_empty());
        for key in others {
            assert!(bench.exists(&key).await, "{key:?}");
        }
    }
}

async fn the_largest_scope_of_the_last_table_goes(bench: Bench) {
    for count in [10, MANY] {
        let scope = ScanRange::scope(CHURN, u64::MAX);
        bench.put_all((0..count).map(|number| Key::build(CHURN, u64::MAX).u64(number).key())).await;
        bench.put_all([Key::build(CHURN, u64::MAX - 1).u64(u64::MAX).key()]).await;
        let mut batch = Batch::new();
        batch.delete_range(scope.from.clone(), scope.to.clone());
        bench.win(batch).await;
        assert!(bench.keys(&scope).await.is_empty());
        assert!(bench.exists(&Key::build(CHURN, u64::MAX - 1).u64(u64::MAX).key()).await);
    }
}

async fn an_empty_range_deletes_nothing(bench: Bench) {
    bench.put_all((0..5).map(row)).await;
    bench.win(delete(2, 2)).await;
    bench.win(delete(7, 9)).await;
    assert_eq!(left(&bench).await.len(), 5);
}

async fn bounds_need_not_be_rows(bench: Bench) {
    bench.put_all((0..10).map(|number| row(number * 10))).await;
    let mut batch = Batch::new();
    batch.delete_range(in_scope(1).u64(15).u8(3).key(), row(70).successor());
    bench.win(batch).await;
    assert_eq!(left(&bench).await, [0, 10, 80, 90].map(row));
}

async fn rows_put_before_it_in_the_batch_go_and_later_ones_stay(bench: Bench) {
    bench.put_all([row(1), row(2)]).await;
    let mut batch = Batch::new();
    batch.put(row(3), payload_of(&row(3))).put(row(20), payload_of(&row(20)));
    batch.delete_range(row(0), row(10));
    batch.put(row(2), payload_of(&row(2))).put(row(4), payload_of(&row(4)));
    bench.win(batch).await;
    assert_eq!(left(&bench).await, [2, 4, 20].map(row));
}

async fn rows_put_before_a_large_one_go_and_later_ones_stay(bench: Bench) {
    bench.put_all((0..MANY).map(row)).await;
    let mut batch = Batch::new();
    batch.put(row(MANY + 1), payload_of(&row(MANY + 1)));
    batch.delete_range(row(0), row(MANY * 2));
    batch.put(row(2), payload_of(&row(2))).put(row(MANY + 2), payload_of(&row(MANY + 2)));
    bench.win(batch).await;
    assert_eq!(left(&bench).await, [2, MANY + 2].map(row));
}

async fn rows_put_by_an_earlier_batch_of_the_group_go(bench: Bench) {
    for stored in [0, MANY] {
        bench.put_all((0..stored).map(row)).await;
        let mut slotted = Batch::new();
        let slot = slotted.journal(super::bench::entry(1));
        slotted.put(in_scope(1).slot(slot).template(), "its key is known only at commit");
        let outcome = bench.commit(vec![put(&row(MANY + 7)), slotted, delete(0, MANY * 2), put(&row(3))]).await;
        assert!(outcome.outcomes.iter().all(super::bench::is_won));
        assert_eq!(left(&bench).await, [row(3)]);
    }
}

async fn deleted_rows_can_be_written_again(bench: Bench) {
    for round in 0..3 {
        bench.put_all((0..MANY).map(row)).await;
        bench.win(delete(0, MANY)).await;
        bench.put_all([row(round), row(MANY / 2)]).await;
        assert_eq!(left(&bench).await, [row(round), row(MANY / 2)]);
        bench.win(delete(0, MANY)).await;
    }
    assert!(left(&bench).await.is_empty());
}

async fn every_pattern_has_it(bench: Bench) {
    for table in EACH_PATTERN {
        for count in [10, MANY] {
            let key = |number: u64| Key::build(table, 3).u64(number).key();
            bench.put_all((0..count).map(key)).await;
            let mut batch = Batch::new();
            batch.delete_range(key(1), key(count - 1));
            bench.win(batch).await;
            assert_eq!(bench.keys(&ScanRange::scope(table, 3)).await, [key(0), key(count - 1)]);
        }
    }
}

async fn overlapping_ranges_are_deleted_in_one_batch(bench: Bench) {
    bench.put_all((0..MANY).map(row)).await;
    let mut batch = delete(10, 600);
    batch.delete_range(row(500), row(510)).put(row(505), payload_of(&row(505))).delete_range(row(590), row(MANY - 10));
    bench.win(batch).await;
    assert_eq!(left(&bench).await, (0..10).chain([505]).chain(MANY - 10..MANY).map(row).collect::<Vec<_>>());
}

async fn assertions_of_later_groups_see_it(bench: Bench) {
    bench.put_all((0..MANY).map(row)).await;
    bench.win(delete(1, MANY)).await;
    let mut batch = Batch::new();
    batch.expect(row(5), Expect::Absent, Losing::Rebuild).expect(row(0), Expect::Version(0), Losing::Rebuild);
    bench.win(batch).await;
}

async fn it_outlives_the_process(mut bench: Bench) {
    bench.put_all((0..MANY).map(row)).await;
    bench.reopen().await;
    bench.win(delete(1, MANY - 1)).await;
    bench.win(put(&row(7))).await;
    bench.reopen().await;
    assert_eq!(left(&bench).await, [0, 7, MANY - 1].map(row));
    bench.win(delete(5, 10)).await;
    bench.reopen().await;
    assert_eq!(left(&bench).await, [0, MANY - 1].map(row));
}
