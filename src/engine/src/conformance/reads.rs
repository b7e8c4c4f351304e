//! `get_many`.

use super::{
    Bench,
    bench::{APPEND, EACH_PATTERN, POINT, entry, payload_of, point, put},
};
use crate::{Batch, EngineError, Key, PageLimit, Position, PositionSlot, ScanRange};

cases!("reads":
    a_missing_row_is_none,
    nothing_asked_nothing_given,
    answers_come_in_the_order_of_the_keys,
    duplicates_and_missing_ones_keep_their_places,
    a_row_reads_back_as_written,
    an_empty_payload_is_a_row,
    a_put_replaces_version_positions_and_payload,
    a_deleted_row_is_gone,
    deleting_nothing_is_no_fault,
    the_last_write_of_a_batch_counts,
    one_read_takes_rows_of_every_pattern,
    keys_with_zero_and_high_bytes_are_distinct,
    a_floor_up_to_the_newest_position_is_served,
    a_floor_above_the_newest_position_is_unavailable,
);

async fn a_missing_row_is_none(bench: Bench) {
    bench.win(put(&point(1))).await;
    assert_eq!(bench.cell(&point(2)).await, None);
}

async fn nothing_asked_nothing_given(bench: Bench) {
    assert_eq!(bench.engine().get_many(Position::ZERO, &[]).await.unwrap(), vec![]);
}

async fn answers_come_in_the_order_of_the_keys(bench: Bench) {
    bench.put_all((0..50).map(point)).await;
    let keys: Vec<Key> = (0..50).map(|number| point(number * 37 % 50)).collect();
    let cells = bench.engine().get_many(Position::ZERO, &keys).await.unwrap();
    for (key, cell) in keys.iter().zip(cells) {
        assert_eq!(cell.unwrap().payload, payload_of(key));
    }
}

async fn duplicates_and_missing_ones_keep_their_places(bench: Bench) {
    bench.put_all([point(1), point(3)]).await;
    let keys = [3, 2, 1, 3, 2, 3].map(point);
    let cells = bench.engine().get_many(Position::ZERO, &keys).await.unwrap();
    let payloads: Vec<_> = cells.into_iter().map(|cell| cell.map(|cell| cell.payload)).collect();
    let (one, three) = (Some(payload_of(&point(1))), Some(payload_of(&point(3))));
    assert_eq!(payloads, [three.clone(), None, one, three.clone(), None, three]);
}

async fn a_row_reads_back_as_written(bench: Bench) {
    let mut batch = Batch::new();
    let known = [PositionSlot::Known(Position(u64::MAX)), PositionSlot::Known(Position(3))];
    batch.put_with(point(1), u64::MAX - 1, &known, vec![0, 255, 0, 7]);
    bench.win(batch).await;
    let cell = bench.cell(&point(1)).await.unwrap();
    assert_eq!((cell.version, cell.position()), (u64::MAX - 1, Position(u64::MAX)));
    assert_eq!((&cell.positions[..], &cell.payload[..]), (&[Position(u64::MAX), Position(3)][..], &[0, 255, 0, 7][..]));
}

async fn an_empty_payload_is_a_row(bench: Bench) {
    let mut batch = Batch::new();
    batch.put(point(1), "");
    bench.win(batch).await;
    let cell = bench.cell(&point(1)).await.unwrap();
    assert!(cell.payload.is_empty() && cell.positions.is_empty() && cell.version == 0);
}

async fn a_put_replaces_version_positions_and_payload(bench: Bench) {
    let mut first = Batch::new();
    first.put_with(point(1), 8, &[PositionSlot::Known(Position(9))], "long and old");
    bench.win(first).await;
    let mut second = Batch::new();
    second.put(point(1), "new");
    bench.win(second).await;
    let cell = bench.cell(&point(1)).await.unwrap();
    assert_eq!((cell.version, cell.positions.len(), &cell.payload[..]), (0, 0, &b"new"[..]));
}

async fn a_deleted_row_is_gone(bench: Bench) {
    bench.put_all([point(1), point(2), point(3)]).await;
    let mut batch = Batch::new();
    batch.delete(point(2));
    bench.win(batch).await;
    assert!(bench.exists(&point(1)).await && !bench.exists(&point(2)).await && bench.exists(&point(3)).await);
}

async fn deleting_nothing_is_no_fault(bench: Bench) {
    let mut batch = Batch::new();
    batch.delete(point(2)).delete(point(2)).put(point(1), payload_of(&point(1)));
    bench.win(batch).await;
    assert!(bench.exists(&point(1)).await && !bench.exists(&point(2)).await);
}

async fn the_last_write_of_a_batch_counts(bench: Bench) {
    let mut batch = Batch::new();
    batch.put(point(1), "a").delete(point(1)).put(point(1), "b");
    batch.put(point(2), "a").put(point(2), "b").delete(point(2));
    bench.win(batch).await;
    assert_eq!(bench.cell(&point(1)).await.unwrap().payload, "b");
    assert!(!bench.exists(&point(2)).await);
}

async fn one_read_takes_rows_of_every_pattern(bench: Bench) {
    let keys = EACH_PATTERN.map(|table| Key::build(table, 4).u64(5).key());
    bench.put_all(keys.clone()).await;
    let cells = bench.engine().get_many(Position::ZERO, &keys).await.unwrap();
    for (key, cell) in keys.iter().zip(cells) {
        assert_eq!(cell.unwrap().payload, payload_of(key));
    }
}

async fn keys_with_zero_and_high_bytes_are_distinct(bench: Bench) {
    let parts: [&[u8]; 7] = [&[], &[0], &[0, 0], &[0, 255], &[255], &[255, 0], &[255, 255]];
    let keys = parts.map(|part| Key::build(POINT, u64::MAX).bytes(part).key());
    bench.put_all(keys.clone()).await;
    for key in &keys {
        assert_eq!(bench.cell(key).await.unwrap().payload, payload_of(key));
    }
    assert!(!bench.exists(&Key::build(POINT, u64::MAX).bytes(&[0, 0, 0]).key()).await);
}

async fn a_floor_up_to_the_newest_position_is_served(bench: Bench) {
    for number in 0..20 {
        let mut batch = put(&point(number));
        let slot = batch.journal(entry(1));
        batch.put(Key::build(APPEND, 1).slot(slot).template(), "");
        let position = bench.win(batch).await[0];
        let cells = bench.engine().get_many(position, &[point(number)]).await.unwrap();
        assert!(cells[0].is_some(), "a floor at a batch's position shows the batch");
        let rows =
            bench.engine().scan(position, &ScanRange::scope(APPEND, 1), PageLimit::default()).await.unwrap().rows;
        assert_eq!(rows.last().unwrap().0, Key::build(APPEND, 1).position(position).key());
    }
}

async fn a_floor_above_the_newest_position_is_unavailable(bench: Bench) {
    let mut batch = put(&point(1));
    batch.journal(entry(1));
    let above = bench.win(batch).await[0].next();
    let got = bench.engine().get_many(above, &[point(1)]).await;
    assert!(matches!(got, Err(EngineError::Unavailable(_))), "{got:?}");
    let scanned = bench.engine().scan(above, &ScanRange::scope(POINT, 1), PageLimit::default()).await;
    assert!(matches!(scanned, Err(EngineError::Unavailable(_))), "{scanned:?}");
}
