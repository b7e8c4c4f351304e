//! The journal and its positions.

use bytes::Bytes;

use super::{
    Bench,
    bench::{entry, group_of, is_won, point, put, won},
};
use crate::{
    Batch, Expect, JournalEntry, Losing, PageLimit, Position, ScanRange, Writer, journal as journal_rows, system,
};

cases!("journal":
    positions_start_at_one_and_are_consecutive,
    a_row_tells_its_entry_writer_and_batch,
    batches_without_entries_take_no_position,
    losers_take_no_position,
    the_outcome_names_the_newest_position,
    a_jump_takes_the_position_it_names,
    a_jump_backwards_is_none,
    a_jump_of_a_loser_is_none,
    the_journal_reads_from_any_position_both_ways,
    the_old_end_can_be_cut,
    entries_with_any_key_read_back,
);

fn with_entries(numbers: impl IntoIterator<Item = u16>) -> Batch {
    let mut batch = Batch::new();
    for number in numbers {
        batch.journal(entry(number));
    }
    batch
}

async fn positions_start_at_one_and_are_consecutive(bench: Bench) {
    assert_eq!(bench.position().await, Position::ZERO);
    assert_eq!(bench.win(with_entries([1])).await, [Position(1)]);
    assert_eq!(bench.win(with_entries(2..5)).await, [2, 3, 4].map(Position));
    let outcome = bench.commit(vec![with_entries([5]), with_entries([6, 7]), with_entries([8])]).await;
    let positions: Vec<_> = outcome.outcomes.iter().map(won).collect();
    assert_eq!(positions, [vec![Position(5)], vec![Position(6), Position(7)], vec![Position(8)]]);
    let kinds: Vec<_> = bench.journal().await.iter().map(|row| (row.position.0, row.entry.kind)).collect();
    assert_eq!(kinds, (1..=8).map(|number| (u64::from(number), number)).collect::<Vec<_>>());
}

async fn a_row_tells_its_entry_writer_and_batch(bench: Bench) {
    bench.win(put(&point(0))).await;
    let mut loser = with_entries([1]);
    loser.expect(point(0), Expect::Absent, Losing::Rebuild);
    let writer = Writer { incarnation: u64::MAX - 3, group: 1 << 40 };
    let group = group_of(writer, vec![with_entries([2]), loser, with_entries([3, 4])]);
    bench.engine().commit_group(group).await.unwrap();
    let rows = bench.journal().await;
    let told: Vec<_> = rows.iter().map(|row| (row.writer, row.batch, row.entry.clone())).collect();
    assert_eq!(told, [(writer, 0, entry(2)), (writer, 2, entry(3)), (writer, 2, entry(4))]);
}

async fn batches_without_entries_take_no_position(bench: Bench) {
    let outcome = bench.commit(vec![with_entries([1]), put(&point(1)), with_entries([2])]).await;
    assert_eq!((won(&outcome.outcomes[1]), won(&outcome.outcomes[2])), (vec![], vec![Position(2)]));
    assert_eq!(bench.commit(vec![put(&point(2))]).await.position, Position(2));
    assert_eq!(bench.position().await, Position(2));
}

async fn losers_take_no_position(bench: Bench) {
    let mut loser = with_entries([9, 9]);
    loser.expect(point(0), Expect::Version(1), Losing::Rebuild);
    let outcome = bench.commit(vec![loser.clone(), with_entries([1]), loser, with_entries([2])]).await;
    assert_eq!((won(&outcome.outcomes[1]), won(&outcome.outcomes[3])), (vec![Position(1)], vec![Position(2)]));
    assert!(bench.journal().await.iter().all(|row| row.entry.kind != 9));
}

async fn the_outcome_names_the_newest_position(bench: Bench) {
    for round in 1..=5 {
        let outcome = bench.commit(vec![with_entries([1, 2]), with_entries([3])]).await;
        assert_eq!((outcome.position, bench.position().await), (Position(3 * round), Position(3 * round)));
    }
}

async fn a_jump_takes_the_position_it_names(bench: Bench) {
    bench.win(with_entries([1])).await;
    let mut jump = with_entries([2, 3]);
    jump.not_before = Some(Position(1 << 33));
    let outcome = bench.commit(vec![jump, with_entries([4])]).await;
    let far = |number: u64| Position((1 << 33) + number);
    assert_eq!((won(&outcome.outcomes[0]), won(&outcome.outcomes[1])), (vec![far(0), far(1)], vec![far(2)]));
    assert_eq!((outcome.position, bench.position().await), (far(2), far(2)));
    assert_eq!(bench.win(with_entries([5])).await, [far(3)]);
    let positions: Vec<_> = bench.journal().await.iter().map(|row| row.position).collect();
    assert_eq!(positions, [Position(1), far(0), far(1), far(2), far(3)]);
}

async fn a_jump_backwards_is_none(bench: Bench) {
    bench.win(with_entries(1..=5)).await;
    let mut jump = with_entries([6]);
    jump.not_before = Some(Position(3));
    assert_eq!(bench.win(jump).await, [Position(6)]);
}

async fn a_jump_of_a_loser_is_none(bench: Bench) {
    let mut jump = with_entries([1]);
    jump.not_before = Some(Position(100));
    jump.expect(point(0), Expect::Version(1), Losing::Rebuild);
    let outcome = bench.commit(vec![jump, with_entries([2])]).await;
    assert!(!is_won(&outcome.outcomes[0]));
    assert_eq!(won(&outcome.outcomes[1]), [Position(1)]);
}

async fn the_journal_reads_from_any_position_both_ways(bench: Bench) {
    for number in 0..20 {
        bench.win(with_entries(number * 10..number * 10 + 10)).await;
    }
    let end = journal_rows::key(Position(u64::MAX));
    for since in [0, 1, 99, 199, 200, 201] {
        let range = ScanRange::new(journal_rows::key(Position(since).next()), end.clone());
        let rows = bench.rows_by(&range, PageLimit::rows(37)).await;
        let keys: Vec<_> = rows.into_iter().map(|(key, _)| key).collect();
        let expected: Vec<_> = (since + 1..=200).map(|number| journal_rows::key(Position(number))).collect();
        assert_eq!(keys, expected, "after {since}");
    }
    let newest = ScanRange::scope(system::JOURNAL, 0).descending();
    let page = bench.engine().scan(Position::ZERO, &newest, PageLimit::rows(1)).await.unwrap();
    assert_eq!(page.rows[0].0, journal_rows::key(Position(200)));
}

async fn the_old_end_can_be_cut(mut bench: Bench) {
    for _ in 0..3 {
        bench.win(with_entries(0..500)).await;
    }
    let mut cut = Batch::new();
    cut.delete_range(journal_rows::key(Position(1)), journal_rows::key(Position(1_400)));
    bench.win(cut).await;
    for _ in 0..2 {
        let positions: Vec<u64> = bench.journal().await.iter().map(|row| row.position.0).collect();
        assert_eq!(positions, (1_400..=1_500).collect::<Vec<_>>());
        assert_eq!(bench.position().await, Position(1_500));
        bench.reopen().await;
    }
    assert_eq!(bench.win(with_entries([1])).await, [Position(1_501)]);
}

async fn entries_with_any_key_read_back(bench: Bench) {
    let entries: Vec<JournalEntry> = [&b""[..], &[0], &[255; 40], &[0, 0, 255]]
        .iter()
        .map(|key| JournalEntry { kind: u16::MAX, scope: u64::MAX, key: Bytes::from_static(key) })
        .collect();
    let mut batch = Batch::new();
    for entry in &entries {
        batch.journal(entry.clone());
    }
    bench.win(batch).await;
    let read: Vec<_> = bench.journal().await.into_iter().map(|row| row.entry).collect();
    assert_eq!(read, entries);
}
