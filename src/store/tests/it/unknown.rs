//! Commits of unknown outcome are looked up in the journal before anything else is committed.

use std::time::Duration;

use wardstead_engine::EngineError;
use wardstead_engine_memory::CommitFault;
use wardstead_store::StoreError;

use crate::support::{NOTES, link, node, note, note_key, on, room_event};

#[tokio::test]
async fn a_commit_that_took_effect_is_told_so() {
    let node = node().await;
    node.engine.faults().fail_commit(1, CommitFault::UnknownAfter);
    let positions = node.store.commit(note(1, "a", room_event(1))).await.unwrap();
    let found = node.store.get(&NOTES, &note_key(1, "a")).await.unwrap().unwrap();
    assert_eq!(positions, [found.position()]);
}

#[tokio::test]
async fn a_commit_that_did_not_take_effect_is_told_so() {
    let node = node().await;
    node.engine.faults().fail_commit(1, CommitFault::UnknownBefore);
    let refused = node.store.commit(note(1, "a", room_event(1))).await.unwrap_err();
    assert!(matches!(refused, StoreError::Engine(EngineError::Unavailable(_))) && refused.retryable());
    assert!(node.store.get(&NOTES, &note_key(1, "a")).await.unwrap().is_none());
    node.store.commit(note(1, "a", room_event(1))).await.unwrap();
}

/// In one group: winners and losers of an unknown commit are told apart by the batch number in their journal rows.
#[tokio::test]
async fn winners_and_losers_are_told_apart() {
    let node = node().await;
    let (faults, head) = (node.engine.faults(), note_key(9, "head"));
    faults.fail_commit(2, CommitFault::UnknownAfter);
    faults.stall_commits();
    let first = node.store.submit(note(1, "first", room_event(9))).unwrap();
    faults.wait_stalled(1).await;
    let submit = |name: &str, n| node.store.submit(link(note(9, name, room_event(9)), &head, n)).unwrap();
    let group = [submit("a", 0), submit("b", 5), submit("c", 1)];
    faults.release_commits();
    first.await.unwrap();
    let mut told = Vec::new();
    for submission in group {
        told.push(submission.await.is_ok());
    }
    assert_eq!(told, [true, false, true]);
    for (name, there) in [("a", true), ("b", false), ("c", true)] {
        assert_eq!(node.store.get(&NOTES, &note_key(9, name)).await.unwrap().is_some(), there, "{name}");
    }
}

/// The chain behind an unknown commit is not committed on a guess.
#[tokio::test]
async fn what_follows_stands_on_the_truth() {
    let node = node().await;
    let head = note_key(9, "head");
    for (fault, follows) in [(CommitFault::UnknownAfter, true), (CommitFault::UnknownBefore, false)] {
        let n = node.store.get(&NOTES, &head).await.unwrap().map_or(0, |found| found.version);
        node.engine.faults().fail_commit(1, fault);
        let unknown = node.store.submit(link(note(9, "x", room_event(9)), &head, n)).unwrap();
        let next = node.store.submit(link(note(9, "y", room_event(9)), &head, n + 1)).unwrap();
        assert_eq!(unknown.await.is_ok(), follows);
        assert_eq!(next.await.is_ok(), follows);
    }
}

/// Other nodes commit while a node does not know what became of its group: their rows lie between its own and the newest.
#[tokio::test(start_paused = true)]
async fn rows_of_other_nodes_lie_in_between() {
    for fault in [CommitFault::UnknownAfter, CommitFault::UnknownBefore] {
        let one = node().await;
        let two = on(one.engine.clone(), one.clock.clone(), 2).await;
        for n in 0..5 {
            two.store.commit(note(2, &format!("before {n}"), room_event(2))).await.unwrap();
        }
        let faults = one.engine.faults();
        faults.fail_commit(1, fault);
        // The search fails at first, so that others get in between.
        faults.fail_journal_scan(1);
        faults.fail_journal_scan(2);
        let unknown = one.store.submit(note(1, "a", room_event(1))).unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
        for n in 0..5 {
            two.store.commit(note(2, &format!("after {n}"), room_event(2))).await.unwrap();
        }
        let next = one.store.commit(note(1, "b", room_event(1))).await.unwrap();
        let there = one.store.get(&NOTES, &note_key(1, "a")).await.unwrap();
        match unknown.await {
            Ok(positions) => assert_eq!(positions, [there.unwrap().position()]),
            Err(error) => assert!(there.is_none() && fault == CommitFault::UnknownBefore, "{error}"),
        }
        assert_eq!(next[0], one.store.caught_up().await.unwrap());
    }
}
