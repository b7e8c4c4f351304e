//! `scan`: order, bounds, pages, resume keys.

use super::{
    Bench,
    bench::{APPEND, CHURN, POINT, SCAN, SCAN_NEXT, in_scope, payload_of, row},
};
use crate::{Batch, Key, PageLimit, Position, ScanRange};

cases!("scans":
    a_scope_holds_its_rows_in_order_and_no_others,
    descending_is_the_reverse,
    the_first_bound_is_in_and_the_second_is_out,
    empty_and_upside_down_ranges_hold_nothing,
    a_prefix_holds_what_starts_with_it,
    pages_by_rows_lose_and_repeat_nothing,
    pages_by_bytes_lose_and_repeat_nothing,
    a_row_larger_than_the_page_comes_alone,
    a_page_that_ends_with_the_range_has_no_resume_key,
    keys_with_zero_and_high_bytes_are_in_order_and_resume,
    a_range_goes_across_scopes,
    a_range_goes_across_tables_and_patterns,
    the_smallest_and_the_largest_scope_are_scopes_like_others,
    deleted_rows_are_skipped,
    no_cursor_outlives_a_page,
    a_long_scan_gives_what_short_ones_give,
);

fn both_ways(range: ScanRange) -> [ScanRange; 2] {
    [range.clone(), range.descending()]
}

fn in_order_of(range: &ScanRange, ascending: &[Key]) -> Vec<Key> {
    let mut keys = ascending.to_vec();
    if range.reverse {
        keys.reverse();
    }
    keys
}

async fn a_scope_holds_its_rows_in_order_and_no_others(bench: Bench) {
    let mut keys: Vec<Key> = (0..40).map(row).collect();
    keys.rotate_left(17);
    bench.put_all(keys).await;
    bench.put_all([in_scope(0).u64(9).key(), in_scope(2).u64(0).key(), Key::build(SCAN_NEXT, 1).u64(0).key()]).await;
    let expected: Vec<Key> = (0..40).map(row).collect();
    assert_eq!(bench.keys(&ScanRange::scope(SCAN, 1)).await, expected);
}

async fn descending_is_the_reverse(bench: Bench) {
    bench.put_all((0..40).map(row)).await;
    bench.put_all([in_scope(0).u64(9).key(), in_scope(2).u64(0).key()]).await;
    let expected: Vec<Key> = (0..40).rev().map(row).collect();
    assert_eq!(bench.keys(&ScanRange::scope(SCAN, 1).descending()).await, expected);
}

async fn the_first_bound_is_in_and_the_second_is_out(bench: Bench) {
    let keys: Vec<Key> = (0..10).map(row).collect();
    bench.put_all(keys.clone()).await;
    for range in both_ways(ScanRange::new(row(3), row(7))) {
        assert_eq!(bench.keys(&range).await, in_order_of(&range, &keys[3..7]));
    }
    for range in both_ways(ScanRange::new(row(3), row(7).successor())) {
        assert_eq!(bench.keys(&range).await, in_order_of(&range, &keys[3..8]));
    }
    for range in both_ways(ScanRange::new(row(3).successor(), row(7))) {
        assert_eq!(bench.keys(&range).await, in_order_of(&range, &keys[4..7]));
    }
}

async fn empty_and_upside_down_ranges_hold_nothing(bench: Bench) {
    bench.put_all((0..10).map(row)).await;
    for (from, to) in [(row(3), row(3)), (row(7), row(3)), (row(10), row(20)), (in_scope(5).key(), in_scope(6).key())] {
        for range in both_ways(ScanRange::new(from.clone(), to.clone())) {
            let page = bench.engine().scan(Position::ZERO, &range, PageLimit::default()).await.unwrap();
            assert!(page.rows.is_empty() && page.resume.is_none(), "{from:?} to {to:?}");
        }
    }
}

async fn a_prefix_holds_what_starts_with_it(bench: Bench) {
    let inside: Vec<Key> = (0..5).map(|number| in_scope(1).text("ab").u64(number).key()).collect();
    bench.put_all(inside.clone()).await;
    bench.put_all(["aa", "aba", "ac", "a", "", "b"].map(|text| in_scope(1).text(text).u64(0).key())).await;
    for range in both_ways(ScanRange::prefix(in_scope(1).text("ab").key())) {
        assert_eq!(bench.keys(&range).await, in_order_of(&range, &inside));
    }
}

async fn pages_by_rows_lose_and_repeat_nothing(bench: Bench) {
    let keys: Vec<Key> = (0..101).map(row).collect();
    bench.put_all(keys.clone()).await;
    for range in both_ways(ScanRange::scope(SCAN, 1)) {
        for rows in [1, 2, 7, 100, 101, 102] {
            assert_eq!(bench.keys_by(&range, PageLimit::rows(rows)).await, in_order_of(&range, &keys), "{rows} a page");
        }
        let first = bench.engine().scan(Position::ZERO, &range, PageLimit::rows(7)).await.unwrap();
        assert_eq!(first.rows.len(), 7, "a page is filled while there are rows");
    }
}

async fn pages_by_bytes_lose_and_repeat_nothing(bench: Bench) {
    let keys: Vec<Key> = (0..60).map(row).collect();
    let mut batch = Batch::new();
    for (number, key) in (0..).zip(&keys) {
        batch.put(key.clone(), vec![7; number * 13 % 200]);
    }
    bench.win(batch).await;
    for range in both_ways(ScanRange::scope(SCAN, 1)) {
        for bytes in [1, 100, 500, 1_999] {
            let limit = PageLimit { rows: 1_000, bytes };
            let rows = bench.rows_by(&range, limit).await;
            let found: Vec<Key> = rows.into_iter().map(|(key, _)| key).collect();
            assert_eq!(found, in_order_of(&range, &keys), "{bytes} bytes a page");
            let page = bench.engine().scan(Position::ZERO, &range, limit).await.unwrap();
            let size: usize = page.rows.iter().map(|(key, cell)| key.as_bytes().len() + cell.payload.len()).sum();
            assert!(size <= bytes || page.rows.len() == 1, "{size} bytes in a page of {bytes}");
        }
    }
}

async fn a_row_larger_than_the_page_comes_alone(bench: Bench) {
    let mut batch = Batch::new();
    batch.put(row(1), "small").put(row(2), vec![1; 5_000]).put(row(3), "small");
    bench.win(batch).await;
    for range in both_ways(ScanRange::scope(SCAN, 1)) {
        let limit = PageLimit { rows: 10, bytes: 1_000 };
        let mut rest = range;
        for expected in [1, 1, 1] {
            let page = bench.engine().scan(Position::ZERO, &rest, limit).await.unwrap();
            assert_eq!(page.rows.len(), expected);
            if let Some(resume) = page.resume {
                rest = rest.resumed(resume);
            }
        }
    }
}

async fn a_page_that_ends_with_the_range_has_no_resume_key(bench: Bench) {
    bench.put_all((0..12).map(row)).await;
    for range in both_ways(ScanRange::new(row(2), row(8))) {
        let page = bench.engine().scan(Position::ZERO, &range, PageLimit::rows(6)).await.unwrap();
        assert_eq!((page.rows.len(), page.resume), (6, None));
        let page = bench.engine().scan(Position::ZERO, &range, PageLimit::rows(5)).await.unwrap();
        assert!(page.rows.len() == 5 && page.resume.is_some());
    }
}

async fn keys_with_zero_and_high_bytes_are_in_order_and_resume(bench: Bench) {
    let mut keys = Vec::new();
    for first in [0, 1, 254, 255] {
        for second in [0, 255] {
            keys.push(in_scope(1).fixed(&[first, second]).key());
            keys.push(in_scope(1).fixed(&[first, second, 0]).key());
            keys.push(in_scope(1).fixed(&[first, second, 255, 255]).key());
        }
    }
    keys.push(in_scope(1).key());
    keys.sort();
    bench.put_all(keys.clone()).await;
    bench.put_all([in_scope(2).key(), in_scope(0).fixed(&[255; 20]).key()]).await;
    for range in both_ways(ScanRange::scope(SCAN, 1)) {
        for rows in [1, 2, 5] {
            assert_eq!(bench.keys_by(&range, PageLimit::rows(rows)).await, in_order_of(&range, &keys));
        }
    }
}

async fn a_range_goes_across_scopes(bench: Bench) {
    let mut keys = Vec::new();
    for scope in 0..6 {
        keys.extend((0..7).map(|number| in_scope(scope).u64(number).key()));
    }
    bench.put_all(keys.clone()).await;
    let (from, to) = (in_scope(1).u64(5).key(), in_scope(4).u64(2).key());
    let expected: Vec<Key> = keys.into_iter().filter(|key| *key >= from && *key < to).collect();
    assert_eq!(expected.len(), 18);
    for range in both_ways(ScanRange::new(from, to)) {
        for rows in [1, 4, 100] {
            assert_eq!(bench.keys_by(&range, PageLimit::rows(rows)).await, in_order_of(&range, &expected));
        }
    }
}

async fn a_range_goes_across_tables_and_patterns(bench: Bench) {
    let mut keys = Vec::new();
    for table in [POINT, SCAN, SCAN_NEXT, APPEND, CHURN] {
        keys.extend((0..4).map(|number| Key::build(table, 1).u64(number).key()));
    }
    bench.put_all(keys.clone()).await;
    for range in both_ways(ScanRange::new(keys[2].clone(), keys[18].clone())) {
        for rows in [1, 3, 100] {
            assert_eq!(bench.keys_by(&range, PageLimit::rows(rows)).await, in_order_of(&range, &keys[2..18]));
        }
    }
    for range in both_ways(ScanRange::new(Key::build(SCAN, 0).key(), Key::build(SCAN_NEXT, 0).key().after_prefix())) {
        assert_eq!(bench.keys(&range).await, in_order_of(&range, &keys[4..8]), "the second table's scope 1 is beyond");
    }
}

async fn the_smallest_and_the_largest_scope_are_scopes_like_others(bench: Bench) {
    for table in [SCAN, CHURN] {
        for scope in [0, u64::MAX] {
            let keys: Vec<Key> = (0..3).map(|number| Key::build(table, scope).u64(number).key()).collect();
            bench.put_all(keys.clone()).await;
            for range in both_ways(ScanRange::scope(table, scope)) {
                assert_eq!(bench.keys_by(&range, PageLimit::rows(2)).await, in_order_of(&range, &keys));
            }
        }
    }
}

async fn deleted_rows_are_skipped(bench: Bench) {
    bench.put_all((0..30).map(row)).await;
    let mut batch = Batch::new();
    for number in (0..30).filter(|number| number % 3 != 1) {
        batch.delete(row(number));
    }
    bench.win(batch).await;
    let expected: Vec<Key> = (0..30).filter(|number| number % 3 == 1).map(row).collect();
    for range in both_ways(ScanRange::scope(SCAN, 1)) {
        assert_eq!(bench.keys_by(&range, PageLimit::rows(4)).await, in_order_of(&range, &expected));
    }
}

async fn no_cursor_outlives_a_page(bench: Bench) {
    bench.put_all((0..10).map(|number| row(number * 2))).await;
    let range = ScanRange::scope(SCAN, 1);
    let first = bench.engine().scan(Position::ZERO, &range, PageLimit::rows(5)).await.unwrap();
    // Behind the page, in front of it, and the row that the resume key may name.
    bench.put_all([row(1), row(11), row(99)]).await;
    let mut batch = Batch::new();
    batch.delete(row(10));
    bench.win(batch).await;
    let rest = bench.keys(&range.resumed(first.resume.unwrap())).await;
    assert_eq!(rest, [11, 12, 14, 16, 18, 99].map(row));
}

async fn a_long_scan_gives_what_short_ones_give(bench: Bench) {
    let keys: Vec<Key> = (0..3_000).map(row).collect();
    bench.put_all(keys.clone()).await;
    for range in both_ways(ScanRange::scope(SCAN, 1)) {
        let long = bench.engine().scan(Position::ZERO, &range, PageLimit::rows(2_999)).await.unwrap();
        assert_eq!(long.rows.len(), 2_999);
        assert!(long.rows.iter().all(|(key, cell)| cell.payload == payload_of(key)));
        assert_eq!(bench.keys_by(&range, PageLimit::rows(250)).await, in_order_of(&range, &keys));
    }
}
