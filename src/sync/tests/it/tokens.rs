//! Whose tokens are taken.

use wardstead_engine::Position;
use wardstead_rooms::Membership;
use wardstead_store::{SyncToken, Token};
use wardstead_sync::{SyncError, SyncRequest};

use crate::support::server;

#[tokio::test(start_paused = true)]
async fn only_those_of_this_server() {
    let server = server().await;
    let [anna, ben] = server.users(["anna", "ben"]).await;
    let room = server.room(&[&anna, &ben]).await;
    let other_device = server.device(&anna).await;
    let since = server.sync(&anna, None).await;
    let said = server.say(&ben, &room, "hello").await;
    let timeline = since.joined(&room).prev_batch();
    let mut changed = since.next();
    changed.replace_range(9..10, if &changed[9..10] == "A" { "B" } else { "A" });
    for token in [changed, timeline, String::new(), "s72594_4483_1934".to_owned()] {
        let asked = server.ask(&anna, SyncRequest { since: Some(token.clone()), ..SyncRequest::default() }).await;
        assert!(matches!(asked, Err(SyncError::Since)), "{token}");
    }
    let elsewhere = server.sync(&other_device, Some(&since)).await;
    assert_eq!(elsewhere.joined(&room).timeline(), [said.to_string()]);
}

/// Up to another user's position this client was not sent anything: it is told everything, and what its user left from there on.
#[tokio::test(start_paused = true)]
async fn those_of_another_user() {
    let server = server().await;
    let [anna, ben] = server.users(["anna", "ben"]).await;
    let (room, quiet) = (server.room(&[&anna, &ben]).await, server.room(&[&anna, &ben]).await);
    let invited = server.room(&[&anna]).await;
    server.say(&anna, &room, "before").await;
    let of_anna = server.sync(&anna, None).await;
    server.member(&anna, &invited, &ben, Membership::Invite).await;
    server.leave(&ben, &invited).await;
    server.say(&anna, &room, "after").await;
    let answer = server.sync(&ben, Some(&of_anna)).await;
    let whole = server.sync(&ben, None).await;
    for room in [&room, &quiet] {
        assert!(answer.joined(room).limited(), "not joined to anything");
        assert_eq!(answer.joined(room).timeline(), whole.joined(room).timeline());
    }
    assert_eq!(answer.rooms("leave"), [invited.as_str()]);
    assert!(server.sync(&ben, Some(&answer)).await.is_empty(), "the token that it is given is its own");
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
