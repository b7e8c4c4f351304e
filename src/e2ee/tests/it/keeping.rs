//! What becomes of keys when devices and accounts go, and what an upload writes.

use wardstead_accounts::NewDevice;
use wardstead_engine::{Batch, Position};
use wardstead_store::testing;

use crate::support::{all_devices, device_keys, id, name, node};
use wardstead_e2ee::{DeviceListLog, KeyUpload};

const TABLES: std::ops::RangeInclusive<u16> = 0x0a0..=0x0a9;

#[tokio::test]
async fn nothing_is_left_of_a_device_that_is_removed_or_an_account_that_ends() {
    let (engine, clock) = testing::engine();
    let node = node(engine.clone(), clock.clone(), 1).await;
    let rows = || engine.rows().keys().filter(|key| TABLES.contains(&(key.table().stored() & 0xfff))).count();
    let anna = node.user("anna").await;
    let account = node.accounts.find(&anna.user_id).await.unwrap().unwrap();
    let second = node.accounts.log_in(&account, NewDevice::default(), &Batch::new()).await.unwrap().session;
    node.upload(&anna, 0..3).await;
    node.fallback(&anna, 9).await;
    let of_one = rows();
    node.upload(&second, 0..3).await;
    node.fallback(&second, 9).await;
    node.claim(&second).await;
    assert!(rows() > of_one);
    let lists = DeviceListLog::new(node.store.clone());
    let before = node.store.caught_up().await.unwrap();
    node.accounts.logout(&second).await.unwrap();
    assert_eq!(rows(), of_one, "all that was kept for the device is gone, and nothing else");
    assert_eq!(lists.changed(before).await.unwrap(), [anna.user], "and others are told");
    assert_eq!(node.claim(&second).await, None);
    let shown = node.keys.query(&anna, &all_devices(&anna)).await.unwrap();
    assert_eq!(shown.device_keys[&id(&anna)].len(), 1);

    let upload = KeyUpload { device_keys: Some(device_keys(&second)), ..KeyUpload::default() };
    assert!(node.keys.upload(&second, &upload).await.is_err(), "nothing is kept for a device that is gone");
    node.accounts.deactivate(&anna.user_id, false, &Batch::new()).await.unwrap();
    assert_eq!(rows(), 0);
    assert_eq!(node.claim(&anna).await, None);
}

#[tokio::test]
async fn only_what_others_see_is_told_to_them() {
    let (engine, clock) = testing::engine();
    let node = node(engine.clone(), clock.clone(), 1).await;
    let anna = node.user("anna").await;
    let lists = DeviceListLog::new(node.store.clone());
    let mut since = Position::ZERO;
    let told = async |since: &mut Position| {
        let told = lists.changed(*since).await.unwrap();
        *since = node.store.caught_up().await.unwrap();
        told
    };
    node.upload(&anna, 0..1).await;
    assert_eq!(told(&mut since).await, [anna.user], "device keys");
    node.upload(&anna, 0..2).await;
    node.fallback(&anna, 9).await;
    assert_eq!(node.claim(&anna).await, Some(name(0)));
    assert_eq!(told(&mut since).await, [0_u64; 0], "one-time keys are the device's own");
    node.accounts.rename_device(&anna, &anna.device_id, "Ward 7").await.unwrap();
    assert_eq!(told(&mut since).await, [anna.user], "a name");
    let without = node.user("bert").await;
    node.accounts.rename_device(&without, &without.device_id, "Ward 8").await.unwrap();
    node.accounts.logout(&without).await.unwrap();
    assert_eq!(told(&mut since).await, [0_u64; 0], "a device without keys is nothing to others");
}
