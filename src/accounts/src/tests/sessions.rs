use std::sync::Arc;

use wardstead_engine::{Batch, Engine, counting::CountingEngine};
use wardstead_limits::accounts as limits;
use wardstead_store::testing;

use super::{Server, new_account};
use crate::{
    Accounts, AccountsError, AuthError, Login, NewAccount,
    authenticate::token_hash,
    floor,
    tables::{DEVICE_TOKENS, DEVICES, TOKENS, USERS, UserRow, device_key, token_key, user_key},
};

const UNKNOWN: Result<(), bool> = Err(false);
const SOFT: Result<(), bool> = Err(true);

#[tokio::test]
async fn other_tokens_are_unknown() {
    let server = Server::open().await;
    let alice = server.register("alice").await;
    let cut = alice.access_token[..alice.access_token.len() - 1].to_owned();
    let huge = format!("wst_{}", "a".repeat(1_000_000));
    for token in ["", "wst_", &alice.access_token.to_lowercase(), &cut, &huge] {
        let refused = server.accounts.authenticate(token).await;
        assert!(matches!(refused, Err(AuthError::Unknown { soft_logout: false })), "{refused:?}");
    }
}

/// Logging in on a device that exists keeps the device and its name, and ends its older token, in one batch.
#[tokio::test]
async fn a_device_is_taken_over() {
    let server = Server::open().await;
    let alice = server.register("alice").await;
    let other = server.login(&alice, None).await;
    let account = server.accounts.find(&alice.session.user_id).await.unwrap().unwrap();

    let before = server.batches();
    let (id, name) = (alice.session.device_id.clone(), Some("ignored".to_owned()));
    let again = server.accounts.login(&account, Some(id), name).await.unwrap();
    assert_eq!(server.batches() - before, 1);
    assert_eq!(again.session.device, alice.session.device);
    assert_ne!(other.session.device, alice.session.device);
    assert_eq!(server.lets_in(&alice).await, UNKNOWN);
    assert_eq!(server.lets_in(&again).await, Ok(()));
    assert_eq!(server.lets_in(&other).await, Ok(()));
    let devices = server.accounts.devices(alice.session.user).await.unwrap();
    assert_eq!(devices.len(), 2);
    assert!(devices.iter().all(|device| device.display_name.is_none()));
}

/// Two logins on one device at the same time leave one good token, whether or not the device existed.
#[tokio::test]
async fn one_token_a_device() {
    let server = Server::open().await;
    let alice = server.register("alice").await;
    let account = server.accounts.find(&alice.session.user_id).await.unwrap().unwrap();
    for device in [alice.session.device_id.as_str(), "NEW"] {
        let (one, two) = tokio::join!(
            server.accounts.login(&account, Some(device.into()), None),
            server.accounts.login(&account, Some(device.into()), None),
        );
        let (one, two) = (one.unwrap(), two.unwrap());
        assert_eq!(one.session.device, two.session.device);
        let good = [server.lets_in(&one).await, server.lets_in(&two).await];
        assert_eq!(good.iter().filter(|good| good.is_ok()).count(), 1, "{good:?}");
    }
}

#[tokio::test]
async fn logout_ends_one_device() {
    let server = Server::open().await;
    let alice = server.register("alice").await;
    let other = server.login(&alice, None).await;
    let before = server.batches();
    server.accounts.logout(&alice.session).await.unwrap();
    assert_eq!(server.batches() - before, 1);
    assert_eq!(server.lets_in(&alice).await, UNKNOWN);
    assert_eq!(server.lets_in(&other).await, Ok(()));
    assert_eq!(server.accounts.devices(alice.session.user).await.unwrap().len(), 1);

    // Made again under its name it is another device; neither the older token nor a late logout of the older one counts.
    let again = server.login(&alice, Some(alice.session.device_id.as_str())).await;
    assert_ne!(again.session.device, alice.session.device);
    server.accounts.logout(&alice.session).await.unwrap();
    assert_eq!(server.lets_in(&alice).await, UNKNOWN);
    assert_eq!(server.lets_in(&again).await, Ok(()));
}

/// A token row that outlived its device, as between the two reads of a request, lets nobody in.
#[tokio::test]
async fn a_token_needs_its_device() {
    let server = Server::open().await;
    let alice = server.register("alice").await;
    let key = token_key(&token_hash(&alice.access_token));
    let token = server.store.get(&TOKENS, &key).await.unwrap().unwrap().row;
    let put_back = async || {
        let mut batch = Batch::new();
        TOKENS.put(&mut batch, key.clone(), &token);
        server.store.commit(batch).await.unwrap();
    };
    server.accounts.logout(&alice.session).await.unwrap();
    put_back().await;
    assert_eq!(server.lets_in(&alice).await, UNKNOWN);
    server.login(&alice, Some(alice.session.device_id.as_str())).await;
    assert_eq!(server.lets_in(&alice).await, UNKNOWN, "another device of the same name");
}

/// The user's session number alone voids a token, with its device still there.
#[tokio::test]
async fn a_token_is_of_its_users_session() {
    let server = Server::open().await;
    let alice = server.register("alice").await;
    let token = token_key(&token_hash(&alice.access_token));
    let device = device_key(alice.session.user, alice.session.device_id.as_str());
    let token_row = server.store.get(&TOKENS, &token).await.unwrap().unwrap().row;
    let device_row = server.store.get(&DEVICES, &device).await.unwrap().unwrap().row;
    server.accounts.logout_all(&alice.session).await.unwrap();
    let mut batch = Batch::new();
    TOKENS.put(&mut batch, token, &token_row);
    DEVICES.put(&mut batch, device, &device_row);
    server.store.commit(batch).await.unwrap();
    assert_eq!(server.lets_in(&alice).await, UNKNOWN);
}

#[tokio::test]
async fn logout_all_ends_every_device_in_one_batch() {
    let server = Server::open().await;
    let alice = server.register("alice").await;
    let other = server.login(&alice, None).await;
    let bob = server.register("bob").await;
    let stale = server.accounts.find(&alice.session.user_id).await.unwrap().unwrap();
    let before = server.batches();
    server.accounts.logout_all(&alice.session).await.unwrap();
    assert_eq!(server.batches() - before, 1);
    assert_eq!((server.lets_in(&alice).await, server.lets_in(&other).await), (UNKNOWN, UNKNOWN));
    assert_eq!(server.lets_in(&bob).await, Ok(()));
    assert!(server.accounts.devices(alice.session.user).await.unwrap().is_empty());

    // Credentials that were checked before do not open a session after.
    let refused = server.accounts.login(&stale, None, None).await;
    assert!(matches!(refused, Err(AccountsError::Changed)), "{refused:?}");
    let again = server.login(&alice, None).await;
    assert_eq!(server.lets_in(&again).await, Ok(()));
}

/// A login that runs beside the end of all sessions is ended too or does not happen, whichever commits first.
#[tokio::test]
async fn no_session_slips_through_logout_all() {
    for login_first in [true, false] {
        let server = Server::open().await;
        let alice = server.register("alice").await;
        let account = server.accounts.find(&alice.session.user_id).await.unwrap().unwrap();
        let login = server.accounts.login(&account, None, None);
        let logout = server.accounts.logout_all(&alice.session);
        let (login, logout) = if login_first {
            tokio::join!(login, logout)
        } else {
            let (logout, login) = tokio::join!(logout, login);
            (login, logout)
        };
        logout.unwrap();
        match login {
            Ok(login) => assert_eq!(server.lets_in(&login).await, UNKNOWN),
            Err(error) => assert!(matches!(error, AccountsError::Changed), "{error:?}"),
        }
    }
}

/// More devices than one batch removes: all void with the first batch, all removed in the end, by whichever node has the work.
#[tokio::test(start_paused = true)]
async fn logout_all_has_no_upper_bound() {
    let server = Server::open().await;
    let alice = server.register("alice").await;
    let account = server.accounts.find(&alice.session.user_id).await.unwrap().unwrap();
    let mut newest = None;
    for _ in 0..2 * limits::DEVICES_PER_BATCH {
        newest = Some(server.accounts.login(&account, None, None).await.unwrap());
    }
    let newest = newest.unwrap();
    let before = server.batches();
    server.accounts.logout_all(&alice.session).await.unwrap();
    assert_eq!(server.batches() - before, 1);
    assert_eq!(server.lets_in(&newest).await, UNKNOWN);
    assert!(server.accounts.devices(alice.session.user).await.unwrap().is_empty(), "nobody sees a void device");
    let left = |key: &wardstead_engine::Key| [TOKENS.id(), DEVICE_TOKENS.id(), DEVICES.id()].contains(&key.table());
    assert!(server.rows().await.iter().filter(|(key, _)| left(key)).count() >= 3 * limits::DEVICES_PER_BATCH);

    // A void device is no obstacle to another one of its name.
    let account = server.accounts.find(&alice.session.user_id).await.unwrap().unwrap();
    let remaining = server.rows().await.into_iter().find(|(key, _)| key.table() == DEVICES.id()).unwrap().0;
    let name = wardstead_engine::KeyReader::new(&remaining).text().unwrap();
    let again = server.accounts.login(&account, Some(name.into()), None).await.unwrap();
    assert_eq!(server.lets_in(&again).await, Ok(()));

    server.accounts.run_removals();
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    assert_eq!(server.rows().await.iter().filter(|(key, _)| left(key)).count(), 3, "the new device alone is left");
    assert_eq!(server.lets_in(&again).await, Ok(()));
}

#[tokio::test]
async fn a_deactivated_account_is_out_and_stays_out() {
    let server = Server::open().await;
    let alice = server.register("alice").await;
    let stale = server.accounts.find(&alice.session.user_id).await.unwrap().unwrap();
    let before = server.batches();
    server.accounts.deactivate(&alice.session.user_id, false, &Batch::new()).await.unwrap();
    assert_eq!(server.batches() - before, 1);
    assert_eq!(server.lets_in(&alice).await, UNKNOWN);
    let refused = server.accounts.login(&stale, None, None).await;
    assert!(matches!(refused, Err(AccountsError::Changed)), "{refused:?}");
    let account = server.accounts.find(&alice.session.user_id).await.unwrap().unwrap();
    assert!(account.deactivated);
    let refused = server.accounts.login(&account, None, None).await;
    assert!(matches!(refused, Err(AccountsError::Deactivated)), "{refused:?}");
    let taken = server.accounts.register(new_account("alice"), Batch::new()).await;
    assert!(matches!(taken, Err(AccountsError::UserInUse)), "the name stays taken: {taken:?}");
    let nobody = server.accounts.deactivate(ruma::user_id!("@bob:example.org"), false, &Batch::new()).await;
    assert!(matches!(nobody, Err(AccountsError::NoAccount)), "{nobody:?}");
}

/// The flag alone, with every token still there, keeps the user out.
#[tokio::test]
async fn the_flag_is_read_with_each_request() {
    let server = Server::open().await;
    let alice = server.register("alice").await;
    let key = user_key(alice.session.user);
    let found = server.store.get(&USERS, &key).await.unwrap().unwrap();
    let mut batch = Batch::new();
    USERS.put_with(&mut batch, key, found.version + 1, &[], &UserRow { deactivated: true, ..found.row });
    server.store.commit(batch).await.unwrap();
    let refused = server.accounts.authenticate(&alice.access_token).await;
    assert!(matches!(refused, Err(AuthError::Deactivated)), "{refused:?}");
}

/// What a restore commits.
pub(super) async fn restored(server: &Server, keep_sessions: bool, now_ms: u64) {
    let stored = server.store.cells(&[floor::session_floor_key()]).await.unwrap().remove(0);
    let mut batch = Batch::new();
    floor::restored(&mut batch, stored.as_ref(), keep_sessions, now_ms).unwrap();
    server.store.commit(batch).await.unwrap();
}

/// A token that was issued before the restore but is not in the backup.
fn lost(login: &Login) -> Login {
    let (front, secret) = login.access_token.split_at(login.access_token.len() - 1);
    let last = if secret == "a" { "b" } else { "a" };
    Login { access_token: format!("{front}{last}"), ..login.clone() }
}

/// After a restore every token issued before is refused softly, those issued after are good.
#[tokio::test]
async fn the_session_floor_logs_out_softly() {
    let server = Server::open().await;
    let alice = server.register("alice").await;
    assert_eq!(server.lets_in(&lost(&alice)).await, UNKNOWN, "nothing was restored yet");
    restored(&server, false, 5_000).await;
    assert_eq!(server.lets_in(&alice).await, SOFT);
    assert_eq!(server.lets_in(&lost(&alice)).await, SOFT, "it was issued after the backup");

    let again = server.login(&alice, Some(alice.session.device_id.as_str())).await;
    let bob = server.accounts.register(NewAccount::default(), Batch::new()).await.unwrap();
    assert_eq!(again.session.device, alice.session.device, "the device is kept, and what is stored for it");
    assert_eq!((server.lets_in(&again).await, server.lets_in(&bob).await), (Ok(()), Ok(())));
    assert_eq!(server.lets_in(&lost(&again)).await, UNKNOWN, "of those issued now it knows all");
    let gone = server.login(&alice, None).await;
    server.accounts.logout(&gone.session).await.unwrap();
    assert_eq!(server.lets_in(&gone).await, UNKNOWN, "a logout after the restore is one");
    // A clock that went back.
    restored(&server, false, 1_000).await;
    assert_eq!((server.lets_in(&again).await, server.lets_in(&bob).await), (SOFT, SOFT));
}

#[tokio::test]
async fn a_restore_may_keep_sessions() {
    let server = Server::open().await;
    let alice = server.register("alice").await;
    restored(&server, true, 5_000).await;
    assert_eq!(server.lets_in(&alice).await, Ok(()));
    assert_eq!(server.lets_in(&lost(&alice)).await, SOFT, "a session that began after the backup keeps its keys");
    let bob = server.register("bob").await;
    assert_eq!((server.lets_in(&bob).await, server.lets_in(&lost(&bob)).await), (Ok(()), UNKNOWN));
    restored(&server, false, 6_000).await;
    restored(&server, true, 7_000).await;
    assert_eq!(
        (server.lets_in(&alice).await, server.lets_in(&bob).await),
        (SOFT, SOFT),
        "the floor stays where it was"
    );
}

/// Two restores of one backup: a token of the first is not taken for one of the second.
#[tokio::test]
async fn the_same_backup_restored_twice_shares_no_tokens() {
    let (first, second) = (Server::open().await, Server::open().await);
    restored(&first, false, 5_000).await;
    restored(&second, false, 9_000).await;
    let alice = first.register("alice").await;
    assert_eq!(second.lets_in(&alice).await, SOFT);
}

/// A failing engine is not a logout: the client must not be told that its token is unknown.
#[tokio::test]
async fn a_failed_read_is_not_an_unknown_token() {
    let server = Server::open().await;
    let alice = server.register("alice").await;
    let faults = server.engine.faults();
    for read in 0..2 {
        faults.fail_read(read + 1);
        let refused = server.accounts.authenticate(&alice.access_token).await;
        assert!(matches!(refused, Err(AuthError::Store(_))), "read {read}: {refused:?}");
        faults.clear();
    }
    assert!(faults.flip_bit(&token_key(&token_hash(&alice.access_token)), 3));
    let refused = server.accounts.authenticate(&alice.access_token).await;
    assert!(matches!(refused, Err(AuthError::Store(_))), "{refused:?}");
}

/// Whoever waits on behalf of the account hears of it.
#[tokio::test]
async fn changes_are_in_the_journal() {
    let server = Server::open().await;
    let alice = server.register("alice").await;
    let mut since = server.store.caught_up().await.unwrap();
    let mut heard = async || {
        let before = std::mem::replace(&mut since, server.store.caught_up().await.unwrap());
        server.store.user_changed(alice.session.user, before)
    };
    assert_eq!(heard().await, Some(false));
    let other = server.login(&alice, None).await;
    assert_eq!(heard().await, Some(true));
    server.accounts.logout(&other.session).await.unwrap();
    assert_eq!(heard().await, Some(true));
    server.accounts.logout_all(&alice.session).await.unwrap();
    assert_eq!(heard().await, Some(true));
}

/// Secrets do not get into logs.
#[tokio::test]
async fn debug_output_has_no_secrets() {
    let server = Server::open().await;
    let alice = server.register("alice").await;
    let account = server.accounts.find(&alice.session.user_id).await.unwrap().unwrap();
    let printed = format!("{alice:?} {account:?} {:?}", new_account("alice"));
    assert!(!printed.contains(&alice.access_token) && !printed.contains("$hash"), "{printed}");
}

/// What a node has seen of a token saves a read, and is no answer.
#[tokio::test]
async fn a_token_that_was_seen_costs_one_read_and_is_refused_after_a_logout_elsewhere() {
    let (engine, clock) = testing::engine();
    let (counting, counts) = CountingEngine::new(Arc::clone(&engine) as Arc<dyn Engine>);
    let here = testing::over(Arc::new(counting), "example.org", clock.clone(), 1).await.unwrap();
    let there = testing::over(engine, "example.org", clock, 2).await.unwrap();
    let name = || "example.org".try_into().unwrap();
    let (here, there) = (Accounts::new(here, name()), Accounts::new(there, name()));
    let login = here.register(new_account("alice"), Batch::new()).await.unwrap();
    let gets = async || {
        let before = counts.read().gets;
        let session = here.authenticate(&login.access_token).await;
        (session.ok(), counts.read().gets - before)
    };
    assert_eq!(gets().await, (Some(login.session.clone()), 2), "whose it is has to be found out");
    assert_eq!(gets().await, (Some(login.session.clone()), 1));
    there.logout(&login.session).await.unwrap();
    for _ in 0..2 {
        let refused = here.authenticate(&login.access_token).await;
        assert!(matches!(refused, Err(AuthError::Unknown { soft_logout: false })), "{refused:?}");
    }
}
