//! The committer: groups, order, poisoned batches, `Soon`, shutting down.

use wardstead_engine::{Batch, EngineError, Losing, Position, Urgency};
use wardstead_limits::store as limits;
use wardstead_store::StoreError;

use crate::support::{NOTES, link, node, note, note_key, room_event};

#[tokio::test]
async fn while_a_group_is_written_the_next_one_fills() {
    let node = node().await;
    let faults = node.engine.faults();
    let before = node.counts.read();
    faults.stall_commits();
    let first = node.store.submit(note(1, "first", room_event(1))).unwrap();
    faults.wait_stalled(1).await;
    let rest: Vec<_> =
        (0..100).map(|n| node.store.submit(note(1, &format!("{n:03}"), room_event(1))).unwrap()).collect();
    faults.release_commits();
    let first = first.await.unwrap();
    let mut last = first[0];
    for submission in rest {
        let positions = submission.await.unwrap();
        assert_eq!(positions, [last.next()], "positions follow the order of submission");
        last = positions[0];
    }
    let after = node.counts.read();
    assert_eq!((after.groups - before.groups, after.batches - before.batches), (2, 101));
}

/// Four links are queued; the second loses. Those after it stand on it and must lose too.
#[tokio::test]
async fn a_chain_loses_from_the_first_loser_on() {
    let node = node().await;
    let head = note_key(9, "head");
    let faults = node.engine.faults();
    faults.stall_commits();
    let submit = |name: &str, n| node.store.submit(link(note(9, name, room_event(9)), &head, n)).unwrap();
    let chain = [submit("a", 0), submit("b", 7), submit("c", 8), submit("d", 9)];
    faults.release_commits();
    let mut answers = Vec::new();
    for submission in chain {
        answers.push(submission.await);
    }
    assert!(answers[0].is_ok());
    for answer in &answers[1..] {
        assert_eq!(*answer, Err(StoreError::Lost(Losing::Rebuild)));
    }
    for (name, there) in [("a", true), ("b", false), ("c", false), ("d", false)] {
        assert_eq!(node.store.get(&NOTES, &note_key(9, name)).await.unwrap().is_some(), there, "{name}");
    }
}

#[tokio::test]
async fn a_poisoned_batch_fails_alone() {
    let node = node().await;
    let faults = node.engine.faults();
    faults.poison(note_key(1, "050"));
    faults.stall_commits();
    let all: Vec<_> =
        (0..100).map(|n| node.store.submit(note(1, &format!("{n:03}"), room_event(1))).unwrap()).collect();
    faults.release_commits();
    for (n, submission) in all.into_iter().enumerate() {
        let answer = submission.await;
        if n == 50 {
            assert!(matches!(answer, Err(StoreError::Engine(EngineError::Unavailable(_)))), "{answer:?}");
        } else {
            assert!(answer.is_ok(), "{n}: {answer:?}");
        }
        let row = node.store.get(&NOTES, &note_key(1, &format!("{n:03}"))).await.unwrap();
        assert_eq!(row.is_some(), n != 50, "{n}");
    }
}

#[tokio::test]
async fn an_invalid_batch_never_joins_a_group() {
    let node = node().await;
    let before = node.counts.read();
    let mut batch = Batch::new();
    batch.put(NOTES.key(1).slot(3).template(), vec![1]);
    assert!(matches!(node.store.submit(batch), Err(StoreError::Engine(EngineError::Invalid(_)))));
    assert_eq!(node.counts.read().groups, before.groups);
}

#[tokio::test(start_paused = true)]
async fn soon_rides_along_or_goes_after_half_a_second() {
    let node = node().await;
    let soon = |name: &str| Batch { urgency: Urgency::Soon, ..note(1, name, room_event(1)) };
    let before = node.counts.read();
    let mut riding = node.store.submit(soon("riding")).unwrap();
    let early = tokio::time::timeout(std::time::Duration::from_millis(limits::SOON_MS - 1), &mut riding).await;
    assert!(early.is_err(), "nobody waits for it, so it causes no group of its own yet");
    let now = node.store.submit(note(1, "now", room_event(1))).unwrap();
    let (riding, now) = (riding.await.unwrap(), now.await.unwrap());
    assert_eq!(riding[0].next(), now[0], "in the order of submission");
    assert_eq!(node.counts.read().groups - before.groups, 1);
    node.store.submit(soon("alone")).unwrap().await.unwrap();
    assert_eq!(node.counts.read().groups - before.groups, 2);
}

#[tokio::test]
async fn a_full_queue_says_busy_before_anything_is_promised() {
    let node = node().await;
    let faults = node.engine.faults();
    faults.stall_commits();
    let first = node.store.submit(note(1, "first", room_event(1))).unwrap();
    faults.wait_stalled(1).await;
    let mut waiting = Vec::new();
    let refused = loop {
        match node.store.submit(note(1, "more", room_event(1))) {
            Ok(submission) => waiting.push(submission),
            Err(error) => break error,
        }
        assert!(waiting.len() <= limits::COMMIT_QUEUE_BATCHES);
    };
    assert!(matches!(refused, StoreError::Engine(EngineError::Busy(_))) && refused.retryable());
    assert_eq!(waiting.len(), limits::COMMIT_QUEUE_BATCHES);
    faults.release_commits();
    first.await.unwrap();
    for submission in waiting {
        submission.await.unwrap();
    }
}

#[tokio::test]
async fn closing_finishes_what_waits_and_refuses_the_rest() {
    let node = node().await;
    let faults = node.engine.faults();
    faults.stall_commits();
    let soon = Batch { urgency: Urgency::Soon, ..note(1, "soon", room_event(1)) };
    let waiting = [node.store.submit(note(1, "now", room_event(1))).unwrap(), node.store.submit(soon).unwrap()];
    let store = node.store.clone();
    let closing = tokio::spawn(async move { store.close().await });
    faults.wait_stalled(1).await;
    faults.release_commits();
    closing.await.unwrap();
    for submission in waiting {
        submission.await.unwrap();
    }
    assert!(matches!(node.store.submit(note(1, "late", room_event(1))), Err(StoreError::Closed)));
    assert!(node.store.get(&NOTES, &note_key(1, "soon")).await.unwrap().is_some());
}

/// Whoever gives up waiting does not stop the commit.
#[tokio::test]
async fn a_dropped_submission_is_committed_all_the_same() {
    let node = node().await;
    drop(node.store.submit(note(1, "dropped", room_event(1))).unwrap());
    let after = node.store.commit(note(1, "after", room_event(1))).await.unwrap();
    let found = node.store.get(&NOTES, &note_key(1, "dropped")).await.unwrap().unwrap();
    assert_eq!(Position(found.position().0 + 1), after[0]);
}
