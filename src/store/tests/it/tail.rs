//! The tail: order, wake-ups, lost hints, failing reads.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use wardstead_limits::store as limits;
use wardstead_store::{Audience, Changes, StoreError, Woken};

use crate::support::{membership, node, note, on, room_event};

/// Room 1: users 10 and 11; room 2: user 11.
struct Fixed;

#[async_trait]
impl Audience for Fixed {
    async fn local_members(&self, room: u64) -> Result<Vec<u64>, StoreError> {
        Ok(if room == 1 { vec![10, 11] } else { vec![11] })
    }

    async fn rooms_of(&self, user: u64) -> Result<Vec<u64>, StoreError> {
        Ok(if user == 10 { vec![1] } else { vec![1, 2] })
    }
}

async fn quiet(listener: &mut wardstead_store::Listener) -> bool {
    tokio::time::timeout(Duration::from_millis(1), listener.woken()).await.is_err()
}

#[tokio::test(start_paused = true)]
async fn a_commit_wakes_those_whom_it_concerns() {
    let node = node().await;
    node.store.set_audience(Arc::new(Fixed));
    let (mut ten, mut eleven) = (node.store.listen(10), node.store.listen(11));
    node.store.commit(note(2, "a", room_event(2))).await.unwrap();
    assert_eq!(eleven.woken().await, Woken::News);
    assert!(quiet(&mut ten).await);
    node.store.commit(note(1, "b", membership(10, 1))).await.unwrap();
    assert_eq!(ten.woken().await, Woken::News);
    assert!(quiet(&mut eleven).await);
}

/// Whoever is woken finds the tail where the news is.
#[tokio::test(start_paused = true)]
async fn the_position_is_published_before_the_wake_up() {
    let node = node().await;
    node.store.set_audience(Arc::new(Fixed));
    for n in 0..50 {
        let mut listener = node.store.listen(10);
        let positions = node.store.commit(note(1, &n.to_string(), room_event(1))).await.unwrap();
        listener.woken().await;
        assert!(node.store.position() >= positions[0]);
    }
}

/// Another node's commits give no hint here: polling finds them within one interval (promise P5).
#[tokio::test(start_paused = true)]
async fn without_any_hint_news_come_within_one_poll_interval() {
    let one = node().await;
    let two = on(one.engine.clone(), one.clock.clone(), 2).await;
    two.store.set_audience(Arc::new(Fixed));
    let mut listener = two.store.listen(10);
    one.store.commit(note(1, "a", room_event(1))).await.unwrap();
    let woken = tokio::time::timeout(Duration::from_millis(limits::TAIL_POLL_MS + 5), listener.woken()).await;
    assert_eq!(woken, Ok(Woken::News));
}

/// Who asks for everything committed so far gets it, also from another node and without waiting for a poll.
#[tokio::test(start_paused = true)]
async fn caught_up_reaches_every_visible_commit() {
    let one = node().await;
    let two = on(one.engine.clone(), one.clock.clone(), 2).await;
    for n in 0..20 {
        let positions = one.store.commit(note(1, &n.to_string(), room_event(1))).await.unwrap();
        assert!(one.store.caught_up().await.unwrap() >= positions[0]);
        assert!(two.store.caught_up().await.unwrap() >= positions[0]);
    }
    let since = one.store.position();
    one.store.commit(note(1, "x", room_event(7))).await.unwrap();
    two.store.caught_up().await.unwrap();
    assert_eq!(two.store.rooms_since(since), Changes::Rooms(vec![7]));
    assert_eq!(two.store.user_changed(10, since), Some(false));
}

/// A journal that cannot be read holds the position still: nothing is skipped when it can be read again.
#[tokio::test(start_paused = true)]
async fn a_failed_read_skips_nothing() {
    let node = node().await;
    node.store.set_audience(Arc::new(Fixed));
    let since = node.store.caught_up().await.unwrap();
    let mut listener = node.store.listen(10);
    node.engine.faults().fail_journal_scan(1);
    let positions = node.store.commit(note(1, "a", room_event(1))).await.unwrap();
    assert!(node.store.position() < positions[0]);
    assert_eq!(listener.woken().await, Woken::News);
    assert!(node.store.position() >= positions[0]);
    assert_eq!(node.store.rooms_since(since), Changes::Rooms(vec![1]));
}

#[tokio::test]
async fn closing_ends_every_wait() {
    let node = node().await;
    let mut listener = node.store.listen(10);
    let store = node.store.clone();
    let closing = tokio::spawn(async move { store.close().await });
    assert_eq!(listener.woken().await, Woken::Ended);
    closing.await.unwrap();
}
