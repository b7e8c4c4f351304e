//! Bounds: each is enforced, what just fits is taken, and what does not leaves nothing.

use bytes::Bytes;
use wardstead_limits::engine as limits;

use super::{
    Bench,
    bench::{POINT, SCAN, entry, in_scope, point, put, row},
};
use crate::{Batch, EngineError, Expect, InvalidBatch, Key, Losing, PageLimit, Position, PositionSlot, ScanRange};

cases!("limits":
    the_largest_value_fits_and_a_larger_one_does_not,
    the_largest_key_fits_and_a_larger_one_does_not,
    a_value_has_at_most_three_positions,
    writes_of_a_batch_are_bounded,
    assertions_of_a_batch_are_bounded,
    journal_entries_of_a_batch_are_bounded,
    bytes_of_a_batch_are_bounded,
    batches_of_a_group_are_bounded,
    bytes_of_a_group_are_bounded,
    keys_of_a_read_are_bounded,
    a_page_is_cut_to_the_bound_and_has_a_row_at_least,
    bytes_of_a_page_are_bounded,
    a_range_that_leaves_its_scope_is_invalid,
    a_slot_must_name_an_entry_of_its_batch,
    a_key_must_have_table_and_scope,
);

/// The batches are refused, and nothing of them is written.
async fn refused(bench: &Bench, batches: Vec<Batch>) -> InvalidBatch {
    match bench.try_commit(batches).await {
        Err(EngineError::Invalid(why)) => {
            assert!(bench.rows_by(&ScanRange::scope(SCAN, 1), PageLimit::default()).await.is_empty());
            assert!(bench.rows_by(&ScanRange::scope(POINT, 1), PageLimit::default()).await.is_empty());
            assert_eq!(bench.position().await, Position::ZERO);
            why
        }
        other => unreachable!("{other:?}"),
    }
}

async fn is_too_large(bench: &Bench, batches: Vec<Batch>, expected: usize) {
    match refused(bench, batches).await {
        InvalidBatch::TooLarge { most, .. } => assert_eq!(most, expected),
        other => unreachable!("{other:?}"),
    }
}

async fn the_largest_value_fits_and_a_larger_one_does_not(bench: Bench) {
    let with = |bytes: usize| {
        let mut batch = Batch::new();
        batch.put(row(1), vec![7; bytes]);
        batch
    };
    is_too_large(&bench, vec![with(limits::VALUE_BYTES + 1)], limits::VALUE_BYTES).await;
    bench.win(with(limits::VALUE_BYTES)).await;
    assert_eq!(bench.cell(&row(1)).await.unwrap().payload, vec![7; limits::VALUE_BYTES]);
}

async fn the_largest_key_fits_and_a_larger_one_does_not(bench: Bench) {
    let key = |bytes: usize| in_scope(1).fixed(&vec![255; bytes - 10]).key();
    let long = key(limits::KEY_BYTES + 1);
    is_too_large(&bench, vec![put(&long)], limits::KEY_BYTES).await;
    let mut batch = Batch::new();
    batch.expect(long.clone(), Expect::Absent, Losing::Rebuild);
    is_too_large(&bench, vec![batch], limits::KEY_BYTES).await;
    let mut batch = Batch::new();
    batch.delete(long);
    is_too_large(&bench, vec![batch], limits::KEY_BYTES).await;
    bench.put_all([key(limits::KEY_BYTES)]).await;
    assert_eq!(bench.keys(&ScanRange::scope(SCAN, 1)).await, [key(limits::KEY_BYTES)]);
}

async fn a_value_has_at_most_three_positions(bench: Bench) {
    let with = |count: usize| {
        let mut batch = Batch::new();
        batch.put_with(row(1), 0, &vec![PositionSlot::Known(Position(1)); count], "");
        batch
    };
    is_too_large(&bench, vec![with(limits::VALUE_POSITIONS + 1)], limits::VALUE_POSITIONS).await;
    bench.win(with(limits::VALUE_POSITIONS)).await;
    assert_eq!(bench.cell(&row(1)).await.unwrap().positions.len(), limits::VALUE_POSITIONS);
}

async fn writes_of_a_batch_are_bounded(bench: Bench) {
    let most = bench.engine().limits().batch_writes;
    let mut batch = Batch::new();
    for number in 0..=most {
        batch.put(row(number as u64), "");
    }
    is_too_large(&bench, vec![batch.clone()], most).await;
    batch.writes.pop();
    bench.win(batch).await;
    assert_eq!(bench.rows_by(&ScanRange::scope(SCAN, 1), PageLimit::default()).await.len(), most);
}

async fn assertions_of_a_batch_are_bounded(bench: Bench) {
    let most = bench.engine().limits().batch_writes;
    let mut batch = put(&row(1));
    for number in 0..=most {
        batch.expect(point(number as u64), Expect::Absent, Losing::Rebuild);
    }
    is_too_large(&bench, vec![batch.clone()], most).await;
    batch.assertions.pop();
    bench.win(batch).await;
}

async fn journal_entries_of_a_batch_are_bounded(bench: Bench) {
    let most = bench.engine().limits().batch_journal_entries;
    let mut batch = put(&row(1));
    for _ in 0..=most {
        batch.journal(entry(1));
    }
    is_too_large(&bench, vec![batch.clone()], most).await;
    batch.journal.pop();
    assert_eq!(bench.win(batch).await.len(), most);
    assert_eq!(bench.journal().await.len(), most);
}

/// A batch of `bytes` bytes as they are counted, in values within their own bound.
fn of_bytes(first: u64, bytes: usize) -> Batch {
    let mut batch = Batch::new();
    let payload = Bytes::from(vec![9; limits::VALUE_BYTES / 2]);
    let mut number = first;
    while batch.bytes() < bytes {
        batch.put(row(number), "");
        let room = bytes.saturating_sub(batch.bytes());
        batch.writes.pop();
        batch.put(row(number), payload.slice(..room.min(payload.len())));
        number += 1;
    }
    assert_eq!(batch.bytes(), bytes);
    batch
}

async fn bytes_of_a_batch_are_bounded(bench: Bench) {
    let most = bench.engine().limits().batch_bytes;
    is_too_large(&bench, vec![of_bytes(0, most + 1)], most).await;
    bench.win(of_bytes(0, most)).await;
    assert!(bench.exists(&row(0)).await);
}

async fn batches_of_a_group_are_bounded(bench: Bench) {
    let most = bench.engine().limits().group_batches;
    let mut batches: Vec<Batch> = (0..=most).map(|number| put(&row(number as u64))).collect();
    is_too_large(&bench, batches.clone(), most).await;
    batches.pop();
    assert_eq!(bench.commit(batches).await.outcomes.len(), most);
}

async fn bytes_of_a_group_are_bounded(bench: Bench) {
    let most = bench.engine().limits().group_bytes;
    is_too_large(&bench, vec![of_bytes(0, most / 2), of_bytes(1_000, most / 2 + 1)], most).await;
    let outcomes = bench.commit(vec![of_bytes(0, most / 2), of_bytes(1_000, most / 2)]).await.outcomes;
    assert_eq!(outcomes.len(), 2);
}

async fn keys_of_a_read_are_bounded(bench: Bench) {
    bench.put_all((0..10).map(point)).await;
    let mut keys: Vec<Key> = (0..=limits::GET_KEYS as u64).map(point).collect();
    let error = bench.engine().get_many(Position::ZERO, &keys).await.unwrap_err();
    assert!(matches!(error, EngineError::Invalid(InvalidBatch::TooLarge { most: limits::GET_KEYS, .. })), "{error}");
    keys.pop();
    let cells = bench.engine().get_many(Position::ZERO, &keys).await.unwrap();
    assert_eq!((cells.len(), cells.iter().flatten().count()), (limits::GET_KEYS, 10));
}

async fn a_page_is_cut_to_the_bound_and_has_a_row_at_least(bench: Bench) {
    let rows = limits::PAGE_ROWS as u64 + 10;
    for first in (0..rows).step_by(limits::BATCH_WRITES) {
        bench.put_all((first..rows.min(first + limits::BATCH_WRITES as u64)).map(row)).await;
    }
    let range = ScanRange::scope(SCAN, 1);
    let most = PageLimit { rows: usize::MAX, bytes: usize::MAX };
    let page = bench.engine().scan(Position::ZERO, &range, most).await.unwrap();
    assert_eq!((page.rows.len(), page.resume.is_some()), (limits::PAGE_ROWS, true));
    let page = bench.engine().scan(Position::ZERO, &range, PageLimit { rows: 0, bytes: 0 }).await.unwrap();
    assert_eq!((page.rows.len(), page.resume.is_some()), (1, true), "a scan always gets on");
}

async fn bytes_of_a_page_are_bounded(bench: Bench) {
    for number in 0..10 {
        let mut batch = Batch::new();
        batch.put(row(number), vec![1; limits::VALUE_BYTES]);
        bench.win(batch).await;
    }
    let most = PageLimit { rows: usize::MAX, bytes: usize::MAX };
    let page = bench.engine().scan(Position::ZERO, &ScanRange::scope(SCAN, 1), most).await.unwrap();
    assert_eq!((page.rows.len(), page.resume.is_some()), (limits::PAGE_BYTES / limits::VALUE_BYTES - 1, true));
}

async fn a_range_that_leaves_its_scope_is_invalid(bench: Bench) {
    let ranges = [
        (row(5), row(4)),
        (row(1), in_scope(2).u64(0).key()),
        (in_scope(0).u64(1).key(), row(1)),
        (row(1), Key::build(super::bench::SCAN_NEXT, 1).u64(5).key()),
        (row(1), Key::build(POINT, 1).u64(5).key()),
    ];
    for (from, to) in ranges {
        let mut batch = Batch::new();
        batch.delete_range(from, to);
        assert_eq!(refused(&bench, vec![batch]).await, InvalidBatch::Range);
    }
}

async fn a_slot_must_name_an_entry_of_its_batch(bench: Bench) {
    let mut in_key = Batch::new();
    in_key.journal(entry(1));
    in_key.put(in_scope(1).slot(1).template(), "");
    assert_eq!(refused(&bench, vec![in_key]).await, InvalidBatch::Slot { entry: 1, entries: 1 });
    let mut in_value = Batch::new();
    in_value.put_with(row(1), 0, &[PositionSlot::Entry(0)], "");
    assert_eq!(refused(&bench, vec![in_value]).await, InvalidBatch::Slot { entry: 0, entries: 0 });
}

async fn a_key_must_have_table_and_scope(bench: Bench) {
    let bound = Key::build(SCAN, u64::MAX).key().after_prefix();
    assert!(bound.as_bytes().len() < 10);
    let mut batch = Batch::new();
    batch.delete(bound.clone());
    assert!(matches!(refused(&bench, vec![batch]).await, InvalidBatch::Key(2)));
    assert!(matches!(refused(&bench, vec![put(&row(1)), put(&bound)]).await, InvalidBatch::Key(2)));
}
