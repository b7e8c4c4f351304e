//! Queues: in order, nothing lost, whatever is killed or handed over.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use wardstead_engine::{AccessPattern, Batch, JournalEntry, JournalRow, LocalBus, Position};
use wardstead_limits::{ManualClock, store as limits};
use wardstead_store::{Claim, Found, Handled, Queue, QueueHandler, Store, StoreError, Table, kind};

use crate::{
    crash::{LONG_MS, at_every_write, journal_of, pass},
    support::{Node, Note, node, on, on_bus},
};

const QUEUE: Queue<Note> = Queue::new(Table::new(AccessPattern::Churn, 0x0f2, "test_queue", "store tests"));

fn entry(kind: u16, lane: u64, name: &str) -> JournalEntry {
    JournalEntry { kind, scope: lane, key: name.as_bytes().to_vec().into() }
}

/// An event with the row that follows from it, in one batch.
fn event(lane: u64, name: &str) -> Batch {
    let mut batch = Batch::new();
    let at = batch.journal(entry(kind::ROOM_EVENT, lane, name));
    QUEUE.push(&mut batch, lane, at, &Note { text: name.to_owned() });
    batch
}

/// Names of the journal's entries of `kind`, in order, by lane.
fn names(journal: &[JournalRow], kind: u16) -> BTreeMap<u64, Vec<String>> {
    let mut names: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for row in journal.iter().filter(|row| row.entry.kind == kind) {
        names.entry(row.entry.scope).or_default().push(String::from_utf8(row.entry.key.to_vec()).unwrap());
    }
    names
}

/// Writes a journal entry for each row, some at a time.
struct Noting {
    at_once: usize,
    /// Whether the handler commits itself.
    itself: Option<Store>,
}

#[async_trait]
impl QueueHandler<Note> for Noting {
    async fn handle(&self, lane: u64, rows: &[Found<Note>], claim: &Claim) -> Result<Handled, StoreError> {
        let rows = &rows[..rows.len().min(self.at_once)];
        let mut batch = Batch::new();
        for found in rows {
            batch.journal(entry(kind::ROOM_STATE, lane, &found.row.text));
        }
        let Some(store) = &self.itself else { return Ok(Handled::Done { rows: rows.len(), batch }) };
        claim.take(&mut batch, rows);
        store.commit(batch).await?;
        Ok(Handled::Committed(rows.len()))
    }
}

fn noting() -> Arc<Noting> {
    Arc::new(Noting { at_once: 2, itself: None })
}

/// Remembers what it was given; writes nothing. Lanes in `stuck` are left for later.
#[derive(Default)]
struct Sending {
    sent: Mutex<Vec<(u64, String)>>,
    stuck: Mutex<Vec<u64>>,
}

#[async_trait]
impl QueueHandler<Note> for Sending {
    async fn handle(&self, lane: u64, rows: &[Found<Note>], _: &Claim) -> Result<Handled, StoreError> {
        if self.stuck.lock().unwrap().contains(&lane) {
            return Ok(Handled::Later);
        }
        self.sent.lock().unwrap().push((lane, rows[0].row.text.clone()));
        Ok(Handled::Done { rows: 1, batch: Batch::new() })
    }
}

impl Sending {
    fn sent(&self, lane: u64) -> Vec<String> {
        self.sent.lock().unwrap().iter().filter(|(of, _)| *of == lane).map(|(_, name)| name.clone()).collect()
    }
}

async fn waiting(node: &Node, lane: u64) -> usize {
    QUEUE.waiting(&node.store, lane).await.unwrap().len()
}

#[tokio::test(start_paused = true)]
async fn rows_of_a_lane_are_handled_in_order_and_at_once() {
    let node = node().await;
    let sending = Arc::new(Sending::default());
    node.store.run_queue(&QUEUE, sending.clone());
    pass(&node.clock, 1_000).await;
    for n in 0..600 {
        node.store.commit(event(n % 3, &format!("{n:03}"))).await.unwrap();
    }
    tokio::time::sleep(Duration::from_millis(1)).await;
    for lane in 0..3 {
        let all: Vec<String> = (0..600).filter(|n| n % 3 == lane).map(|n| format!("{n:03}")).collect();
        assert_eq!(sending.sent(lane), all, "no sweep was waited for");
    }
    // Nobody waits for the removal, and nothing is handled again meanwhile.
    pass(&node.clock, 2_000).await;
    assert_eq!(sending.sent.lock().unwrap().len(), 600);
    assert_eq!(waiting(&node, 0).await, 0);
    // A batch without journal entries keeps the order too.
    for number in [2, 3] {
        let mut batch = Batch::new();
        QUEUE.push_after(&mut batch, 9, node.store.position(), number, &Note { text: number.to_string() });
        node.store.commit(batch).await.unwrap();
    }
    pass(&node.clock, 100).await;
    assert_eq!(sending.sent(9), ["2", "3"]);
}

/// A lane is read from where it is done: what lies below is found at once where this node wrote it, and otherwise by the sweep.
#[tokio::test(start_paused = true)]
async fn a_lane_is_read_from_where_it_is_done() {
    let node = node().await;
    let other = on(node.engine.clone(), node.clock.clone(), 2).await;
    let sending = Arc::new(Sending::default());
    node.store.run_queue(&QUEUE, sending.clone());
    pass(&node.clock, 1_000).await;
    let below = |number: u64, name: &str| {
        let mut batch = Batch::new();
        QUEUE.push_after(&mut batch, 1, Position(1), number, &Note { text: name.to_owned() });
        batch
    };
    let commits = [event(1, "a"), event(1, "b"), below(1, "below")];
    for batch in commits {
        node.store.commit(batch).await.unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(sending.sent(1), ["a", "b", "below"]);
    node.store.commit(event(1, "c")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1)).await;
    other.store.commit(below(2, "from another")).await.unwrap();
    node.store.commit(event(1, "d")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(sending.sent(1)[3..], ["c", "d"], "what is done is not passed over");
    tokio::time::sleep(Duration::from_millis(limits::WORK_SWEEP_MS)).await;
    assert_eq!(sending.sent(1)[5..], ["from another"]);
}

/// Takes its time.
struct Slow {
    clock: ManualClock,
    handled: Mutex<Vec<String>>,
}

const SLOW_MS: u64 = 20;

#[async_trait]
impl QueueHandler<Note> for Slow {
    async fn handle(&self, _: u64, rows: &[Found<Note>], _: &Claim) -> Result<Handled, StoreError> {
        self.clock.advance_ms(SLOW_MS);
        self.handled.lock().unwrap().extend(rows.iter().map(|found| found.row.text.clone()));
        Ok(Handled::Done { rows: rows.len(), batch: Batch::new() })
    }
}

/// Of another node's commits it is known only that there are some: looking through everything is for a tenth of the time. What is
/// committed here does not wait for that.
#[tokio::test(start_paused = true)]
async fn looks_through_everything_are_far_apart() {
    let first = node().await;
    let bus = Arc::new(LocalBus::new());
    let one = on_bus(first.engine.clone(), bus.clone(), first.clock.clone(), 7).await;
    let two = on_bus(first.engine.clone(), bus, first.clock.clone(), 2).await;
    let slow = Arc::new(Slow { clock: first.clock.clone(), handled: Mutex::default() });
    one.store.run_queue(&QUEUE, slow.clone());
    pass(&first.clock, 1_050).await;
    two.store.run_queue(&QUEUE, slow.clone());
    tokio::time::sleep(Duration::from_millis(500)).await;
    let handled = || slow.handled.lock().unwrap().concat();
    for name in ["a", "b"] {
        two.store.commit(event(1, name)).await.unwrap();
        tokio::time::sleep(Duration::from_millis(10)).await;
        assert_eq!(handled(), "a", "only the first is handled at once");
    }
    one.store.commit(event(2, "c")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(handled(), "ac");
    let rest_ms = SLOW_MS * (100 - limits::WORK_LOOK_PERCENT) / limits::WORK_LOOK_PERCENT;
    tokio::time::sleep(Duration::from_millis(rest_ms - 40)).await;
    assert_eq!(handled(), "ac", "a tenth of the time is over");
    tokio::time::sleep(Duration::from_millis(30)).await;
    assert_eq!(handled(), "acb");
}

#[tokio::test(start_paused = true)]
async fn a_lane_that_stands_still_holds_up_no_other() {
    let node = node().await;
    let sending = Arc::new(Sending::default());
    sending.stuck.lock().unwrap().push(1);
    node.store.run_queue(&QUEUE, sending.clone());
    for name in ["a", "b"] {
        for lane in [1, 2] {
            node.store.commit(event(lane, name)).await.unwrap();
        }
    }
    pass(&node.clock, 2_000).await;
    assert_eq!((sending.sent(1).len(), sending.sent(2)), (0, vec!["a".to_owned(), "b".to_owned()]));
    sending.stuck.lock().unwrap().clear();
    pass(&node.clock, limits::WORK_RETRY_MOST_MS).await;
    assert_eq!(sending.sent(1), ["a", "b"]);
}

/// Cannot do anything the first time, and takes its time then.
#[derive(Default)]
struct Hesitating {
    tried: Mutex<Vec<u64>>,
    handled: Mutex<Vec<u64>>,
}

#[async_trait]
impl QueueHandler<Note> for Hesitating {
    async fn handle(&self, lane: u64, rows: &[Found<Note>], _: &Claim) -> Result<Handled, StoreError> {
        let is_first = {
            let mut tried = self.tried.lock().unwrap();
            let is_first = !tried.contains(&lane);
            tried.push(lane);
            is_first
        };
        if is_first {
            return Ok(Handled::Later);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
        self.handled.lock().unwrap().push(lane);
        Ok(Handled::Done { rows: rows.len(), batch: Batch::new() })
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_tried_again_is_tried_by_one_worker() {
    let node = node().await;
    node.store.set_partitions("test_queue", 8).await.unwrap();
    let hesitating = Arc::new(Hesitating::default());
    node.store.run_queue(&QUEUE, hesitating.clone());
    pass(&node.clock, 1_000).await;
    for lane in 0..8 {
        node.store.commit(event(lane, "a")).await.unwrap();
    }
    pass(&node.clock, 3_000).await;
    let mut handled = hesitating.handled.lock().unwrap().clone();
    handled.sort_unstable();
    assert_eq!(handled, (0..8).collect::<Vec<_>>());
}

/// Work that another node's commit made: the bus wakes the worker, and without it the sweep finds the rows.
#[tokio::test(start_paused = true)]
async fn another_nodes_rows_are_found_by_hint_or_by_sweep() {
    let first = node().await;
    let bus = Arc::new(LocalBus::new());
    let one = on_bus(first.engine.clone(), bus.clone(), first.clock.clone(), 7).await;
    let two = on_bus(first.engine.clone(), bus, first.clock.clone(), 2).await;
    let sending = Arc::new(Sending::default());
    one.store.run_queue(&QUEUE, sending.clone());
    pass(&first.clock, 1_050).await;
    // The other node runs the queue too, as every node does; it has no lease.
    two.store.run_queue(&QUEUE, sending.clone());
    tokio::time::sleep(Duration::from_millis(10)).await;
    two.store.commit(event(1, "hinted")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!(sending.sent(1), ["hinted"]);
    // `first` is on no bus that others hear.
    first.store.commit(event(1, "swept")).await.unwrap();
    assert_eq!(sending.sent(1), ["hinted"]);
    tokio::time::sleep(Duration::from_millis(limits::WORK_SWEEP_MS + 10)).await;
    assert_eq!(sending.sent(1), ["hinted", "swept"]);
}

/// The number of partitions changes while rows are handled: nothing is lost, doubled or out of order.
#[tokio::test(start_paused = true)]
async fn partitions_can_be_changed_at_any_time() {
    let one = node().await;
    let two = on(one.engine.clone(), one.clock.clone(), 2).await;
    for node in [&one, &two] {
        node.store.run_queue(&QUEUE, noting());
    }
    let mut number = 0;
    for partitions in [3, 64, 1, 200, 2] {
        for _ in 0..20 {
            for lane in 0..8 {
                one.store.commit(event(lane, &format!("{number:04}"))).await.unwrap();
                number += 1;
            }
            pass(&one.clock, 100).await;
        }
        two.store.set_partitions("test_queue", partitions).await.unwrap();
    }
    pass(&one.clock, LONG_MS).await;
    let journal = journal_of(one.engine.as_ref()).await;
    assert_eq!(names(&journal, kind::ROOM_STATE), names(&journal, kind::ROOM_EVENT));
}

/// Killed at each of its writes: what a handler writes with the removal of its rows is written once and in order, and
/// there is no event without its row nor a row without its event.
#[test]
fn a_kill_neither_loses_nor_doubles_what_a_handler_writes() {
    for itself in [false, true] {
        let handler = move |store: &Store| Arc::new(Noting { at_once: 2, itself: itself.then(|| store.clone()) });
        let act = async |store: &Store, clock: &ManualClock| {
            store.run_queue(&QUEUE, handler(store));
            for name in ["a", "b", "c"] {
                for lane in [1, 2] {
                    store.commit(event(lane, name)).await.unwrap();
                }
                pass(clock, 100).await;
            }
        };
        let recover = async |store: &Store, clock: &ManualClock| {
            store.run_queue(&QUEUE, handler(store));
            pass(clock, LONG_MS).await;
        };
        at_every_write(&act, &recover, |journal, about| {
            assert_eq!(names(journal, kind::ROOM_STATE), names(journal, kind::ROOM_EVENT), "{about}");
        });
    }
}

/// A graceful end removes what was handled before the successor looks: nothing is sent twice.
#[tokio::test(start_paused = true)]
async fn closing_hands_over_what_is_left_and_nothing_else() {
    let one = node().await;
    let two = on(one.engine.clone(), one.clock.clone(), 2).await;
    let (first, second) = (Arc::new(Sending::default()), Arc::new(Sending::default()));
    one.store.run_queue(&QUEUE, first.clone());
    pass(&one.clock, 1_000).await;
    two.store.run_queue(&QUEUE, second.clone());
    one.store.commit(event(1, "a")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!((first.sent(1), waiting(&one, 1).await), (vec!["a".to_owned()], 1), "its removal waits for company");
    one.store.hand_over().await;
    assert_eq!(waiting(&two, 1).await, 0);
    one.store.close().await;
    two.store.commit(event(1, "b")).await.unwrap();
    pass(&one.clock, limits::LEASE_RETRY_MS + 100).await;
    assert_eq!((first.sent(1), second.sent(1)), (vec!["a".to_owned()], vec!["b".to_owned()]));
}
