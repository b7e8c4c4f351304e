//! Waiting for news.

use std::time::Duration;

use serde_json::json;
use tokio::{task::JoinHandle, time::Instant};
use wardstead_accounts::{NewAccount, NewDevice, Session};
use wardstead_engine::Batch;
use wardstead_limits::{accounts::ACCESS_TOKEN_LIFETIME_MS, sync as limits};
use wardstead_rooms::Membership;
use wardstead_sync::{SyncError, SyncRequest};

use crate::{
    nodes::{nodes, pass},
    support::{Answer, Server, server},
};

fn wait(server: &Server, by: &Session, since: &Answer, timeout_ms: u64) -> JoinHandle<Answer> {
    wait_filtered(server, by, since, timeout_ms, &json!({}))
}

fn wait_filtered(
    server: &Server,
    by: &Session,
    since: &Answer,
    timeout_ms: u64,
    filter: &serde_json::Value,
) -> JoinHandle<Answer> {
    let (server, by) = (server.clone(), by.clone());
    let filter = wardstead_sync::SyncFilter::parse(&filter.to_string()).unwrap();
    let request = SyncRequest { since: Some(since.next()), timeout_ms, filter, ..SyncRequest::default() };
    tokio::spawn(async move { server.ask(&by, request).await.unwrap() })
}

/// A moment of the paused clock, which stands still while any task can run.
#[expect(clippy::disallowed_methods, reason = "the paused clock of the test")]
fn moment() -> Instant {
    Instant::now()
}

#[tokio::test(start_paused = true)]
async fn ends_at_the_timeout_with_a_token_that_moves_on() {
    let server = server().await;
    let [anna, ben] = server.users(["anna", "ben"]).await;
    let room = server.room(&[&anna, &ben]).await;
    let elsewhere = server.room(&[&anna]).await;
    let mut since = server.sync(&ben, None).await;
    for (asked, waited) in [(0, 0), (30_000, 30_000), (u64::MAX, limits::TIMEOUT_MS)] {
        let start = moment();
        let waiting = wait(&server, &ben, &since, asked);
        server.settle().await;
        server.say(&anna, &elsewhere, "none of your business").await;
        let answer = waiting.await.unwrap();
        assert_eq!(moment() - start, Duration::from_millis(waited));
        assert!(answer.is_empty());
        if waited > 0 {
            assert_ne!(answer.next(), since.next());
        }
        let said = server.say(&anna, &room, "hello").await;
        since = server.sync(&ben, Some(&answer)).await;
        assert_eq!(since.joined(&room).timeline(), [said.to_string()]);
    }
}

/// What is to be told already is told at once, however long the client would wait.
#[tokio::test(start_paused = true)]
async fn does_not_wait_when_there_is_news() {
    let server = server().await;
    let [anna, ben] = server.users(["anna", "ben"]).await;
    let room = server.room(&[&anna, &ben]).await;
    let since = server.sync(&ben, None).await;
    server.say(&anna, &room, "hello").await;
    let start = moment();
    assert_eq!(wait(&server, &ben, &since, 30_000).await.unwrap().joined(&room).events().len(), 1);
    let initial = SyncRequest { timeout_ms: 30_000, ..SyncRequest::default() };
    server.ask(&ben, initial).await.unwrap();
    assert_eq!(moment(), start);
}

#[tokio::test(start_paused = true)]
async fn news_ends_the_wait_without_delay() {
    let server = server().await;
    let [anna, ben] = server.users(["anna", "ben"]).await;
    let room = server.room(&[&anna, &ben]).await;
    let other = server.open_room(&anna, "shared").await;
    let mut since = server.sync(&ben, None).await;
    for what in ["message", "invitation", "own join", "message in the joined room", "removal"] {
        let waiting = wait(&server, &ben, &since, 30_000);
        tokio::time::sleep(Duration::from_millis(777)).await;
        let start = moment();
        let section = match what {
            "message" => {
                server.say(&anna, &room, "hello").await;
                "join"
            }
            "invitation" => {
                server.member(&anna, &other, &ben, Membership::Invite).await;
                "invite"
            }
            "own join" => {
                server.join(&ben, &other).await;
                "join"
            }
            "removal" => {
                server.member(&anna, &other, &ben, Membership::Leave).await;
                "leave"
            }
            _ => {
                server.say(&anna, &other, "hello").await;
                "join"
            }
        };
        since = waiting.await.unwrap();
        assert_eq!(moment(), start, "{what}");
        assert_eq!(since.rooms(section).len(), 1, "{what}");
    }
    // Removed: the room wakes the user no more.
    let waiting = wait(&server, &ben, &since, 1_000);
    server.settle().await;
    server.say(&anna, &other, "you do not hear this").await;
    assert!(waiting.await.unwrap().is_empty());
}

/// News that the filter hides neither ends the wait nor makes it endless.
#[tokio::test(start_paused = true)]
async fn hidden_news_do_not_keep_the_client_waiting() {
    let server = server().await;
    let [anna, ben] = server.users(["anna", "ben"]).await;
    let (room, loud) = (server.room(&[&anna, &ben]).await, server.room(&[&anna, &ben]).await);
    let since = server.sync(&ben, None).await;
    let start = moment();
    let waiting = wait_filtered(&server, &ben, &since, 1_000, &json!({ "room": { "rooms": [room] } }));
    for _ in 0..20 {
        server.say(&anna, &loud, "noise").await;
        tokio::time::sleep(Duration::from_millis(60)).await;
    }
    let answer = waiting.await.unwrap();
    assert!(answer.is_empty());
    assert!(moment() - start >= Duration::from_secs(1));
    let said = server.say(&anna, &room, "hello").await;
    assert_eq!(server.sync(&ben, Some(&answer)).await.joined(&room).timeline(), [said.to_string()]);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_server_answers() {
    let server = server().await;
    let [anna, ben] = server.users(["anna", "ben"]).await;
    server.room(&[&anna, &ben]).await;
    let since = server.sync(&ben, None).await;
    let start = moment();
    let waiting = wait(&server, &ben, &since, 30_000);
    server.settle().await;
    server.store.end_waits();
    let answer = waiting.await.unwrap();
    assert!(answer.is_empty());
    // A client that is not told of its keys may take it that there are none.
    assert_eq!(answer.0["device_one_time_keys_count"], serde_json::json!({ "signed_curve25519": 0 }));
    assert_eq!(moment(), start);
}

/// What another node commits is found by polling.
#[tokio::test(start_paused = true)]
async fn another_nodes_news_arrive() {
    let server = server().await;
    let [anna, ben] = server.users(["anna", "ben"]).await;
    let room = server.room(&[&anna, &ben]).await;
    let node = server.node(2).await;
    let since = node.sync(&ben, None).await;
    let start = moment();
    let waiting = wait(&node, &ben, &since, 30_000);
    node.settle().await;
    let said = server.say(&anna, &room, "hello").await;
    assert_eq!(waiting.await.unwrap().joined(&room).timeline(), [said.to_string()]);
    assert!(moment() - start <= Duration::from_millis(wardstead_limits::store::TAIL_POLL_MS));
}

/// Sixty-four members wait, again and again, while two others talk at once: each of them gets every message once, and all in
/// the same order.
#[tokio::test(start_paused = true)]
async fn everybody_hears_everything_once_in_one_order() {
    const LISTENERS: usize = 64;
    const MESSAGES: usize = 40;
    let server = server().await;
    let [anna, ben] = server.users(["anna", "ben"]).await;
    let room = server.open_room(&anna, "shared").await;
    server.join(&ben, &room).await;
    let mut listeners = Vec::new();
    for number in 0..LISTENERS {
        let user = server.user(&format!("user{number}")).await;
        server.join(&user, &room).await;
        listeners.push(user);
    }
    let mut hearing = Vec::new();
    for user in listeners {
        let (server, room) = (server.clone(), room.clone());
        let mut since = server.sync(&user, None).await;
        hearing.push(tokio::spawn(async move {
            let mut heard = Vec::new();
            while heard.len() < 2 * MESSAGES {
                since = wait(&server, &user, &since, 30_000).await.unwrap();
                assert!(!since.is_empty(), "waited in vain after {} messages", heard.len());
                assert!(!since.joined(&room).limited());
                heard.extend(since.joined(&room).timeline());
            }
            heard
        }));
    }
    let talking = [anna, ben].map(|user| {
        let (server, room) = (server.clone(), room.clone());
        tokio::spawn(async move {
            let mut said = Vec::new();
            for number in 0..MESSAGES {
                said.push(server.say(&user, &room, &number.to_string()).await.to_string());
                if number % 3 == 0 {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
            said
        })
    });
    let mut said = Vec::new();
    for talk in talking {
        said.push(talk.await.unwrap());
    }
    let mut first = None;
    for heard in hearing {
        let heard = heard.await.unwrap();
        for said in &said {
            let of_one: Vec<&String> = heard.iter().filter(|event| said.contains(event)).collect();
            assert_eq!(of_one, said.iter().collect::<Vec<_>>());
        }
        assert_eq!(heard.len(), 2 * MESSAGES);
        assert_eq!(*first.get_or_insert_with(|| heard.clone()), heard);
    }
}

/// Nothing is told for a token that expires while the request waits.
#[tokio::test(start_paused = true)]
async fn a_token_that_expires_ends_the_wait() {
    let nodes = nodes(1, None, false).await;
    let server = &nodes[0];
    let device = NewDevice { refresh: true, ..NewDevice::default() };
    let new = NewAccount { username: Some("anna".to_owned()), device, ..NewAccount::default() };
    let anna = server.accounts.register(new, Batch::new()).await.unwrap().session;
    let ben = server.user("ben").await;
    let room = server.room(&[&anna, &ben]).await;
    let since = Some(server.sync(&anna, None).await.next());
    pass(ACCESS_TOKEN_LIFETIME_MS - 20_000).await;
    let began = moment();
    let before = SyncRequest { since: since.clone(), timeout_ms: 15_000, ..SyncRequest::default() };
    assert!(server.ask(&anna, before).await.unwrap().is_empty());
    assert_eq!(began.elapsed(), Duration::from_secs(15));
    let wait = SyncRequest { since, timeout_ms: 30_000, ..SyncRequest::default() };
    let late = async {
        pass(10_000).await;
        server.say(&ben, &room, "for nobody any more").await;
    };
    let (answer, ()) = tokio::join!(server.ask(&anna, wait), late);
    assert!(matches!(answer, Err(SyncError::Session(_))), "{answer:?}");
}
