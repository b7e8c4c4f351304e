use wardstead_engine::{AccessPattern, Batch, Expect, Key, Losing, TableId};
use wardstead_limits::accounts as limits;

use super::{Server, new_account, on_device};
use crate::{AccountsError, NewAccount, NewDevice};

fn foreign_key() -> Key {
    Key::build(TableId::new(AccessPattern::Point, 0x0ff), 0).key()
}

/// Account, device and token are one commit; authenticating takes two reads of the engine.
#[tokio::test]
async fn one_batch_and_two_reads() {
    let server = Server::open().await;
    let before = server.counts.read();
    let alice = server.register("alice").await;
    assert_eq!(server.counts.read().batches - before.batches, 1);
    assert_eq!(alice.session.user_id, "@alice:example.org");
    assert!(!alice.session.admin);

    let before = server.counts.read();
    assert_eq!(server.lets_in(&alice).await, Ok(()));
    let after = server.counts.read();
    assert_eq!((after.gets - before.gets, after.scans, after.batches), (2, before.scans, before.batches));
}

/// No row holds the token, nor as much of it as could be told from chance.
#[tokio::test]
async fn a_token_is_stored_only_as_a_hash() {
    let server = Server::open().await;
    let alice = server.register("alice").await;
    let secret = alice.access_token.strip_prefix("wst_").unwrap().as_bytes();
    assert_eq!(secret.len(), limits::ACCESS_TOKEN_CHARS);
    let parts: Vec<&[u8]> = secret.windows(8).collect();
    let holds = |bytes: &[u8]| bytes.windows(8).any(|window| parts.contains(&window));
    let rows = server.rows().await;
    assert!(rows.len() >= 5, "the rows of an account are looked at");
    for (key, payload) in rows {
        assert!(!holds(key.as_bytes()) && !holds(&payload), "{key:?} holds the token");
    }
}

#[tokio::test]
async fn names_are_folded_and_checked() {
    let server = Server::open().await;
    assert_eq!(server.register("Dr.House_=/+-7").await.session.user_id, "@dr.house_=/+-7:example.org");
    let taken = server.accounts.register(new_account("dr.HOUSE_=/+-7"), Batch::new()).await;
    assert!(matches!(taken, Err(AccountsError::UserInUse)), "{taken:?}");
    for name in ["", "a b", "a:b", "@a", "é", "a!", "a\n", "a\0", "a'"] {
        let refused = server.accounts.register(new_account(name), Batch::new()).await;
        assert!(matches!(refused, Err(AccountsError::InvalidUsername)), "{name:?}: {refused:?}");
    }
    let longest = limits::USER_ID_BYTES - "@:example.org".len();
    server.register(&"a".repeat(longest)).await;
    assert!(server.accounts.local_user_id(&"a".repeat(longest + 1)).is_err());
}

#[tokio::test]
async fn a_login_name_is_a_name_or_an_id_of_this_server() {
    let server = Server::open().await;
    for name in ["alice", "Alice", "@alice:example.org", "@ALICE:example.org"] {
        assert_eq!(server.accounts.user_id_of_login(name).unwrap(), "@alice:example.org");
    }
    for name in ["@alice:example.com", "@alice", "alice:example.org", "", "@:example.org"] {
        assert_eq!(server.accounts.user_id_of_login(name), None, "{name}");
    }
}

/// Two registrations of one name at the same time: one account, and nothing of the other.
#[tokio::test]
async fn a_name_is_given_once() {
    let server = Server::open().await;
    let (one, two) = tokio::join!(
        server.accounts.register(on_device("alice", "ONE"), Batch::new()),
        server.accounts.register(on_device("ALICE", "TWO"), Batch::new()),
    );
    let (won, lost) = if one.is_ok() { (one, two) } else { (two, one) };
    assert!(matches!(lost, Err(AccountsError::UserInUse)), "{lost:?}");
    let won = won.unwrap();
    assert_eq!(server.lets_in(&won).await, Ok(()));
    assert_eq!(server.accounts.local_users(None, 10).await.unwrap(), [(won.session.user_id, won.session.user)]);
    let tokens = server.rows().await.into_iter().filter(|(key, _)| key.table() == crate::tables::TOKENS.id());
    assert_eq!(tokens.count(), 1);
}

/// What the caller adds stands or falls with the account.
#[tokio::test]
async fn the_callers_batch_joins() {
    let server = Server::open().await;
    let mut extra = Batch::new();
    extra.expect(foreign_key(), Expect::Absent, Losing::Fail("used"));
    extra.put_with(foreign_key(), 1, &[], &b"used"[..]);
    server.accounts.register(new_account("alice"), extra.clone()).await.unwrap();
    assert!(server.store.cells(&[foreign_key()]).await.unwrap()[0].is_some());

    let lost = server.accounts.register(new_account("bob"), extra.clone()).await;
    assert!(matches!(lost, Err(AccountsError::Lost(Losing::Fail("used")))), "{lost:?}");
    assert_eq!(server.accounts.local_users(None, 10).await.unwrap().len(), 1, "no account without the rest");
    let lost = server.accounts.create(new_account("bob"), extra.clone()).await;
    assert!(matches!(lost, Err(AccountsError::Lost(_))), "{lost:?}");

    // A taken name is named as the reason, and the rest is not done.
    extra.assertions.clear();
    extra.put_with(foreign_key(), 2, &[], &b"again"[..]);
    let lost = server.accounts.register(new_account("alice"), extra).await;
    assert!(matches!(lost, Err(AccountsError::UserInUse)), "{lost:?}");
    assert_eq!(server.store.cells(&[foreign_key()]).await.unwrap()[0].as_ref().unwrap().version, 1);
}

#[tokio::test]
async fn an_account_without_a_session() {
    let server = Server::open().await;
    let before = server.batches();
    let made = server.accounts.create(NewAccount { admin: true, ..new_account("alice") }, Batch::new()).await.unwrap();
    assert_eq!(server.batches() - before, 1);
    assert_eq!(server.accounts.find(&made.user_id).await.unwrap().unwrap(), made);
    assert!(server.accounts.devices(made.user).await.unwrap().is_empty());
    let login = server.accounts.login(&made, None, None).await.unwrap();
    assert!(login.session.admin);
    assert_eq!(server.lets_in(&login).await, Ok(()));
}

#[tokio::test]
async fn names_of_users_and_devices_are_generated() {
    let server = Server::open().await;
    let login = server.accounts.register(NewAccount::default(), Batch::new()).await.unwrap();
    let localpart = login.session.user_id.localpart();
    assert_eq!(localpart.len(), limits::GENERATED_USERNAME_CHARS);
    assert_eq!(server.accounts.local_user_id(localpart).unwrap(), login.session.user_id);
    assert_eq!(login.session.device_id.as_str().len(), limits::GENERATED_DEVICE_ID_CHARS);
}

#[tokio::test]
async fn devices_are_bounded() {
    let server = Server::open().await;
    let register =
        |device: NewDevice| server.accounts.register(NewAccount { device, ..new_account("alice") }, Batch::new());
    for id in ["", &"d".repeat(limits::DEVICE_ID_BYTES + 1)] {
        let refused =
            register(NewDevice { device_id: Some(id.into()), display_name: None, ..NewDevice::default() }).await;
        assert!(matches!(refused, Err(AccountsError::InvalidDeviceId)), "{refused:?}");
    }
    let name = "n".repeat(limits::DEVICE_ID_BYTES);
    let refused = register(NewDevice { display_name: Some(format!("{name}n")), ..NewDevice::default() }).await;
    assert!(matches!(refused, Err(AccountsError::InvalidDisplayName)), "{refused:?}");
    assert!(server.accounts.is_empty().await.unwrap());
    // The longest that is allowed, in the worst form for a key.
    let id = "\0".repeat(limits::DEVICE_ID_BYTES);
    let alice = register(NewDevice {
        device_id: Some(id.as_str().into()),
        display_name: Some(name.clone()),
        ..NewDevice::default()
    })
    .await;
    let devices = server.accounts.devices(alice.unwrap().session.user).await.unwrap();
    assert_eq!((devices[0].device_id.as_str(), devices[0].display_name.as_ref()), (id.as_str(), Some(&name)));
}

#[tokio::test]
async fn users_are_listed_in_pages_and_found_both_ways() {
    let server = Server::open().await;
    assert!(server.accounts.is_empty().await.unwrap());
    let mut ids = Vec::new();
    for name in ["carol", "alice", "bob"] {
        ids.push(server.register(name).await.session.user);
    }
    let first = server.accounts.local_users(None, 2).await.unwrap();
    assert_eq!(first.iter().map(|(id, _)| id.localpart()).collect::<Vec<_>>(), ["alice", "bob"]);
    let second = server.accounts.local_users(Some(&first[1].0), 2).await.unwrap();
    assert_eq!(second, [("@carol:example.org".try_into().unwrap(), ids[0])]);
    assert!(server.accounts.local_users(Some(&second[0].0), 2).await.unwrap().is_empty());

    assert_eq!(server.accounts.user_short_id(&first[0].0).await.unwrap(), Some(ids[1]));
    let foreign = ruma::user_id!("@alice:example.com");
    assert_eq!(server.accounts.user_short_id(foreign).await.unwrap(), None);
    assert_eq!(server.accounts.find(foreign).await.unwrap(), None);
    let names = server.accounts.user_ids(&[ids[2], u64::MAX]).await.unwrap();
    assert_eq!(names, [Some("@bob:example.org".try_into().unwrap()), None]);
}
