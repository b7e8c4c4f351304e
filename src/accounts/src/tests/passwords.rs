//! Another password, and which sessions outlive it.

use wardstead_engine::{Batch, Expect, Losing};
use wardstead_limits::accounts as limits;

use super::Server;
use crate::{
    AccountsError, Keep,
    tables::{DEVICES, user_key},
};

const GONE: Result<(), bool> = Err(false);

#[tokio::test]
async fn a_new_password_ends_the_other_sessions_in_its_own_commit() {
    let server = Server::open().await;
    let alice = server.register("alice").await;
    let phone = server.login_refreshable(&alice, Some("PHONE")).await;
    let account = server.accounts.find(&alice.session.user_id).await.unwrap().unwrap();
    let before = server.batches();
    server.accounts.set_password(&account, "$new", Keep::Only(&phone.session), &Batch::new()).await.unwrap();
    assert_eq!(server.batches() - before, 1);
    assert_eq!((server.lets_in(&alice).await, server.lets_in(&phone).await), (GONE, Ok(())));
    let refreshed = server.refresh(&phone).await.unwrap();
    assert_eq!(server.lets_in(&refreshed).await, Ok(()));
    let devices = server.accounts.devices(alice.session.user).await.unwrap();
    assert_eq!(devices.iter().map(|device| device.device_id.as_str()).collect::<Vec<_>>(), ["PHONE"]);
    let account = server.accounts.find(&alice.session.user_id).await.unwrap().unwrap();
    assert_eq!(account.password_hash.as_deref(), Some("$new"));
    // And again, from the session that was kept.
    server.accounts.set_password(&account, "$newer", Keep::Only(&refreshed.session), &Batch::new()).await.unwrap();
    assert_eq!(server.lets_in(&refreshed).await, Ok(()));
}

/// However many sessions there are: all others are void with the commit, and removed in the end.
#[tokio::test(start_paused = true)]
async fn a_new_password_ends_more_sessions_than_one_batch_removes() {
    let server = Server::open().await;
    let alice = server.register("alice").await;
    let mut others = Vec::new();
    for _ in 0..=limits::DEVICES_PER_BATCH {
        others.push(server.login(&alice, None).await);
    }
    let account = server.accounts.find(&alice.session.user_id).await.unwrap().unwrap();
    server.accounts.set_password(&account, "$new", Keep::Only(&alice.session), &Batch::new()).await.unwrap();
    for other in &others {
        assert_eq!(server.lets_in(other).await, GONE);
    }
    assert_eq!(server.lets_in(&alice).await, Ok(()));
    assert_eq!(server.accounts.devices(alice.session.user).await.unwrap().len(), 1, "nobody sees a void device");
    server.accounts.run_removals();
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    assert_eq!(server.lets_in(&alice).await, Ok(()));
    let devices = server.rows().await.into_iter().filter(|(key, _)| key.table() == DEVICES.id()).count();
    assert_eq!(devices, 1);
}

#[tokio::test]
async fn a_new_password_may_keep_all_sessions_or_none() {
    let server = Server::open().await;
    let alice = server.register("alice").await;
    let other = server.login(&alice, None).await;
    let account = async || server.accounts.find(&alice.session.user_id).await.unwrap().unwrap();
    let stale = account().await;
    server.accounts.set_password(&stale, "$new", Keep::All, &Batch::new()).await.unwrap();
    assert_eq!((server.lets_in(&alice).await, server.lets_in(&other).await), (Ok(()), Ok(())));
    let refused = server.accounts.set_password(&stale, "$other", Keep::All, &Batch::new()).await;
    assert!(matches!(refused, Err(AccountsError::Changed)), "who checked the older password looks again: {refused:?}");
    let refused = server.accounts.login(&stale, None, None).await;
    assert!(matches!(refused, Err(AccountsError::Changed)), "{refused:?}");
    server.accounts.set_password(&account().await, "$newer", Keep::None, &Batch::new()).await.unwrap();
    assert_eq!((server.lets_in(&alice).await, server.lets_in(&other).await), (GONE, GONE));
}

/// What the caller adds stands and falls with the password.
#[tokio::test]
async fn the_callers_batch_joins() {
    let server = Server::open().await;
    let alice = server.register("alice").await;
    let account = server.accounts.find(&alice.session.user_id).await.unwrap().unwrap();
    let mut extra = Batch::new();
    extra.expect(user_key(account.user), Expect::Absent, Losing::Fail("used"));
    let refused = server.accounts.set_password(&account, "$new", Keep::None, &extra).await;
    assert!(matches!(refused, Err(AccountsError::Lost(Losing::Fail("used")))), "{refused:?}");
    assert_eq!(server.lets_in(&alice).await, Ok(()));
}
