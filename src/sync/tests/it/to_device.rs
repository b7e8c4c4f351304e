//! Messages to devices: all of them, once, and none gone before the device has it.

use serde_json::json;
use wardstead_accounts::Session;
use wardstead_e2ee::ToDeviceRequest;
use wardstead_engine::{Position, counting::Reading};
use wardstead_limits::{Rng, SeededRng, own_data as limits};
use wardstead_sync::SyncRequest;

use crate::support::{Answer, Server, raw, seeded, server};

impl Server {
    /// Sends messages with these numbers to the device of `to`, from the device of `by`.
    async fn tell(&self, by: &Session, to: &Session, numbers: std::ops::Range<u64>, bytes: usize) {
        for number in numbers {
            let content = raw(&json!({ "number": number, "rest": "x".repeat(bytes) }));
            let to_device = [(to.device_id.to_string(), content)].into();
            let request = ToDeviceRequest {
                event_type: "m.test".to_owned(),
                txn_id: format!("{}-{number}", to.device),
                messages: [(to.user_id.clone(), to_device)].into(),
            };
            self.syncer.inboxes().send(by, &request).await.unwrap();
        }
    }

    /// How many messages are stored for the device.
    async fn stored(&self, of: &Session) -> usize {
        let all = self.syncer.inboxes().waiting(of.device, Position::ZERO, Position(u64::MAX >> 1), 10_000).await;
        all.unwrap().messages.len()
    }
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
    for seed in 1..=2 {
        let rng = SeededRng::new(seed);
        let one_in = |n: u64| rng.next_u64().is_multiple_of(n);
        let first = seeded(seed).await;
        let second = first.beside(seed + 100).await;
        let [anna, ben] = first.users(["anna", "ben"]).await;
        let mut since: Option<String> = None;
        let (mut sent, mut got, mut lost, mut failed) = (0, Vec::new(), 0, 0);
        while (got.len() as u64) < ALL {
            if sent < ALL && (one_in(2) || got.len() as u64 == sent) {
                let upto = (sent + 1 + rng.next_u64() % 400).min(ALL);
                first.tell(&ben, &anna, sent..upto, 0).await;
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
            assert!(first.stored(&anna).await as u64 >= sent - next, "seed {seed}: gone before its token");
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
        assert_eq!(first.stored(&anna).await, 0, "what was acknowledged is removed");
    }
}

/// Rooms go on while the section lags, and are not told again.
#[tokio::test(start_paused = true)]
async fn other_sections_do_not_wait_for_it() {
    let server = server().await;
    let [anna, ben] = server.users(["anna", "ben"]).await;
    let room = server.room(&[&anna, &ben]).await;
    let since = server.sync(&ben, None).await;
    server.tell(&anna, &ben, 0..250, 0).await;
    let said = server.say(&anna, &room, "hello").await;
    let first = server.sync(&ben, Some(&since)).await;
    assert_eq!((numbers(&first).len(), first.joined(&room).timeline()), (100, vec![said.to_string()]));
    let second = server.sync(&ben, Some(&first)).await;
    assert_eq!((numbers(&second).len(), second.rooms("join").len()), (100, 0));
    let said = server.say(&anna, &room, "again").await;
    server.tell(&anna, &ben, 250..251, 0).await;
    let third = server.sync(&ben, Some(&second)).await;
    assert_eq!(numbers(&third), (200..251).collect::<Vec<_>>());
    assert_eq!(third.joined(&room).timeline(), [said.to_string()]);
    assert!(server.sync(&ben, Some(&third)).await.is_empty());
}

/// Messages of a mebibyte go into one answer.
#[tokio::test(start_paused = true)]
async fn a_page_has_a_bound_in_bytes() {
    const BYTES: usize = 60 * 1024;
    let server = server().await;
    let [anna, ben] = server.users(["anna", "ben"]).await;
    server.tell(&ben, &anna, 0..40, BYTES).await;
    let (mut since, mut pages) = (None, Vec::new());
    while pages.iter().map(Vec::len).sum::<usize>() < 40 {
        let answer = server.sync(&anna, since.as_ref()).await;
        pages.push(numbers(&answer));
        since = Some(answer);
    }
    assert_eq!(pages.concat(), (0..40).collect::<Vec<_>>());
    let full = limits::TO_DEVICE_PAGE_BYTES / BYTES;
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [full, full, 40 - 2 * full]);
    assert!(server.sync(&anna, since.as_ref()).await.is_empty());
}

/// The token of another device keeps its position for the rooms; of messages it says nothing.
#[tokio::test(start_paused = true)]
async fn another_devices_token_acknowledges_nothing() {
    let server = server().await;
    let [anna] = server.users(["anna"]).await;
    let tablet = server.device(&anna).await;
    server.tell(&anna, &anna, 0..3, 0).await;
    server.tell(&anna, &tablet, 10..13, 0).await;
    let phones = server.sync(&anna, None).await;
    assert_eq!(numbers(&phones), [0, 1, 2]);
    let tablets = server.sync(&tablet, Some(&phones)).await;
    assert_eq!(numbers(&tablets), [10, 11, 12]);
    assert_eq!(numbers(&server.sync(&tablet, Some(&phones)).await), [10, 11, 12], "asked again with the same token");
    assert!(numbers(&server.sync(&tablet, Some(&tablets)).await).is_empty());
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert_eq!((server.stored(&anna).await, server.stored(&tablet).await), (3, 0));
    // A new session on the device, without a token: what it never acknowledged comes again.
    assert_eq!(numbers(&server.sync(&anna, None).await), [0, 1, 2]);
}

/// A message ends a wait; while more pages wait nobody waits.
#[tokio::test(start_paused = true)]
async fn messages_end_a_wait() {
    let server = server().await;
    let [anna, ben] = server.users(["anna", "ben"]).await;
    let first = server.sync(&anna, None).await;
    let waiting = {
        let (server, anna, since) = (server.clone(), anna.clone(), first.next());
        let request = SyncRequest { since: Some(since), timeout_ms: 30_000, ..SyncRequest::default() };
        tokio::spawn(async move { server.ask(&anna, request).await.unwrap() })
    };
    server.settle().await;
    let start = crate::nodes::moment();
    server.tell(&ben, &anna, 0..150, 0).await;
    let answer = waiting.await.unwrap();
    assert!(!numbers(&answer).is_empty());
    let (mut got, mut since) = (numbers(&answer), answer.next());
    while got.len() < 150 {
        let request = SyncRequest { since: Some(since), timeout_ms: 30_000, ..SyncRequest::default() };
        let answer = server.ask(&anna, request).await.unwrap();
        got.extend(numbers(&answer));
        since = answer.next();
    }
    assert_eq!(got, (0..150).collect::<Vec<_>>());
    assert_eq!(crate::nodes::moment(), start, "without waiting");
}

/// What a killed server had answered comes again; a device that is gone gets nothing more, and nothing of it stays.
#[tokio::test(start_paused = true)]
async fn a_server_that_is_killed_and_a_device_that_goes() {
    let server = server().await;
    let [anna, ben] = server.users(["anna", "ben"]).await;
    let tablet = server.device(&anna).await;
    let before = server.sync(&anna, None).await;
    server.tell(&ben, &anna, 0..3, 0).await;
    server.tell(&ben, &tablet, 10..13, 0).await;
    let lost = server.sync(&anna, Some(&before)).await;
    assert_eq!(numbers(&lost), [0, 1, 2]);
    // Another process over what is on the disk.
    let restarted = server.node(9).await;
    let again = restarted.sync(&anna, Some(&before)).await;
    assert_eq!(numbers(&again), [0, 1, 2]);
    assert!(numbers(&restarted.sync(&anna, Some(&again)).await).is_empty());
    assert_eq!(restarted.stored(&tablet).await, 3);
    restarted.accounts.logout(&tablet).await.unwrap();
    assert_eq!(restarted.stored(&tablet).await, 0);
    server.tell(&ben, &tablet, 20..21, 0).await;
    assert_eq!(server.stored(&tablet).await, 0, "to nobody");
}

/// Nothing is read of messages where none came, whatever else is news to the user, and nothing written.
#[tokio::test(start_paused = true)]
async fn an_empty_inbox_costs_nothing() {
    let server = server().await;
    let [anna, ben] = server.users(["anna", "ben"]).await;
    let first = server.sync(&anna, None).await;
    let second = server.sync(&anna, Some(&first)).await;
    let (third, cost) = server.reads(server.sync(&anna, Some(&second))).await;
    assert_eq!(cost, Reading::default());
    server.tell(&ben, &anna, 0..1, 0).await;
    server.settle().await;
    let (fourth, with_message) = server.reads(server.sync(&anna, Some(&third))).await;
    assert_eq!(numbers(&fourth), [0]);
    server.sync(&anna, Some(&fourth)).await;
    server.device(&anna).await;
    server.settle().await;
    let (fifth, without) = server.reads(server.sync(&anna, Some(&fourth))).await;
    assert!(numbers(&fifth).is_empty());
    assert!(without.scans < with_message.scans, "{without:?} {with_message:?}");
}
