//! Position slots in keys and values.

use super::{
    Bench,
    bench::{APPEND, entry, in_scope, point, put, row},
};
use crate::{Batch, Expect, Key, Losing, Position, PositionSlot, ScanRange};

cases!("slots":
    a_slot_in_a_key_is_filled,
    a_slot_in_a_value_is_filled,
    each_slot_takes_the_position_of_its_entry,
    known_positions_stay_as_they_are,
    a_slot_may_stand_anywhere_in_the_rest_of_a_key,
    slots_of_later_batches_count_winners_only,
    rows_with_slots_are_in_the_order_of_commits,
    a_jump_fills_the_slots_with_the_position_it_took,
);

async fn a_slot_in_a_key_is_filled(bench: Bench) {
    bench.win(put(&point(1))).await;
    for expected in 1..4 {
        let mut batch = Batch::new();
        let slot = batch.journal(entry(1));
        batch.put(in_scope(1).slot(slot).template(), "at");
        assert_eq!(bench.win(batch).await, [Position(expected)]);
        assert_eq!(bench.cell(&row(expected)).await.unwrap().payload, "at");
    }
    assert!(!bench.exists(&row(0)).await, "no row stands under the empty slot");
}

async fn a_slot_in_a_value_is_filled(bench: Bench) {
    for expected in 1..4 {
        let mut batch = Batch::new();
        let slot = batch.journal(entry(1));
        batch.put_with(point(1), 9, &[PositionSlot::Entry(slot)], "cell");
        bench.win(batch).await;
        let cell = bench.cell(&point(1)).await.unwrap();
        assert_eq!((cell.position(), cell.version, &cell.payload[..]), (Position(expected), 9, &b"cell"[..]));
    }
}

async fn each_slot_takes_the_position_of_its_entry(bench: Bench) {
    let mut batch = Batch::new();
    let entries: Vec<usize> = (0..3).map(|number| batch.journal(entry(number))).collect();
    let in_values = [2, 0, 1].map(|number| PositionSlot::Entry(entries[number]));
    batch.put_with(in_scope(1).slot(entries[1]).template(), 0, &in_values, "");
    let positions = bench.win(batch).await;
    let cell = bench.cell(&Key::build(super::bench::SCAN, 1).position(positions[1]).key()).await.unwrap();
    assert_eq!(cell.positions[..], [positions[2], positions[0], positions[1]]);
}

async fn known_positions_stay_as_they_are(bench: Bench) {
    let mut batch = Batch::new();
    let slot = batch.journal(entry(1));
    let positions =
        [PositionSlot::Known(Position(0)), PositionSlot::Entry(slot), PositionSlot::Known(Position(u64::MAX))];
    batch.put_with(point(1), 0, &positions, "");
    bench.win(batch).await;
    assert_eq!(bench.cell(&point(1)).await.unwrap().positions[..], [0, 1, u64::MAX].map(Position));
}

async fn a_slot_may_stand_anywhere_in_the_rest_of_a_key(bench: Bench) {
    let mut batch = Batch::new();
    let slot = batch.journal(entry(1));
    let start = |text: &str| in_scope(1).u8(7).text(text);
    batch.put(start("a").slot(slot).template(), "").put(start("odd\0").slot(slot).u8(1).text("end").template(), "");
    let position = bench.win(batch).await[0];
    assert!(bench.exists(&start("a").position(position).key()).await);
    assert!(bench.exists(&start("odd\0").position(position).u8(1).text("end").key()).await);
}

async fn slots_of_later_batches_count_winners_only(bench: Bench) {
    let batch = |number: u64| {
        let mut batch = Batch::new();
        if number == 1 {
            batch.expect(point(0), Expect::Version(1), Losing::Rebuild);
        }
        let (first, second) = (batch.journal(entry(1)), batch.journal(entry(2)));
        batch.put_with(in_scope(1).slot(second).template(), number, &[PositionSlot::Entry(first)], "");
        batch
    };
    bench.commit((0..3).map(batch).collect()).await;
    let rows = bench.rows_by(&ScanRange::scope(super::bench::SCAN, 1), crate::PageLimit::default()).await;
    let found: Vec<_> = rows.into_iter().map(|(key, cell)| (key, cell.version, cell.position())).collect();
    assert_eq!(found, [(row(2), 0, Position(1)), (row(4), 2, Position(3))]);
}

async fn rows_with_slots_are_in_the_order_of_commits(bench: Bench) {
    for round in 0..5_u64 {
        let batches = (0..60).map(|number| {
            let mut batch = Batch::new();
            let slot = batch.journal(entry(1));
            batch.put_with(Key::build(APPEND, 1).slot(slot).template(), round * 60 + number, &[], "");
            batch
        });
        bench.commit(batches.collect()).await;
    }
    let rows = bench.rows_by(&ScanRange::scope(APPEND, 1), crate::PageLimit::rows(77)).await;
    let versions: Vec<u64> = rows.iter().map(|(_, cell)| cell.version).collect();
    assert_eq!(versions, (0..300).collect::<Vec<_>>());
}

async fn a_jump_fills_the_slots_with_the_position_it_took(bench: Bench) {
    let mut batch = Batch::new();
    batch.not_before = Some(Position(5_000));
    let slot = batch.journal(entry(1));
    batch.put_with(in_scope(1).slot(slot).template(), 0, &[PositionSlot::Entry(slot)], "");
    bench.win(batch).await;
    assert_eq!(bench.cell(&row(5_000)).await.unwrap().position(), Position(5_000));
}
