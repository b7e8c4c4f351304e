//! Messages to devices: all of them, once, and none gone before the device has it. Device lists, over the same ranges.

use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::json;
use wardstead_accounts::Session;
use wardstead_engine::{AccessPattern, Batch, JournalEntry, PageLimit, Position, PositionSlot, ScanRange, Urgency};
use wardstead_limits::{Rng, SeededRng, own_data as limits};
use wardstead_store::{Store, StoreError, Table, kind};
use wardstead_sync::{
    DeviceListSource, DeviceLists, NoDeviceLists, NoMessages, SyncRequest, ToDeviceMessage, ToDevicePage,
    ToDeviceSource,
};

use crate::support::{Answer, Server, raw, seeded, server};

#[derive(Serialize, Deserialize)]
struct Message {
    number: u64,
    bytes: u64,
}

wardstead_store::row!(Message, 1);

/// `device | position`.
const MESSAGES: Table<Message> = Table::new(AccessPattern::Scan, 0x0f2, "test_to_device", "sync tests");

/// Messages in rows of the store, as the part that will keep them has them.
struct Inboxes(Store);

#[async_trait]
impl ToDeviceSource for Inboxes {
    async fn waiting(
        &self,
        _: u64,
        device: u64,
        after: Position,
        upto: Position,
        most: usize,
    ) -> Result<ToDevicePage, StoreError> {
        let key = |position: Position| MESSAGES.key(device).position(position).key();
        let range = ScanRange::new(key(after.next()), key(upto.next()));
        let (mut rows, _) = self.0.scan(&MESSAGES, &range, PageLimit::rows(most + 1)).await?;
        let more = rows.len() > most;
        rows.truncate(most);
        let message = |found: wardstead_store::Found<Message>| {
            let Message { number, bytes } = found.row;
            let content = json!({ "number": number, "rest": "x".repeat(usize::try_from(bytes).unwrap()) });
            let event = raw(&json!({ "type": "m.test", "sender": "@anna:example.org", "content": content }));
            ToDeviceMessage { position: found.position(), event }
        };
        Ok(ToDevicePage { messages: rows.into_iter().map(message).collect(), more })
    }

    async fn acknowledge(&self, _: u64, device: u64, upto: Position) -> Result<(), StoreError> {
        let key = |position: Position| MESSAGES.key(device).position(position).key();
        let mut batch = Batch { urgency: Urgency::Soon, ..Batch::new() };
        batch.delete_range(key(Position::ZERO), key(upto.next()));
        drop(tokio::spawn(self.0.submit(batch)?));
        Ok(())
    }
}

impl Inboxes {
    /// Sends messages with these numbers, in one commit.
    async fn send(&self, to: &Session, numbers: std::ops::Range<u64>, bytes: u64) {
        let mut batch = Batch::new();
        for number in numbers {
            let device = to.device.to_be_bytes().to_vec().into();
            let entry = batch.journal(JournalEntry { kind: kind::TO_DEVICE, scope: to.user, key: device });
            let key = MESSAGES.key(to.device).slot(entry).template();
            MESSAGES.put_with(&mut batch, key, 0, &[PositionSlot::Entry(entry)], &Message { number, bytes });
        }
        self.0.commit(batch).await.unwrap();
    }

    /// The numbers of what is stored.
    async fn stored(&self, device: u64) -> Vec<u64> {
        let rows = self.0.scan_all(&MESSAGES, ScanRange::scope(MESSAGES.id(), device)).await.unwrap();
        rows.into_iter().map(|found| found.row.number).collect()
    }
}

/// The server with messages to devices.
fn with_messages(mut server: Server) -> (Server, Inboxes) {
    let source = Inboxes(server.store.clone());
    server.syncer = server.syncer.with_sources(Arc::new(Inboxes(server.store.clone())), Arc::new(NoDeviceLists));
    (server, source)
}

/// The numbers of an answer's messages.
fn numbers(answer: &Answer) -> Vec<u64> {
    let events = answer.0["to_device"]["events"].as_array().into_iter().flatten();
    events.map(|event| event["content"]["number"].as_u64().unwrap()).collect()
}

/// Two nodes, pages of a hundred, answers that are lost and asked for again, reads that fail, messages that come meanwhile.
#[tokio::test(start_paused = true)]
async fn four_thousand_messages_arrive_once_and_none_goes_before_its_token() {
    const ALL: u64 = 4_000;
    for seed in 1..=4 {
        let rng = SeededRng::new(seed);
        let one_in = |n: u64| rng.next_u64().is_multiple_of(n);
        let (first, source) = with_messages(seeded(seed).await);
        let (second, _) = with_messages(first.beside(seed + 100).await);
        let [anna] = first.users(["anna"]).await;
        let mut since: Option<String> = None;
        let (mut sent, mut got, mut lost, mut failed) = (0, Vec::new(), 0, 0);
        while (got.len() as u64) < ALL {
            if sent < ALL && (one_in(2) || got.len() as u64 == sent) {
                let upto = (sent + 1 + rng.next_u64() % 400).min(ALL);
                source.send(&anna, sent..upto, 0).await;
                sent = upto;
            }
            let node = if one_in(2) { &first } else { &second };
            node.settle().await;
            if one_in(7) {
                node.engine.faults().fail_read(1 + rng.next_u64() % 4);
            }
            let answer = node.ask(&anna, SyncRequest { since: since.clone(), ..SyncRequest::default() }).await;
            node.engine.faults().clear();
            let Ok(answer) = answer else {
                failed += 1;
                continue;
            };
            let page = numbers(&answer);
            let next = got.len() as u64;
            let expected = next..(next + limits::TO_DEVICE_MESSAGES as u64).min(sent);
            assert_eq!(page, expected.collect::<Vec<_>>(), "seed {seed}: what follows, as much as a page holds");
            let stored = source.stored(anna.device).await;
            assert!(stored.ends_with(&(next..sent).collect::<Vec<_>>()), "seed {seed}: gone before its token");
            if one_in(3) {
                lost += 1;
                continue;
            }
            got.extend(page);
            since = Some(answer.next());
        }
        assert!(lost > 5 && failed > 0, "seed {seed}: {lost} lost, {failed} failed");
        assert_eq!(got, (0..ALL).collect::<Vec<_>>());
        let end = first.ask(&anna, SyncRequest { since, ..SyncRequest::default() }).await.unwrap();
        assert!(numbers(&end).is_empty());
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        assert!(source.stored(anna.device).await.is_empty(), "what was acknowledged is removed");
    }
}

/// Rooms go on while the section lags, and are not told again.
#[tokio::test(start_paused = true)]
async fn other_sections_do_not_wait_for_it() {
    let (server, source) = with_messages(server().await);
    let [anna, ben] = server.users(["anna", "ben"]).await;
    let room = server.room(&[&anna, &ben]).await;
    let since = server.sync(&ben, None).await;
    source.send(&ben, 0..250, 0).await;
    let said = server.say(&anna, &room, "hello").await;
    let first = server.sync(&ben, Some(&since)).await;
    assert_eq!((numbers(&first).len(), first.joined(&room).timeline()), (100, vec![said.to_string()]));
    let second = server.sync(&ben, Some(&first)).await;
    assert_eq!((numbers(&second).len(), second.rooms("join").len()), (100, 0));
    let said = server.say(&anna, &room, "again").await;
    source.send(&ben, 250..251, 0).await;
    let third = server.sync(&ben, Some(&second)).await;
    assert_eq!(numbers(&third), (200..251).collect::<Vec<_>>());
    assert_eq!(third.joined(&room).timeline(), [said.to_string()]);
    assert!(server.sync(&ben, Some(&third)).await.is_empty());
}

/// A large message takes an answer of its own, whatever its size.
#[tokio::test(start_paused = true)]
async fn a_page_has_a_bound_in_bytes() {
    let (server, source) = with_messages(server().await);
    let [anna] = server.users(["anna"]).await;
    source.send(&anna, 0..3, limits::TO_DEVICE_PAGE_BYTES as u64).await;
    let mut since = None;
    for number in 0..3 {
        let answer = server.sync(&anna, since.as_ref()).await;
        assert_eq!(numbers(&answer), [number]);
        since = Some(answer);
    }
    assert!(server.sync(&anna, since.as_ref()).await.is_empty());
}

/// The token of another device keeps its position for the rooms; of messages it says nothing.
#[tokio::test(start_paused = true)]
async fn another_devices_token_acknowledges_nothing() {
    let (server, source) = with_messages(server().await);
    let [anna] = server.users(["anna"]).await;
    let tablet = server.device(&anna).await;
    source.send(&anna, 0..3, 0).await;
    source.send(&tablet, 10..13, 0).await;
    let phones = server.sync(&anna, None).await;
    assert_eq!(numbers(&phones), [0, 1, 2]);
    let tablets = server.sync(&tablet, Some(&phones)).await;
    assert_eq!(numbers(&tablets), [10, 11, 12]);
    assert_eq!(numbers(&server.sync(&tablet, Some(&phones)).await), [10, 11, 12], "asked again with the same token");
    assert!(numbers(&server.sync(&tablet, Some(&tablets)).await).is_empty());
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert_eq!(source.stored(anna.device).await, [0, 1, 2]);
    assert!(source.stored(tablet.device).await.is_empty());
    // A new session on the device, without a token: what it never acknowledged comes again.
    assert_eq!(numbers(&server.sync(&anna, None).await), [0, 1, 2]);
}

/// A message ends a wait; while more pages wait nobody waits.
#[tokio::test(start_paused = true)]
async fn messages_end_a_wait() {
    let (server, source) = with_messages(server().await);
    let [anna] = server.users(["anna"]).await;
    let first = server.sync(&anna, None).await;
    let waiting = {
        let (server, anna, since) = (server.clone(), anna.clone(), first.next());
        let request = SyncRequest { since: Some(since), timeout_ms: 30_000, ..SyncRequest::default() };
        tokio::spawn(async move { server.ask(&anna, request).await.unwrap() })
    };
    server.settle().await;
    let start = crate::nodes::moment();
    source.send(&anna, 0..150, 0).await;
    let answer = waiting.await.unwrap();
    assert!(!numbers(&answer).is_empty());
    let request = SyncRequest { since: Some(answer.next()), timeout_ms: 30_000, ..SyncRequest::default() };
    let rest = server.ask(&anna, request).await.unwrap();
    assert_eq!(numbers(&answer).len() + numbers(&rest).len(), 150);
    assert_eq!(crate::nodes::moment(), start, "without waiting");
}

/// Notes what it is asked, and says that the user's devices changed at each position.
#[derive(Default)]
struct Lists(Mutex<Vec<(u64, u64)>>);

#[async_trait]
impl DeviceListSource for Lists {
    async fn device_lists(&self, _: u64, since: Position, upto: Position) -> Result<DeviceLists, StoreError> {
        self.0.lock().push((since.0, upto.0));
        let users = |name: &str| [ruma::UserId::parse(format!("@{name}:example.org")).unwrap()].into();
        Ok(DeviceLists { changed: users("ben"), left: users("cora") })
    }
}

/// Each position is in the range of exactly one answer; a new client is told nothing.
#[tokio::test(start_paused = true)]
async fn device_lists_are_asked_over_ranges_that_meet() {
    let mut server = server().await;
    let lists = Arc::new(Lists::default());
    server.syncer = server.syncer.with_sources(Arc::new(NoMessages), Arc::clone(&lists) as _);
    let [anna] = server.users(["anna"]).await;
    let mut answer = server.sync(&anna, None).await;
    assert!(lists.0.lock().is_empty() && answer.0["device_lists"].is_null());
    let begin = server.store.position().0;
    for _ in 0..3 {
        server.room(&[&anna]).await;
        answer = server.sync(&anna, Some(&answer)).await;
        let told = json!({ "changed": ["@ben:example.org"], "left": ["@cora:example.org"] });
        assert_eq!(answer.0["device_lists"], told);
    }
    let ranges = lists.0.lock().clone();
    assert_eq!((ranges[0].0, ranges[2].1), (begin, server.store.position().0));
    assert!(ranges.windows(2).all(|pair| pair[0].1 == pair[1].0), "{ranges:?}");
}
