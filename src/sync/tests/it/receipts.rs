//! Receipts and account data in a sync.

use std::time::Duration;

use ruma::{OwnedEventId, RoomId};
use serde_json::json;
use wardstead_accounts::Session;
use wardstead_engine::counting::Reading;
use wardstead_rooms::{Marks, ReceiptMark};
use wardstead_sync::SyncRequest;

use crate::support::{Answer, Section, Server, server};

const READ: &str = "m.read";
const PRIVATE: &str = "m.read.private";

fn of(name: &str, by: &Session) -> (String, String) {
    (name.to_owned(), by.user_id.to_string())
}

fn users(section: Section<'_>) -> Vec<String> {
    section.receipts().into_keys().map(|(_, user)| user).collect()
}

/// What moved is told once; what did not is not told again.
#[tokio::test(start_paused = true)]
async fn only_what_moved_is_told() {
    let server = server().await;
    let [anna, ben, cora] = server.users(["anna", "ben", "cora"]).await;
    let room = server.room(&[&anna, &ben, &cora]).await;
    let said = server.say_many(&anna, &room, 3).await;
    for reader in [&anna, &ben, &cora] {
        server.read(reader, &room, &said[0]).await;
    }
    let first = server.sync(&anna, None).await;
    assert_eq!(users(first.joined(&room)).len(), 3, "an initial sync tells the last of each");
    server.read(&ben, &room, &said[1]).await;
    server.read(&ben, &room, &said[2]).await;
    let (next, cost) = server.reads(server.sync(&anna, Some(&first))).await;
    assert_eq!(next.joined(&room).receipts(), [(of(READ, &ben), said[2].to_string())].into());
    assert_eq!(next.joined(&room).0["timeline"], json!(null), "receipts are no news of the timeline");
    assert_eq!(cost, Reading { gets: 1, keys: 1, scans: 1, ..Reading::default() }, "what one is in the room, receipts");
    assert!(server.sync(&anna, Some(&next)).await.is_empty());
    // A node that remembers nothing says the same.
    let node = server.node(2).await;
    assert_eq!(node.sync(&anna, Some(&first)).await.said(), next.said());
}

/// However many have read in the room before: one receipt costs a sync one row, not the room's list.
#[tokio::test(start_paused = true)]
async fn a_receipt_costs_the_same_whoever_has_read_before() {
    let server = server().await;
    let [anna, ben] = server.users(["anna", "ben"]).await;
    let room = server.open_room(&anna, "shared").await;
    server.join(&ben, &room).await;
    let said = server.say_many(&anna, &room, 3).await;
    let mut rows = Vec::new();
    for readers in [1, 60] {
        for number in 0..readers {
            let reader = server.user(&format!("reader-{readers}-{number}")).await;
            server.join(&reader, &room).await;
            server.read(&reader, &room, &said[0]).await;
        }
        let since = server.sync(&anna, None).await;
        server.settle().await;
        let before = (server.counts.read(), server.counts.scanned_rows());
        server.read(&ben, &room, &said[rows.len() + 1]).await;
        server.settle().await;
        let between = (server.counts.read(), server.counts.scanned_rows());
        let (answer, _) = server.reads(server.sync(&anna, Some(&since))).await;
        assert_eq!(users(answer.joined(&room)), [ben.user_id.to_string()]);
        let told = server.counts.scanned_rows() - between.1;
        rows.push((between.0.gets - before.0.gets, between.1 - before.1, told));
    }
    assert_eq!(rows[0], rows[1], "reads and rows of the commit, rows of the sync");
}

#[tokio::test(start_paused = true)]
async fn a_private_receipt_reaches_the_users_other_devices_alone() {
    let server = server().await;
    let [anna, ben] = server.users(["anna", "ben"]).await;
    let room = server.room(&[&anna, &ben]).await;
    let said = server.say(&anna, &room, "hello").await;
    let tablet = server.device(&ben).await;
    let (annas, bens) = (server.sync(&anna, None).await, server.sync(&tablet, None).await);
    server.read_silently(&ben, &room, &said).await;
    let (answer, cost) = server.reads(server.sync(&anna, Some(&annas))).await;
    assert!(answer.is_empty());
    assert_eq!(cost, Reading::default(), "others do not even look");
    assert!(server.sync(&anna, None).await.joined(&room).receipts().is_empty());
    for since in [Some(&bens), None] {
        let answer = server.sync(&tablet, since).await;
        assert_eq!(answer.joined(&room).receipts(), [(of(PRIVATE, &ben), said.to_string())].into());
        assert_eq!(
            answer.joined(&room).account_data(),
            [("m.fully_read".to_owned(), json!({ "event_id": said }))].into()
        );
    }
}

/// Asks as a client that waits.
async fn waiting(server: &Server, by: &Session, since: &Answer) -> Answer {
    let request = SyncRequest { since: Some(since.next()), timeout_ms: 30_000, ..SyncRequest::default() };
    server.ask(by, request).await.unwrap()
}

/// The user's own devices are woken by each receipt, others by the first at once and by those that follow in time.
#[tokio::test(start_paused = true)]
async fn receipts_end_a_wait() {
    let server = server().await;
    let [anna, ben] = server.users(["anna", "ben"]).await;
    let room = server.room(&[&anna, &ben]).await;
    let said = server.say_many(&anna, &room, 4).await;
    let tablet = server.device(&ben).await;
    let (mut annas, mut bens) = (server.sync(&anna, None).await, server.sync(&tablet, None).await);
    for (number, event) in said.iter().enumerate() {
        let most_ms = if number == 0 { 100 } else { 2 * wardstead_limits::store::RECEIPTS_APART_MS };
        let both = async {
            tokio::join!(waiting(&server, &tablet, &bens), waiting(&server, &anna, &annas), async {
                tokio::time::sleep(Duration::from_millis(10)).await;
                server.read(&ben, &room, event).await;
            })
        };
        let (mine, theirs, ()) = tokio::time::timeout(Duration::from_millis(most_ms), both).await.unwrap();
        for answer in [&mine, &theirs] {
            assert_eq!(answer.joined(&room).receipts(), [(of(READ, &ben), event.to_string())].into());
        }
        (bens, annas) = (mine, theirs);
    }
    // The tablet alone is not held up by the pace of the room.
    let last = server.say(&anna, &room, "last").await;
    bens = server.sync(&tablet, Some(&bens)).await;
    let both = async { tokio::join!(waiting(&server, &tablet, &bens), server.read(&ben, &room, &last)) };
    let (mine, ()) = tokio::time::timeout(Duration::from_millis(100), both).await.unwrap();
    assert_eq!(mine.joined(&room).receipts().len(), 1);
}

/// Who comes into a room is told the receipts that stand there; who comes back, their own private ones too.
#[tokio::test(start_paused = true)]
async fn who_comes_is_told_what_stands() {
    let server = server().await;
    let [anna, ben] = server.users(["anna", "ben"]).await;
    let room = server.open_room(&anna, "shared").await;
    server.join(&ben, &room).await;
    let said = server.say(&anna, &room, "hello").await;
    server.read(&anna, &room, &said).await;
    server.read_silently(&ben, &room, &said).await;
    server.leave(&ben, &room).await;
    let since = server.sync(&ben, None).await;
    server.join(&ben, &room).await;
    let answer = server.sync(&ben, Some(&since)).await;
    let expected = [(of(READ, &anna), said.to_string()), (of(PRIVATE, &ben), said.to_string())];
    assert_eq!(answer.joined(&room).receipts(), expected.into());
    assert_eq!(answer.joined(&room).account_data().len(), 1);
    server.leave(&ben, &room).await;
    let gone = server.sync(&ben, Some(&answer)).await;
    server.read(&anna, &room, &server.say(&anna, &room, "after").await).await;
    assert!(server.sync(&ben, Some(&gone)).await.is_empty(), "who left is told no more");
}

#[tokio::test(start_paused = true)]
async fn filters_hide_receipts_and_account_data() {
    let server = server().await;
    let [anna, ben] = server.users(["anna", "ben"]).await;
    let room = server.room(&[&anna, &ben]).await;
    let said = server.say(&anna, &room, "hello").await;
    let since = server.sync(&ben, None).await;
    server.read(&anna, &room, &said).await;
    server.read_silently(&ben, &room, &said).await;
    for (filter, receipts, account_data) in [
        (json!({}), 2, 1),
        (json!({ "ephemeral": { "types": ["m.receipt"] }, "account_data": { "types": ["m.fully_*"] } }), 2, 1),
        (json!({ "ephemeral": { "not_types": ["m.receipt"] } }), 0, 1),
        (json!({ "ephemeral": { "types": ["m.typing"] }, "account_data": { "not_types": ["m.fully_read"] } }), 0, 0),
        (json!({ "ephemeral": { "not_rooms": [room] }, "account_data": { "not_rooms": [room] } }), 0, 0),
        (json!({ "ephemeral": { "rooms": [] }, "account_data": { "types": [] } }), 0, 0),
        (json!({ "not_rooms": [room] }), 0, 0),
    ] {
        for since in [Some(&since), None] {
            let answer = server.filtered(&ben, since, &json!({ "room": filter })).await;
            let section = answer.joined(&room);
            let shown = (section.receipts().len(), section.account_data().len());
            assert_eq!(shown, (receipts, account_data), "{filter}, since {since:?}");
        }
    }
}

async fn read_in_thread(server: &Server, by: &Session, room: &RoomId, event: &OwnedEventId, thread: &str) {
    let read = Some(ReceiptMark { event_id: event.clone(), thread: Some(thread.to_owned()) });
    server.rooms.mark_read(by, room, &Marks { read, ..Marks::default() }).await.unwrap();
}

/// What moves while an answer is built is for the next one; together they tell where everything stands.
#[tokio::test(start_paused = true)]
async fn what_moves_meanwhile_is_for_the_next_answer() {
    for case in ["initial", "incremental", "joined"] {
        let mut happened = 0;
        for n in 1.. {
            let server = server().await;
            let [anna, ben] = server.users(["anna", "ben"]).await;
            let room = server.open_room(&anna, "shared").await;
            let said = server.say_many(&anna, &room, 3).await;
            if case != "joined" {
                server.join(&ben, &room).await;
            }
            let first = server.sync(&ben, None).await;
            server.join(&ben, &room).await;
            server.read(&anna, &room, &said[0]).await;
            read_in_thread(&server, &anna, &room, &said[1], "main").await;
            server.read_silently(&ben, &room, &said[0]).await;
            let node = server.node(8).await;
            let (other, anna_too, ben_too, room_too, last) =
                (server.clone(), anna.clone(), ben.clone(), room.clone(), said[2].clone());
            node.meanwhile.before_read(n, async move {
                other.read(&anna_too, &room_too, &last).await;
                other.read(&ben_too, &room_too, &last).await;
                other.read_silently(&ben_too, &room_too, &last).await;
            });
            let since = (case != "initial").then_some(&first);
            let answer = node.sync(&ben, since).await;
            if node.meanwhile.take().is_some() {
                break;
            }
            happened += 1;
            let shown = answer.joined(&room).receipts();
            assert!(shown.values().all(|event| *event != said[2]), "{case}, read {n}: nothing of later");
            assert!(answer.joined(&room).account_data().values().all(|marker| marker["event_id"] != said[2].as_str()));
            assert_eq!(shown[&of(READ, &anna)], said[1], "{case}, read {n}: what stays is told");
            let next = node.sync(&ben, Some(&answer)).await;
            let next = next.joined(&room);
            for who in [of(READ, &anna), of(READ, &ben), of(PRIVATE, &ben)] {
                assert_eq!(next.receipts()[&who], said[2], "{case}, read {n}");
            }
            assert_eq!(next.account_data()["m.fully_read"]["event_id"], said[2].as_str(), "{case}, read {n}");
        }
        assert!(happened >= 3, "{case}: {happened} reads");
    }
}
