//! What a durable engine still has when it is opened again.

use super::{
    Bench,
    bench::{EACH_PATTERN, entry, is_won, payload_of, point, put, row},
};
use crate::{Batch, Expect, Key, Losing, Position, ScanRange};

cases!("reopen":
    an_empty_installation_stays_empty,
    rows_of_every_pattern_are_kept,
    the_journal_goes_on_where_it_ended,
    versions_are_kept,
    deletes_are_kept,
    overwritten_rows_do_not_come_back,
    losers_do_not_come_back,
    positions_go_on_after_a_jump,
);

fn with_entries(count: u16) -> Batch {
    let mut batch = Batch::new();
    for number in 0..count {
        batch.journal(entry(number));
    }
    batch
}

async fn an_empty_installation_stays_empty(mut bench: Bench) {
    bench.reopen().await;
    assert_eq!(bench.position().await, Position::ZERO);
    assert!(bench.journal().await.is_empty());
    assert_eq!(bench.win(with_entries(1)).await, [Position(1)]);
}

async fn rows_of_every_pattern_are_kept(mut bench: Bench) {
    let keys = EACH_PATTERN.map(|table| (0..300).map(move |number| Key::build(table, number % 7).u64(number).key()));
    let keys: Vec<Key> = keys.into_iter().flatten().collect();
    bench.put_all(keys.clone()).await;
    for _ in 0..2 {
        bench.reopen().await;
        let cells = bench.engine().get_many(Position::ZERO, &keys).await.unwrap();
        for (key, cell) in keys.iter().zip(cells) {
            assert_eq!(cell.unwrap().payload, payload_of(key));
        }
        for table in EACH_PATTERN {
            assert_eq!(bench.keys(&ScanRange::scope(table, 6)).await.len(), 42);
            assert_eq!(bench.keys(&ScanRange::scope(table, 6).descending()).await.len(), 42);
        }
    }
}

async fn the_journal_goes_on_where_it_ended(mut bench: Bench) {
    let mut expected = Vec::new();
    for round in 1..=5 {
        bench.commit(vec![with_entries(3), with_entries(4)]).await;
        expected.extend([0, 1, 2, 0, 1, 2, 3]);
        bench.reopen().await;
        assert_eq!(bench.position().await, Position(7 * round));
        let journal = bench.journal().await;
        assert_eq!(journal.iter().map(|row| row.entry.kind).collect::<Vec<_>>(), expected);
        assert!((1..).zip(&journal).all(|(position, row)| row.position == Position(position)));
    }
}

async fn versions_are_kept(mut bench: Bench) {
    let mut batch = Batch::new();
    batch.put_with(point(1), 12, &[], "");
    bench.win(batch).await;
    bench.reopen().await;
    let mut batch = Batch::new();
    batch.expect(point(1), Expect::Version(12), Losing::Rebuild).expect(point(2), Expect::Absent, Losing::Rebuild);
    bench.win(batch).await;
}

async fn deletes_are_kept(mut bench: Bench) {
    bench.put_all((0..10).map(row)).await;
    bench.reopen().await;
    let mut batch = Batch::new();
    batch.delete(row(3)).delete_range(row(6), row(8));
    bench.win(batch).await;
    bench.reopen().await;
    let left = [0, 1, 2, 4, 5, 8, 9].map(row);
    assert_eq!(bench.keys(&ScanRange::new(row(0), row(99))).await, left);
}

async fn overwritten_rows_do_not_come_back(mut bench: Bench) {
    for version in 1..=5 {
        let mut batch = Batch::new();
        batch.put_with(point(1), version, &[], format!("version {version}"));
        bench.win(batch).await;
        bench.reopen().await;
        let cell = bench.cell(&point(1)).await.unwrap();
        assert_eq!((cell.version, cell.payload), (version, format!("version {version}").into()));
    }
}

async fn losers_do_not_come_back(mut bench: Bench) {
    let mut loser = put(&point(2));
    loser.expect(point(1), Expect::Absent, Losing::Rebuild).journal(entry(1));
    let outcome = bench.commit(vec![put(&point(1)), loser, put(&point(3))]).await;
    assert!(!is_won(&outcome.outcomes[1]));
    bench.reopen().await;
    assert!(bench.exists(&point(1)).await && !bench.exists(&point(2)).await && bench.exists(&point(3)).await);
    assert!(bench.journal().await.is_empty());
}

async fn positions_go_on_after_a_jump(mut bench: Bench) {
    let mut jump = with_entries(1);
    jump.not_before = Some(Position(1 << 40));
    bench.win(jump).await;
    bench.reopen().await;
    assert_eq!(bench.position().await, Position(1 << 40));
    assert_eq!(bench.win(with_entries(1)).await, [Position((1 << 40) + 1)]);
}
