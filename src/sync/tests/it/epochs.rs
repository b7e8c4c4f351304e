//! Tokens of an epoch that is over.

use std::time::Duration;

use wardstead_accounts::Session;
use wardstead_engine::{Engine, Group, Position, Writer, system};
use wardstead_rooms::Membership;
use wardstead_store::{SyncToken, Token, testing::START_MS};
use wardstead_sync::SyncRequest;

use crate::support::{Answer, Server, server};

/// Somebody else goes on from here: what is above was lost with the old server.
async fn fail_over(server: &Server) -> Position {
    let last = server.store.caught_up().await.unwrap();
    let engine = &server.engine;
    let stored = engine.get_many(Position::ZERO, &[system::epoch_key()]).await.unwrap().pop().unwrap();
    let batch = system::raise_epoch(stored.as_ref(), last, system::EpochReason::Failover, START_MS).unwrap();
    let epoch = stored.map_or(0, |cell| cell.version);
    let writer = Writer { incarnation: 77, group: 1 };
    engine.commit_group(Group { epoch, writer, batches: vec![batch.into()] }).await.unwrap();
    last
}

fn token(server: &Server, by: &Session, epoch: u32, position: Position) -> String {
    let token = SyncToken { epoch, position, user: by.user, device: by.device, ..SyncToken::default() };
    server.store.tokens().write(&Token::Sync(token))
}

async fn since(server: &Server, by: &Session, token: String) -> Answer {
    server.ask(by, SyncRequest { since: Some(token), timeout_ms: 30_000, ..SyncRequest::default() }).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_token_within_its_epoch_is_like_any_other() {
    let server = server().await;
    let [anna, ben] = server.users(["anna", "ben"]).await;
    let room = server.room(&[&anna, &ben]).await;
    let before = server.sync(&ben, None).await;
    let first = server.say(&anna, &room, "before").await;
    let at_the_end = server.sync(&ben, Some(&before)).await;
    fail_over(&server).await;
    let second = server.say(&anna, &room, "after").await;
    let answer = server.sync(&ben, Some(&before)).await;
    assert_eq!(answer.joined(&room).timeline(), [first.to_string(), second.to_string()]);
    let answer = server.sync(&ben, Some(&at_the_end)).await;
    assert_eq!(answer.joined(&room).timeline(), [second.to_string()]);
    assert!(!answer.joined(&room).limited());
    assert!(server.sync(&ben, Some(&answer)).await.is_empty());
}

/// Beyond: never an error, never nothing. The client is told everything, joined to nothing that it has; also what it left.
#[tokio::test(start_paused = true)]
async fn a_token_beyond_its_epoch_starts_again() {
    let server = server().await;
    let [anna, ben] = server.users(["anna", "ben"]).await;
    let room = server.room(&[&anna, &ben]).await;
    let quiet = server.room(&[&anna, &ben]).await;
    let left = server.room(&[&anna, &ben]).await;
    let left_before = server.room(&[&anna, &ben]).await;
    server.leave(&ben, &left_before).await;
    let last = fail_over(&server).await;
    let beyond = token(&server, &ben, 0, Position(last.0 + 3));
    for _ in 0..2 {
        let answer = since(&server, &ben, beyond.clone()).await;
        let mut rooms = vec![room.to_string(), quiet.to_string(), left.to_string()];
        rooms.sort_unstable();
        assert_eq!(answer.rooms("join"), rooms);
        for room in [&room, &quiet] {
            let section = answer.joined(room);
            assert!(section.limited() && !section.timeline().is_empty() && !section.prev_batch().is_empty());
        }
        assert!(server.sync(&ben, Some(&answer)).await.is_empty(), "the new token is one of the new epoch");
    }
    server.member(&anna, &left, &ben, Membership::Leave).await;
    let said = server.say(&anna, &room, "after").await;
    let answer = since(&server, &ben, beyond).await;
    assert_eq!(answer.rooms("leave"), [left.as_str()], "not what it left before and knows of");
    assert_eq!(answer.rooms("join").len(), 2);
    assert_eq!(answer.joined(&room).timeline().last(), Some(&said.to_string()));
}

/// An epoch that nobody remembers, or that is still to come.
#[tokio::test(start_paused = true)]
async fn an_unknown_epoch_starts_again() {
    let server = server().await;
    let [anna, ben] = server.users(["anna", "ben"]).await;
    let room = server.room(&[&anna, &ben]).await;
    fail_over(&server).await;
    let position = server.store.caught_up().await.unwrap();
    for epoch in [3, u32::MAX] {
        let answer = since(&server, &ben, token(&server, &ben, epoch, position)).await;
        assert_eq!(answer.rooms("join"), [room.as_str()]);
        assert!(answer.joined(&room).limited());
    }
}

/// The epoch ends while a client waits: it waits on, and is told what happens in the new one.
#[tokio::test(start_paused = true)]
async fn a_wait_outlives_its_epoch() {
    let server = server().await;
    let [anna, ben] = server.users(["anna", "ben"]).await;
    let room = server.room(&[&anna, &ben]).await;
    let before = server.sync(&ben, None).await;
    let waiting = {
        let (server, ben, before) = (server.clone(), ben.clone(), before.next());
        tokio::spawn(async move { since(&server, &ben, before).await })
    };
    tokio::time::sleep(Duration::from_secs(1)).await;
    fail_over(&server).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!waiting.is_finished());
    let said = server.say(&anna, &room, "after").await;
    let answer = waiting.await.unwrap();
    assert_eq!(answer.joined(&room).timeline(), [said.to_string()]);
    assert!(server.sync(&ben, Some(&answer)).await.is_empty());
}
