//! Groups: order, chains, what a batch sees of those before it.

use super::{
    Bench,
    bench::{entry, is_won, payload_of, point, put, row, won},
};
use crate::{Batch, EngineError, Expect, InvalidBatch, Key, Losing, Outcome, Position, ScanRange};

cases!("groups":
    an_empty_group_changes_nothing,
    a_full_group_is_committed_in_order,
    a_chain_of_64_wins_as_a_whole,
    a_chain_whose_first_batch_loses_is_lost,
    a_chain_whose_middle_batch_loses_is_lost_from_there,
    a_chain_next_to_a_lost_one_wins,
    an_assertion_sees_an_earlier_put,
    an_assertion_sees_an_earlier_delete,
    an_assertion_sees_an_earlier_range_delete,
    an_assertion_sees_a_put_after_a_range_delete,
    an_assertion_sees_rows_whose_keys_have_slots,
    an_assertion_sees_nothing_of_a_loser,
    a_batch_does_not_see_its_own_writes,
    winners_and_losers_take_turns,
    one_invalid_batch_takes_its_group_along,
);

const CHAIN: u64 = 64;

/// Link `number` turns version `number` of the head into the next one.
fn link(head: &Key, number: u64) -> Batch {
    let mut batch = Batch::new();
    batch.expect(head.clone(), Expect::Version(number), Losing::Fail(if number == 0 { "first" } else { "later" }));
    let slot = batch.journal(entry(u16::try_from(number).unwrap()));
    batch.put_with(head.clone(), number + 1, &[crate::PositionSlot::Entry(slot)], "head");
    let link = row(head.scope() * 1_000 + number);
    batch.put(link.clone(), payload_of(&link));
    batch
}

fn chain(head: &Key, first: u64) -> Vec<Batch> {
    (first..first + CHAIN).map(|number| link(head, number)).collect()
}

fn head(number: u64) -> Key {
    Key::build(super::bench::POINT, number).text("head").key()
}

async fn make_head(bench: &Bench, head: &Key, version: u64) {
    let mut batch = Batch::new();
    batch.put_with(head.clone(), version, &[], "head");
    bench.win(batch).await;
}

async fn an_empty_group_changes_nothing(bench: Bench) {
    let mut batch = put(&point(1));
    batch.journal(entry(1));
    bench.win(batch).await;
    let outcome = bench.commit(vec![]).await;
    assert_eq!((outcome.outcomes.len(), outcome.position), (0, Position(1)));
    assert_eq!(bench.position().await, Position(1));
}

async fn a_full_group_is_committed_in_order(bench: Bench) {
    let most = bench.engine().limits().group_batches;
    let batch = |number: usize| {
        let mut batch = Batch::new();
        batch.put_with(point(1), number as u64, &[], "");
        batch.put(row(number as u64), payload_of(&row(number as u64)));
        batch.journal(entry(1));
        batch
    };
    let outcome = bench.commit((0..most).map(batch).collect()).await;
    let positions: Vec<u64> = outcome.outcomes.iter().flat_map(won).map(|position| position.0).collect();
    assert_eq!(positions, (1..=most as u64).collect::<Vec<_>>());
    assert_eq!(bench.cell(&point(1)).await.unwrap().version, most as u64 - 1, "the last batch wrote last");
    assert_eq!(bench.keys(&ScanRange::new(row(0), row(u64::MAX))).await.len(), most);
}

async fn a_chain_of_64_wins_as_a_whole(bench: Bench) {
    make_head(&bench, &head(1), 0).await;
    let outcome = bench.commit(chain(&head(1), 0)).await;
    assert!(outcome.outcomes.iter().all(is_won));
    let cell = bench.cell(&head(1)).await.unwrap();
    assert_eq!((cell.version, cell.position()), (CHAIN, Position(CHAIN)));
    let more = bench.commit(chain(&head(1), CHAIN)).await;
    assert!(more.outcomes.iter().all(is_won), "the next chain goes on from there");
}

async fn a_chain_whose_first_batch_loses_is_lost(bench: Bench) {
    make_head(&bench, &head(1), 1_000).await;
    let outcome = bench.commit(chain(&head(1), 0)).await;
    for (number, outcome) in outcome.outcomes.iter().enumerate() {
        let losing = Losing::Fail(if number == 0 { "first" } else { "later" });
        assert_eq!(*outcome, Outcome::Lost { assertion: 0, losing });
    }
    assert_eq!((outcome.position, bench.position().await), (Position::ZERO, Position::ZERO));
    assert_eq!(bench.cell(&head(1)).await.unwrap().version, 1_000);
    assert!(bench.keys(&ScanRange::scope(super::bench::SCAN, 1)).await.is_empty(), "nothing of them is written");
    assert!(bench.journal().await.is_empty());
}

async fn a_chain_whose_middle_batch_loses_is_lost_from_there(bench: Bench) {
    const MIDDLE: usize = 20;
    bench.win(put(&point(1))).await;
    make_head(&bench, &head(1), 0).await;
    let mut batches = chain(&head(1), 0);
    batches[MIDDLE].expect(point(1), Expect::Absent, Losing::Done(point(1)));
    let outcome = bench.commit(batches).await;
    assert!(outcome.outcomes[..MIDDLE].iter().all(is_won));
    assert_eq!(outcome.outcomes[MIDDLE], Outcome::Lost { assertion: 1, losing: Losing::Done(point(1)) });
    for outcome in &outcome.outcomes[MIDDLE + 1..] {
        assert_eq!(*outcome, Outcome::Lost { assertion: 0, losing: Losing::Fail("later") });
    }
    let middle = MIDDLE as u64;
    assert_eq!((outcome.position, bench.position().await), (Position(middle), Position(middle)));
    assert_eq!(bench.cell(&head(1)).await.unwrap().version, middle);
    let links: Vec<Key> = (0..middle).map(|number| row(1_000 + number)).collect();
    assert_eq!(bench.keys(&ScanRange::scope(super::bench::SCAN, 1)).await, links);
    assert_eq!(bench.journal().await.len(), MIDDLE);
}

async fn a_chain_next_to_a_lost_one_wins(bench: Bench) {
    make_head(&bench, &head(1), 1_000).await;
    make_head(&bench, &head(2), 0).await;
    let (lost, kept) = (chain(&head(1), 0), chain(&head(2), 0));
    let mixed = lost.into_iter().zip(kept).flat_map(|(lost, kept)| [lost, kept]).collect();
    let outcomes = bench.commit(mixed).await.outcomes;
    for (number, pair) in (1..).zip(outcomes.chunks(2)) {
        assert!(!is_won(&pair[0]));
        assert_eq!(won(&pair[1]), [Position(number)]);
    }
    assert_eq!(bench.cell(&head(2)).await.unwrap().version, CHAIN);
}

/// Whether `expect` on `key` holds in the batch that follows `first` in one group.
async fn holds_after(bench: &Bench, first: Batch, key: &Key, expect: Expect) -> bool {
    let mut second = Batch::new();
    second.expect(key.clone(), expect, Losing::Rebuild);
    let outcomes = bench.commit(vec![first, second]).await.outcomes;
    assert!(is_won(&outcomes[0]));
    is_won(&outcomes[1])
}

async fn an_assertion_sees_an_earlier_put(bench: Bench) {
    let mut first = Batch::new();
    first.put_with(point(1), 4, &[], "");
    assert!(!holds_after(&bench, first.clone(), &point(1), Expect::Absent).await);
    first.put_with(point(1), 5, &[], "");
    assert!(holds_after(&bench, first.clone(), &point(1), Expect::Version(5)).await);
    first.put_with(point(1), 6, &[], "");
    assert!(!holds_after(&bench, first, &point(1), Expect::Version(5)).await, "the stored version is the old one");
}

async fn an_assertion_sees_an_earlier_delete(bench: Bench) {
    make_head(&bench, &point(1), 5).await;
    let mut first = Batch::new();
    first.delete(point(1));
    assert!(holds_after(&bench, first.clone(), &point(1), Expect::Absent).await);
    make_head(&bench, &point(1), 5).await;
    assert!(!holds_after(&bench, first, &point(1), Expect::Version(5)).await);
}

async fn an_assertion_sees_an_earlier_range_delete(bench: Bench) {
    let range = |from, to| {
        let mut first = Batch::new();
        first.delete_range(row(from), row(to));
        first
    };
    for (from, to, expect, holds) in [
        (3, 6, Expect::Version(5), false),
        (3, 6, Expect::Absent, true),
        (5, 6, Expect::Absent, true),
        (3, 5, Expect::Version(5), true),
        (3, 5, Expect::Absent, false),
        (6, 9, Expect::Version(5), true),
    ] {
        make_head(&bench, &row(5), 5).await;
        assert_eq!(holds_after(&bench, range(from, to), &row(5), expect).await, holds, "{from}..{to} {expect:?}");
    }
}

async fn an_assertion_sees_a_put_after_a_range_delete(bench: Bench) {
    make_head(&bench, &row(5), 5).await;
    let mut first = Batch::new();
    first.put_with(row(5), 6, &[], "").delete_range(row(0), row(9)).put_with(row(5), 7, &[], "");
    assert!(holds_after(&bench, first, &row(5), Expect::Version(7)).await);
    let mut first = Batch::new();
    first.put_with(row(5), 8, &[], "").delete_range(row(0), row(9));
    assert!(holds_after(&bench, first, &row(5), Expect::Absent).await);
    assert!(!bench.exists(&row(5)).await);
}

async fn an_assertion_sees_rows_whose_keys_have_slots(bench: Bench) {
    let mut first = Batch::new();
    let slot = first.journal(entry(1));
    first.put_with(super::bench::in_scope(1).slot(slot).template(), 9, &[], "");
    assert!(holds_after(&bench, first, &row(1), Expect::Version(9)).await, "position 1 stands in the key");
}

async fn an_assertion_sees_nothing_of_a_loser(bench: Bench) {
    make_head(&bench, &point(1), 5).await;
    let mut loser = Batch::new();
    loser.expect(point(1), Expect::Absent, Losing::Rebuild);
    loser.put(point(2), "").put_with(point(1), 6, &[], "");
    let mut next = Batch::new();
    next.expect(point(2), Expect::Absent, Losing::Rebuild).expect(point(1), Expect::Version(5), Losing::Rebuild);
    let outcomes = bench.commit(vec![loser, next]).await.outcomes;
    assert!(!is_won(&outcomes[0]) && is_won(&outcomes[1]));
}

async fn a_batch_does_not_see_its_own_writes(bench: Bench) {
    let mut batch = Batch::new();
    batch.put(point(1), "");
    batch.expect(point(1), Expect::Absent, Losing::Rebuild);
    assert!(is_won(&bench.commit(vec![batch]).await.outcomes[0]), "assertions are about what was there before");
}

async fn winners_and_losers_take_turns(bench: Bench) {
    bench.win(put(&point(0))).await;
    let batch = |number: u64| {
        let mut batch = put(&row(number));
        batch.journal(entry(1));
        let expect = if number.is_multiple_of(3) { Expect::Version(0) } else { Expect::Absent };
        batch.expect(point(0), expect, Losing::Rebuild);
        batch
    };
    let outcome = bench.commit((0..100).map(batch).collect()).await;
    for (number, outcome) in outcome.outcomes.iter().enumerate() {
        assert_eq!(is_won(outcome), number % 3 == 0);
    }
    let expected: Vec<Key> = (0..100).step_by(3).map(row).collect();
    assert_eq!(bench.keys(&ScanRange::new(row(0), row(100))).await, expected);
    let positions: Vec<Position> = outcome.outcomes.iter().filter(|outcome| is_won(outcome)).flat_map(won).collect();
    assert_eq!(positions, (1..=34).map(Position).collect::<Vec<_>>(), "losers leave no gap");
    assert_eq!(outcome.position, Position(34));
}

async fn one_invalid_batch_takes_its_group_along(bench: Bench) {
    let mut poisoned = put(&point(2));
    poisoned.put(super::bench::in_scope(1).slot(0).template(), "there is no journal entry 0");
    let mut good = put(&point(1));
    good.journal(entry(1));
    let error = bench.try_commit(vec![good.clone(), poisoned, put(&point(3))]).await.unwrap_err();
    assert!(matches!(error, EngineError::Invalid(InvalidBatch::Slot { entry: 0, entries: 0 })), "{error}");
    for number in 1..=3 {
        assert!(!bench.exists(&point(number)).await, "row {number}");
    }
    assert_eq!(bench.position().await, Position::ZERO);
    assert_eq!(bench.win(good).await, [Position(1)], "the others can be committed without it");
}
