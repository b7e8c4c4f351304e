//! Devices: how they are shown, renamed and removed.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use ruma::OwnedDeviceId;
use wardstead_engine::{AccessPattern, Batch, Engine as _, Expect, Losing, Position};
use wardstead_limits::accounts as limits;
use wardstead_store::{CommitContributor, Contribution, Contributors, Overlay, StoreError, Table};

use super::{Server, new_account};
use crate::{
    AccountChange, AccountHooks, AccountsError, Client, DevicesRemoved, NewAccount, NewDevice,
    tables::{LAST_SEEN, LastSeenRow},
};

const GONE: Result<(), bool> = Err(false);

/// Rows of a part above, one for each change.
const FOLLOWED: Table<LastSeenRow> = Table::new(AccessPattern::Scan, 0x0fe, "followed", "tests");

/// Writes down what it is told.
#[derive(Default)]
struct Follower(Mutex<Vec<AccountChange>>);

#[async_trait]
impl CommitContributor<AccountChange> for Follower {
    async fn prepare(&self, change: &AccountChange, _: &Overlay<'_>) -> Result<Contribution, StoreError> {
        self.0.lock().unwrap().push(change.clone());
        let number = self.0.lock().unwrap().len() as u64;
        Ok(Contribution::new(move |batch, entry| {
            let row = LastSeenRow { at_ms: number, address: None, user_agent: None };
            FOLLOWED.put(batch, FOLLOWED.key(number).slot(entry).template(), &row);
        }))
    }
}

impl Follower {
    fn told(&self) -> Vec<AccountChange> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

async fn followed() -> (Server, Arc<Follower>) {
    let follower = Arc::new(Follower::default());
    let contributors = vec![Arc::clone(&follower) as Arc<dyn CommitContributor<AccountChange>>];
    let contributors = Arc::new(Contributors::new(contributors));
    (Server::with_hooks(AccountHooks { contributors, ..AccountHooks::default() }).await, follower)
}

fn removed(change: &AccountChange) -> Vec<(u64, &str)> {
    let AccountChange::DevicesRemoved(DevicesRemoved { devices, .. }) = change else { panic!("{change:?}") };
    devices.iter().map(|device| (device.device, device.device_id.as_str())).collect()
}

/// The tables of all rows but those of who follows.
async fn tables(server: &Server) -> Vec<u16> {
    let tables = server.rows().await.into_iter().map(|(key, _)| key.table());
    tables.filter(|table| *table != FOLLOWED.id()).map(wardstead_engine::TableId::stored).collect()
}

/// A device goes in one commit with everything that is kept for it, here and by those who follow.
#[tokio::test]
async fn a_device_goes_with_all_that_is_kept_for_it() {
    let (server, follower) = followed().await;
    let alice = server.register("alice").await;
    let before = tables(&server).await;
    let phone = server.login_refreshable(&alice, Some("PHONE")).await;
    let tablet = server.login_refreshable(&alice, Some("TABLET")).await;
    let tablet = server.refresh(&tablet).await.unwrap();
    follower.told();

    let count = server.batches();
    let (id, tablet_id, nobody): (OwnedDeviceId, OwnedDeviceId, OwnedDeviceId) =
        ("PHONE".into(), "TABLET".into(), "NOBODYS".into());
    let ids = [id.clone(), tablet_id, nobody.clone(), id, "".into(), "d".repeat(256).into()];
    server.accounts.remove_devices(&alice.session, &ids, Batch::new()).await.unwrap();
    assert_eq!(server.batches() - count, 1);
    let told = follower.told();
    let expected = [(phone.session.device, "PHONE"), (tablet.session.device, "TABLET")];
    assert_eq!(told.iter().map(removed).collect::<Vec<_>>(), [expected]);
    for login in [&phone, &tablet] {
        assert_eq!((server.lets_in(login).await, server.refresh(login).await.map(drop)), (GONE, GONE));
    }
    assert_eq!(tables(&server).await, before);
    let added = server.rows().await.into_iter().filter(|(key, _)| key.table() == FOLLOWED.id()).count();
    assert_eq!(added, 2, "what they add is part of the commit");

    // Nothing is left to remove: no commit, and nobody is told.
    server.accounts.remove_devices(&alice.session, &[nobody], Batch::new()).await.unwrap();
    assert_eq!((server.batches() - count, follower.told().len()), (1, 0));
}

/// A confirmation that served meanwhile stops the removal, and is written down even where there is nothing to remove.
#[tokio::test]
async fn the_callers_batch_joins_a_removal() {
    let server = Server::open().await;
    let alice = server.register("alice").await;
    let phone = server.login(&alice, Some("PHONE")).await;
    let key = LAST_SEEN.key(77).u64(1).key();
    let extra = || {
        let mut extra = Batch::new();
        extra.expect(key.clone(), Expect::Absent, Losing::Fail("used"));
        LAST_SEEN.put(&mut extra, key.clone(), &LastSeenRow { at_ms: 0, address: None, user_agent: None });
        extra
    };
    server.accounts.remove_devices(&alice.session, &["NOBODYS".into()], extra()).await.unwrap();
    let refused = server.accounts.remove_devices(&alice.session, &["PHONE".into()], extra()).await;
    assert!(matches!(refused, Err(AccountsError::Lost(Losing::Fail("used")))), "{refused:?}");
    assert_eq!(server.lets_in(&phone).await, Ok(()));
}

#[tokio::test]
async fn more_devices_than_one_commit_removes() {
    let (server, follower) = followed().await;
    let alice = server.register("alice").await;
    let account = server.accounts.find(&alice.session.user_id).await.unwrap().unwrap();
    let mut ids = Vec::new();
    for _ in 0..=limits::DEVICES_PER_BATCH {
        ids.push(server.accounts.login(&account, None, None).await.unwrap().session.device_id);
    }
    follower.told();
    server.accounts.remove_devices(&alice.session, &ids, Batch::new()).await.unwrap();
    let told: Vec<usize> = follower.told().iter().map(|change| removed(change).len()).collect();
    assert_eq!(told, [limits::DEVICES_PER_BATCH, 1]);
    assert_eq!(server.accounts.devices(alice.session.user).await.unwrap().len(), 1);
}

/// Who follows is told of each device once, however its session ended.
#[tokio::test]
async fn who_follows_is_told() {
    let (server, follower) = followed().await;
    let alice = server.register("alice").await;
    follower.told();
    let phone = server.login(&alice, Some("PHONE")).await;
    assert_eq!(follower.told(), []);
    server.accounts.rename_device(&alice.session, "PHONE".into(), "My phone").await.unwrap();
    server.accounts.rename_device(&alice.session, "PHONE".into(), "My phone").await.unwrap();
    let told = follower.told();
    assert!(matches!(&told[..], [AccountChange::DeviceRenamed(renamed)] if renamed.device == phone.session.device));
    server.login(&alice, Some("PHONE")).await;
    assert_eq!(follower.told(), [], "the device goes on");
    server.accounts.logout(&phone.session).await.unwrap();
    assert_eq!(removed(&follower.told()[0]), [(phone.session.device, "PHONE")]);
    server.accounts.deactivate(&alice.session.user_id, true, &Batch::new()).await.unwrap();
    let told = follower.told();
    assert_eq!(removed(&told[0]).len(), 1);
    assert!(matches!(&told[1], AccountChange::Deactivated(gone) if gone.erase && gone.user == alice.session.user));
}

/// A device that was removed and made again is another one: what was begun about the older one does not hit it.
#[tokio::test]
async fn versions_are_a_devices_own() {
    let server = Server::open().await;
    let alice = server.register("alice").await;
    let versions = async || {
        let key = crate::tables::device_key(alice.session.user, "PHONE");
        server.store.get(&crate::tables::DEVICES, &key).await.unwrap().unwrap().version
    };
    let phone = server.login(&alice, Some("PHONE")).await;
    let first = versions().await;
    server.accounts.logout(&phone.session).await.unwrap();
    server.login(&alice, Some("PHONE")).await;
    assert_ne!(versions().await, first);
}

#[tokio::test]
async fn renaming() {
    let server = Server::open().await;
    let alice = server.register("alice").await;
    server.login(&alice, Some("PHONE")).await;
    let before = server.batches();
    server.accounts.rename_device(&alice.session, "PHONE".into(), "My phone").await.unwrap();
    assert_eq!(server.batches() - before, 1);
    let phone = server.accounts.device(&alice.session, "PHONE".into()).await.unwrap();
    assert_eq!(phone.display_name.as_deref(), Some("My phone"));
    let long = "n".repeat(limits::DEVICE_ID_BYTES + 1);
    let refused = server.accounts.rename_device(&alice.session, "PHONE".into(), &long).await;
    assert!(matches!(refused, Err(AccountsError::InvalidDisplayName)), "{refused:?}");
    for nobodys in ["NOBODYS".to_owned(), String::new(), long] {
        let refused = server.accounts.rename_device(&alice.session, nobodys.as_str().into(), "n").await;
        assert!(matches!(refused, Err(AccountsError::NoDevice)), "{refused:?}");
    }
}

fn from(address: &str) -> Client {
    Client::new(address.parse().unwrap(), Some("Ward/1.0"))
}

/// When a device was last seen is written now and then, with other commits, whichever nodes it asks.
#[tokio::test(start_paused = true)]
async fn last_seen() {
    let server = Server::open().await;
    let there = server.another().await;
    let device = NewDevice { client: Some(from("192.0.2.1")), ..NewDevice::default() };
    let alice = NewAccount { device, ..new_account("alice") };
    let alice = server.accounts.register(alice, Batch::new()).await.unwrap();
    let seen = async || {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        let devices = server.accounts.devices(alice.session.user).await.unwrap();
        let seen = devices.into_iter().next().unwrap().last_seen;
        (seen.at_ms - wardstead_store::testing::START_MS, seen.address.unwrap().to_string(), seen.user_agent.unwrap())
    };
    let ward = "Ward/1.0".to_owned();
    assert_eq!(seen().await, (0, "192.0.2.1".to_owned(), ward.clone()));
    server.clock.advance_ms(limits::LAST_SEEN_MS - 1);
    server.accounts.seen(&alice.session, &from("192.0.2.2")).await.unwrap();
    assert_eq!(seen().await.0, 0, "too early");
    server.clock.advance_ms(limits::LAST_SEEN_MS);
    server.accounts.seen(&alice.session, &from("192.0.2.2")).await.unwrap();
    there.accounts.seen(&alice.session, &from("192.0.2.3")).await.unwrap();
    let at_ms = 2 * limits::LAST_SEEN_MS - 1;
    assert_eq!(seen().await, (at_ms, "192.0.2.2".to_owned(), ward.clone()));
    let gets = server.counts.read().gets;
    server.accounts.seen(&alice.session, &from("192.0.2.4")).await.unwrap();
    assert_eq!(server.counts.read().gets, gets, "this node knows that it is too early");
    server.clock.advance_ms(limits::LAST_SEEN_MS);
    there.accounts.seen(&alice.session, &from("2001:db8::1")).await.unwrap();
    assert_eq!(seen().await, (at_ms + limits::LAST_SEEN_MS, "2001:db8::1".to_owned(), ward));
}

/// A device that is gone does not come back by having been seen.
#[tokio::test(start_paused = true)]
async fn a_removed_device_is_not_seen() {
    let server = Server::open().await;
    let alice = server.register("alice").await;
    server.clock.advance_ms(2 * limits::LAST_SEEN_MS);
    server.accounts.logout(&alice.session).await.unwrap();
    server.accounts.seen(&alice.session, &from("192.0.2.2")).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert!(!tables(&server).await.contains(&LAST_SEEN.id().stored()));
    assert!(server.engine.position().await.unwrap() > Position::ZERO);
}
