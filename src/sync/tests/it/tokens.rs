//! Whose tokens are taken.

use wardstead_engine::Position;
use wardstead_store::{SyncToken, Token};
use wardstead_sync::{SyncError, SyncRequest};

use crate::support::server;

#[tokio::test(start_paused = true)]
async fn only_the_users_own() {
    let server = server().await;
    let [anna, ben] = server.users(["anna", "ben"]).await;
    let room = server.room(&[&anna, &ben]).await;
    let other_device = server.device(&anna).await;
    let since = server.sync(&anna, None).await;
    let said = server.say(&ben, &room, "hello").await;
    let timeline = since.joined(&room).prev_batch();
    let mut changed = since.next();
    changed.replace_range(9..10, if &changed[9..10] == "A" { "B" } else { "A" });
    for (by, token) in [
        (&ben, since.next()),
        (&anna, changed),
        (&anna, timeline),
        (&anna, String::new()),
        (&anna, "s72594_4483_1934".to_owned()),
    ] {
        let asked = server.ask(by, SyncRequest { since: Some(token.clone()), ..SyncRequest::default() }).await;
        assert!(matches!(asked, Err(SyncError::Since)), "{token}");
    }
    let elsewhere = server.sync(&other_device, Some(&since)).await;
    assert_eq!(elsewhere.joined(&room).timeline(), [said.to_string()]);
}

/// A token from before a failover may stand beyond the newest position: everything from there on is told.
#[tokio::test(start_paused = true)]
async fn beyond_the_newest_position() {
    let server = server().await;
    let [anna, ben] = server.users(["anna", "ben"]).await;
    let room = server.room(&[&anna, &ben]).await;
    let ahead = SyncToken { position: Position(1 << 60), user: anna.user, device: anna.device, ..SyncToken::default() };
    let ahead = server.store.tokens().write(&Token::Sync(ahead));
    let answer = server.ask(&anna, SyncRequest { since: Some(ahead), ..SyncRequest::default() }).await.unwrap();
    assert!(answer.is_empty());
    let said = server.say(&ben, &room, "hello").await;
    assert_eq!(server.sync(&anna, Some(&answer)).await.joined(&room).timeline(), [said.to_string()]);
}
