//! The epoch: a group that was built in another one is refused as a whole.

use super::{
    Bench,
    bench::{entry, payload_of, point, put},
};
use crate::{Batch, EngineError, Expect, Group, GroupOutcome, Losing, Position, system};

cases!("epoch":
    a_new_installation_is_in_epoch_zero,
    a_group_of_another_epoch_writes_nothing,
    after_a_change_of_epoch_only_groups_of_the_new_one_are_taken,
    of_two_changes_to_one_epoch_one_wins,
    a_change_may_jump,
    it_outlives_the_process,
);

async fn commit_in(bench: &Bench, epoch: u64, batch: Batch) -> Result<GroupOutcome, EngineError> {
    bench.engine().commit_group(Group { epoch, ..bench.group(vec![batch]) }).await
}

fn change(from: u64, to: u64, not_before: u64) -> Batch {
    let mut batch = Batch::new();
    let expect = if from == 0 { Expect::Absent } else { Expect::Version(from) };
    batch.expect(system::epoch_key(), expect, Losing::Rebuild);
    batch.put_with(system::epoch_key(), to, &[], "the last position of the epoch before");
    batch.journal(entry(1));
    batch.not_before = Some(Position(not_before));
    batch
}

fn is_conflict(answer: &Result<GroupOutcome, EngineError>, expected: u64, actual: u64) -> bool {
    *answer == Err(EngineError::Conflict { expected, actual })
}

async fn a_new_installation_is_in_epoch_zero(bench: Bench) {
    assert!(commit_in(&bench, 0, put(&point(1))).await.is_ok());
}

async fn a_group_of_another_epoch_writes_nothing(bench: Bench) {
    let mut batch = put(&point(1));
    batch.journal(entry(1));
    for epoch in [1, u64::MAX] {
        assert!(is_conflict(&commit_in(&bench, epoch, batch.clone()).await, epoch, 0));
    }
    assert!(!bench.exists(&point(1)).await && bench.journal().await.is_empty());
    assert_eq!(bench.position().await, Position::ZERO);
}

async fn after_a_change_of_epoch_only_groups_of_the_new_one_are_taken(bench: Bench) {
    commit_in(&bench, 0, change(0, 7, 0)).await.unwrap();
    assert!(is_conflict(&commit_in(&bench, 0, put(&point(1))).await, 0, 7));
    assert!(is_conflict(&commit_in(&bench, 8, put(&point(1))).await, 8, 7));
    assert!(!bench.exists(&point(1)).await);
    commit_in(&bench, 7, put(&point(1))).await.unwrap();
    assert_eq!(bench.cell(&point(1)).await.unwrap().payload, payload_of(&point(1)));
    commit_in(&bench, 7, change(7, 8, 0)).await.unwrap();
    assert!(is_conflict(&commit_in(&bench, 7, put(&point(2))).await, 7, 8));
}

async fn of_two_changes_to_one_epoch_one_wins(bench: Bench) {
    let changing: Vec<_> = (1..=2)
        .map(|to| {
            let (engine, group) = (bench.engine(), bench.group(vec![change(0, to, 0)]));
            tokio::spawn(async move { engine.commit_group(group).await.is_ok() })
        })
        .collect();
    let mut won = 0;
    for changed in changing {
        won += usize::from(changed.await.unwrap());
    }
    assert_eq!((won, bench.position().await), (1, Position(1)));
}

async fn a_change_may_jump(bench: Bench) {
    let outcome = commit_in(&bench, 0, change(0, 1, 1_000_000)).await.unwrap();
    assert_eq!((outcome.position, bench.position().await), (Position(1_000_000), Position(1_000_000)));
    let mut batch = Batch::new();
    batch.journal(entry(2));
    assert_eq!(commit_in(&bench, 1, batch).await.unwrap().position, Position(1_000_001));
}

async fn it_outlives_the_process(mut bench: Bench) {
    commit_in(&bench, 0, change(0, 3, 500)).await.unwrap();
    bench.reopen().await;
    assert!(is_conflict(&commit_in(&bench, 0, put(&point(1))).await, 0, 3));
    assert!(commit_in(&bench, 3, put(&point(1))).await.is_ok());
    assert_eq!(bench.position().await, Position(500));
}
