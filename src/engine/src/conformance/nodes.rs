//! Two nodes on one installation: what one does is so for the other.

use std::sync::Arc;

use super::{
    Bench,
    bench::{entry, group_of, is_won, payload_of, point, put, won},
};
use crate::{
    Batch, Engine, EngineError, Expect, Group, GroupOutcome, JournalRow, LeaseRequest, Losing, PageLimit, Position,
    ScanRange, Writer, system,
};

cases!("nodes":
    of_two_nodes_racing_on_absent_one_wins,
    of_two_nodes_racing_on_a_version_one_wins,
    what_one_node_commits_the_other_reads,
    two_nodes_write_one_journal_without_holes,
    a_lease_is_one_for_all_nodes,
    an_epoch_raised_by_one_node_is_that_of_all,
);

/// Commits on a task of its own, once more when the engine is busy.
fn committing(engine: &Arc<dyn Engine>, group: Group) -> tokio::task::JoinHandle<GroupOutcome> {
    let engine = Arc::clone(engine);
    tokio::spawn(async move {
        loop {
            match engine.commit_group(group.clone()).await {
                Ok(outcome) => return outcome,
                Err(EngineError::Busy(_)) => tokio::task::yield_now().await,
                Err(other) => unreachable!("{other}"),
            }
        }
    })
}

async fn of_two_nodes_racing_on_absent_one_wins(bench: Bench) {
    let nodes = [bench.engine(), bench.second().await];
    for number in 0..50 {
        let racing: Vec<_> = (0..2)
            .map(|node| {
                let mut batch = Batch::new();
                batch.expect(point(number), Expect::Absent, Losing::Done(point(number)));
                batch.put(point(number), vec![node]);
                batch.journal(entry(1));
                committing(&nodes[usize::from(node)], bench.group(vec![batch]))
            })
            .collect();
        let mut winners = Vec::new();
        for (node, outcome) in (0..).zip(racing) {
            winners.extend(is_won(&outcome.await.unwrap().outcomes[0]).then_some(node));
        }
        let stored = bench.cell(&point(number)).await.unwrap().payload;
        assert_eq!(winners, stored, "round {number}: the winner's value stands, and there is one");
    }
    assert_eq!(bench.position().await, Position(50));
}

async fn of_two_nodes_racing_on_a_version_one_wins(bench: Bench) {
    let nodes = [bench.engine(), bench.second().await];
    bench.win(put(&point(1))).await;
    let mut version = 0;
    while version < 50 {
        let next = || {
            let mut batch = Batch::new();
            batch.expect(point(1), Expect::Version(version), Losing::Rebuild);
            batch.put_with(point(1), version + 1, &[], "");
            bench.group(vec![batch])
        };
        let racing: Vec<_> = nodes.iter().map(|node| committing(node, next())).collect();
        let mut winners = 0;
        for outcome in racing {
            winners += u64::from(is_won(&outcome.await.unwrap().outcomes[0]));
        }
        assert_eq!(winners, 1);
        version += 1;
    }
    assert_eq!(bench.cell(&point(1)).await.unwrap().version, 50);
}

async fn what_one_node_commits_the_other_reads(bench: Bench) {
    let nodes = [bench.engine(), bench.second().await];
    for number in 0..100 {
        let (writes, reads) = if number % 2 == 0 { (0, 1) } else { (1, 0) };
        let mut batch = put(&point(number));
        batch.journal(entry(1));
        let at = nodes[writes].commit_group(bench.group(vec![batch])).await.unwrap().position;
        let found = nodes[reads].get_many(at, &[point(number)]).await.unwrap();
        assert_eq!(found[0].as_ref().unwrap().payload, payload_of(&point(number)));
        assert_eq!(nodes[reads].position().await.unwrap(), at);
    }
}

async fn two_nodes_write_one_journal_without_holes(bench: Bench) {
    const GROUPS: u64 = 40;
    let nodes = [bench.engine(), bench.second().await];
    let mut told = Vec::new();
    for (incarnation, node) in (0..).zip(&nodes) {
        for group in 0..GROUPS {
            let writer = Writer { incarnation, group };
            let mut batch = Batch::new();
            batch.journal.extend((0..3).map(entry));
            told.push((writer, committing(node, group_of(writer, vec![batch]))));
        }
    }
    let mut expected = Vec::new();
    for (writer, outcome) in told {
        let positions = won(&outcome.await.unwrap().outcomes[0]);
        expected.extend(positions.into_iter().map(|position| (position, writer)));
    }
    expected.sort_unstable_by_key(|(position, _)| *position);
    for node in &nodes {
        let range = ScanRange::scope(system::JOURNAL, 0);
        let page = node.scan(Position(2 * GROUPS * 3), &range, PageLimit::default()).await.unwrap();
        let rows = page.rows.iter().map(|(key, cell)| JournalRow::read(key, cell).unwrap());
        let rows: Vec<(Position, Writer)> = rows.map(|row| (row.position, row.writer)).collect();
        assert_eq!(rows, expected);
    }
    assert!((1..).zip(&expected).all(|(position, row)| row.0 == Position(position)));
}

async fn a_lease_is_one_for_all_nodes(bench: Bench) {
    let nodes = [bench.engine(), bench.second().await];
    let ask = |owner: u64| LeaseRequest { name: "sealer".into(), owner, ttl_ms: 10_000 };
    let held = nodes[0].lease(ask(1)).await.unwrap().unwrap();
    assert_eq!(nodes[1].lease(ask(2)).await.unwrap(), None);
    bench.clock.advance_ms(10_000);
    let taken = nodes[1].lease(ask(2)).await.unwrap().unwrap();
    assert!(taken.fencing > held.fencing);
    let mut late = put(&point(1));
    late.expect(system::lease_key("sealer"), Expect::Version(held.fencing), Losing::Rebuild);
    let outcome = nodes[0].commit_group(bench.group(vec![late])).await.unwrap();
    assert!(!is_won(&outcome.outcomes[0]) && !bench.exists(&point(1)).await);
}

async fn an_epoch_raised_by_one_node_is_that_of_all(bench: Bench) {
    let nodes = [bench.engine(), bench.second().await];
    let mut change = Batch::new();
    change.expect(system::epoch_key(), Expect::Absent, Losing::Rebuild);
    change.put_with(system::epoch_key(), 3, &[], "");
    nodes[0].commit_group(bench.group(vec![change])).await.unwrap();
    let answer = nodes[1].commit_group(bench.group(vec![put(&point(1))])).await;
    assert_eq!(answer, Err(EngineError::Conflict { expected: 0, actual: 3 }));
    let group = Group { epoch: 3, ..bench.group(vec![put(&point(1))]) };
    assert!(is_won(&nodes[1].commit_group(group).await.unwrap().outcomes[0]));
}
