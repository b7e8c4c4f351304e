//! A commit that does not come back: nobody waits with it, nothing is committed twice, everything goes on afterwards.

use std::time::Duration;

use tokio::time::timeout;
use wardstead_engine::{Engine as _, EngineError};
use wardstead_engine_memory::CommitFault;
use wardstead_limits::store as limits;
use wardstead_store::StoreError;

use crate::support::{NOTES, node, note, note_key, room_event};

fn unknown(error: &StoreError) -> bool {
    matches!(error, StoreError::Engine(EngineError::Unknown(_)))
}

fn not_written(error: &StoreError) -> bool {
    matches!(error, StoreError::Engine(EngineError::Unavailable(_)))
}

#[tokio::test(start_paused = true)]
async fn callers_are_answered_although_the_commit_does_not_come_back() {
    let node = node().await;
    let faults = node.engine.faults();
    faults.stall_commits();
    let sent = node.store.submit(note(1, "sent", room_event(1))).unwrap();
    faults.wait_stalled(1).await;
    let queued = node.store.submit(note(1, "queued", room_event(1))).unwrap();
    assert!(!node.store.status().stalled);
    let limit = Duration::from_millis(node.engine.limits().stall_ms + 1);
    let error = timeout(limit, sent).await.expect("within the engine's limit").unwrap_err();
    assert!(unknown(&error) && error.retryable(), "{error}");
    assert!(not_written(&queued.await.unwrap_err()), "what was not sent is refused for certain");
    assert!(node.store.status().stalled);
    let late = node.store.submit(note(1, "late", room_event(1))).unwrap();
    let at_once = timeout(Duration::from_millis(1), late).await.expect("at once");
    assert!(not_written(&at_once.unwrap_err()));

    faults.release_commits();
    node.store.commit(note(1, "after", room_event(1))).await.unwrap();
    assert!(!node.store.status().stalled);
    for (name, there) in [("sent", true), ("queued", false), ("late", false), ("after", true)] {
        assert_eq!(node.store.get(&NOTES, &note_key(1, name)).await.unwrap().is_some(), there, "{name}");
    }
}

/// The outcome is unknown, and so are all searches for it at first. Nobody submits anything meanwhile.
#[tokio::test(start_paused = true)]
async fn an_unknown_outcome_is_found_without_another_commit() {
    let node = node().await;
    let faults = node.engine.faults();
    faults.fail_commit(1, CommitFault::UnknownAfter);
    for n in 0..limits::UNKNOWN_ATTEMPTS as u64 + 2 {
        faults.fail_commit(2 + n, CommitFault::UnknownBefore);
    }
    let error = node.store.commit(note(1, "a", room_event(1))).await.unwrap_err();
    assert!(unknown(&error), "{error}");
    assert!(node.store.status().stalled);
    while node.store.status().stalled {
        tokio::time::sleep(Duration::from_millis(limits::UNKNOWN_RETRY_MS)).await;
    }
    assert!(node.store.get(&NOTES, &note_key(1, "a")).await.unwrap().is_some());
}

/// The search itself does not come back: the lock that it waits for is held by the commit in question.
#[tokio::test(start_paused = true)]
async fn callers_are_answered_although_the_search_does_not_come_back() {
    let node = node().await;
    let faults = node.engine.faults();
    faults.fail_commit(1, CommitFault::UnknownAfter);
    faults.fail_commit(2, CommitFault::UnknownBefore);
    let sent = node.store.submit(note(1, "sent", room_event(1))).unwrap();
    while !node.store.status().stalled {
        tokio::task::yield_now().await;
    }
    // The first search has failed; the next finds the gate closed.
    faults.stall_commits();
    faults.wait_stalled(1).await;
    assert!(unknown(&sent.await.unwrap_err()));
    let behind = node.store.commit(note(1, "behind", room_event(1))).await.unwrap_err();
    assert!(not_written(&behind), "{behind}");
    faults.release_commits();
    node.store.commit(note(1, "after", room_event(1))).await.unwrap();
    assert!(node.store.get(&NOTES, &note_key(1, "sent")).await.unwrap().is_some());
}
