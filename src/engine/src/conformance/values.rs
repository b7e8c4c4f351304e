//! Rows that are not what was written.

use super::{
    Bench,
    bench::{SCAN, entry, payload_of, point, put, row},
};
use crate::{Batch, EngineError, Expect, Key, Losing, PageLimit, Position, PositionSlot, ScanRange, system};

cases!("values":
    a_flipped_bit_anywhere_is_corrupt,
    a_row_cut_short_is_corrupt,
    a_value_under_another_key_is_corrupt,
    the_row_that_is_corrupt_is_named,
    a_scan_stops_at_a_corrupt_row,
    an_asserted_row_that_is_corrupt_stops_its_group,
    an_epoch_that_is_corrupt_stops_every_group,
    a_lease_that_is_corrupt_is_not_given_away,
    a_corrupt_row_can_be_written_again,
    a_corrupt_row_can_be_deleted,
);

fn is_corrupt<T: std::fmt::Debug>(answer: &Result<T, EngineError>, expected: &Key) -> bool {
    matches!(answer, Err(EngineError::Corrupt { key, .. }) if key == expected)
}

async fn flip(bench: &mut Bench, key: &Key, at: usize) {
    bench.tamper(key, move |stored| stored[at] ^= 1 << (at % 8)).await;
}

async fn a_flipped_bit_anywhere_is_corrupt(mut bench: Bench) {
    let mut batch = Batch::new();
    let slot = batch.journal(entry(1));
    batch.put_with(point(1), 5, &[PositionSlot::Entry(slot)], "payload");
    bench.win(batch).await;
    let length = bench.stored(&point(1)).await.len();
    assert_eq!(length, 1 + 8 + 8 + 7 + 4, "flags, version, position, payload, checksum");
    // One byte of each part.
    for at in [0, 3, 12, 20, 26] {
        flip(&mut bench, &point(1), at).await;
        let answer = bench.try_cell(&point(1)).await;
        assert!(is_corrupt(&answer, &point(1)), "byte {at}: {answer:?}");
        flip(&mut bench, &point(1), at).await;
        assert_eq!(bench.cell(&point(1)).await.unwrap().payload, "payload");
    }
}

async fn a_row_cut_short_is_corrupt(mut bench: Bench) {
    bench.win(put(&point(1))).await;
    for left in [20, 5, 4, 0] {
        bench.tamper(&point(1), move |stored| stored.truncate(left)).await;
        assert!(is_corrupt(&bench.try_cell(&point(1)).await, &point(1)), "{left} bytes left");
    }
}

async fn a_value_under_another_key_is_corrupt(mut bench: Bench) {
    bench.put_all([point(1), point(2)]).await;
    let stored = bench.stored(&point(1)).await;
    bench.tamper(&point(2), move |bytes| *bytes = stored).await;
    assert!(bench.exists(&point(1)).await);
    assert!(is_corrupt(&bench.try_cell(&point(2)).await, &point(2)));
}

async fn the_row_that_is_corrupt_is_named(mut bench: Bench) {
    bench.put_all((0..9).map(point)).await;
    flip(&mut bench, &point(4), 1).await;
    let keys: Vec<Key> = (0..9).map(point).collect();
    assert!(is_corrupt(&bench.engine().get_many(Position::ZERO, &keys).await, &point(4)));
    let others: Vec<Key> = keys.into_iter().filter(|key| *key != point(4)).collect();
    let cells = bench.engine().get_many(Position::ZERO, &others).await.unwrap();
    assert_eq!(cells.iter().flatten().count(), 8);
}

async fn a_scan_stops_at_a_corrupt_row(mut bench: Bench) {
    bench.put_all((0..9).map(row)).await;
    flip(&mut bench, &row(4), 1).await;
    for range in [ScanRange::scope(SCAN, 1), ScanRange::scope(SCAN, 1).descending()] {
        let answer = bench.engine().scan(Position::ZERO, &range, PageLimit::default()).await;
        assert!(is_corrupt(&answer, &row(4)), "a row is never skipped: {answer:?}");
        let before = bench.engine().scan(Position::ZERO, &range, PageLimit::rows(4)).await.unwrap();
        assert_eq!(before.rows.len(), 4);
    }
    let after = bench.keys(&ScanRange::new(row(5), row(9))).await;
    assert_eq!(after.len(), 4);
}

async fn an_asserted_row_that_is_corrupt_stops_its_group(mut bench: Bench) {
    bench.put_all([point(1)]).await;
    flip(&mut bench, &point(1), 1).await;
    let mut batch = put(&point(2));
    batch.expect(point(1), Expect::Version(0), Losing::Rebuild);
    assert!(is_corrupt(&bench.try_commit(vec![put(&point(3)), batch]).await, &point(1)));
    assert!(!bench.exists(&point(2)).await && !bench.exists(&point(3)).await);
    assert!(bench.try_commit(vec![put(&point(3))]).await.is_ok());
}

async fn an_epoch_that_is_corrupt_stops_every_group(mut bench: Bench) {
    let mut batch = Batch::new();
    batch.put(system::epoch_key(), "version 0");
    bench.win(batch).await;
    flip(&mut bench, &system::epoch_key(), 1).await;
    assert!(is_corrupt(&bench.try_commit(vec![put(&point(1))]).await, &system::epoch_key()));
    assert!(!bench.exists(&point(1)).await);
}

async fn a_lease_that_is_corrupt_is_not_given_away(mut bench: Bench) {
    let request = crate::LeaseRequest { name: "sealer".into(), owner: 1, ttl_ms: 10 };
    bench.engine().lease(request.clone()).await.unwrap();
    flip(&mut bench, &system::lease_key("sealer"), 9).await;
    bench.clock.advance_ms(100);
    assert!(is_corrupt(&bench.engine().lease(request).await, &system::lease_key("sealer")));
}

async fn a_corrupt_row_can_be_written_again(mut bench: Bench) {
    bench.put_all([point(1)]).await;
    flip(&mut bench, &point(1), 1).await;
    bench.put_all([point(1)]).await;
    assert_eq!(bench.cell(&point(1)).await.unwrap().payload, payload_of(&point(1)));
}

async fn a_corrupt_row_can_be_deleted(mut bench: Bench) {
    bench.put_all([row(1), row(2)]).await;
    flip(&mut bench, &row(1), 1).await;
    flip(&mut bench, &row(2), 1).await;
    let mut batch = Batch::new();
    batch.delete(row(1)).delete_range(row(2), row(3));
    bench.win(batch).await;
    assert!(bench.keys(&ScanRange::scope(SCAN, 1)).await.is_empty());
}
