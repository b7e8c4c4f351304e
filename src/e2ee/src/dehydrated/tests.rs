//! Dehydrated devices over the memory engine.

use std::sync::Arc;

use ruma::CanonicalJsonObject;
use serde_json::{Value, json};
use vodozemac::{Curve25519PublicKey, Ed25519SecretKey};
use wardstead_accounts::{AccountHooks, Accounts, NewAccount, Session};
use wardstead_engine::{
    Batch, Key,
    counting::{CountingEngine, Counts},
};
use wardstead_engine_memory::MemoryEngine;
use wardstead_limits::ManualClock;
use wardstead_store::{Contributors, Store, testing};

use super::{Dehydrated, DehydratedKeeper, NewDehydrated, tables::DEHYDRATED};
use crate::{E2eeError, InboxKeeper, Inboxes, KeyKeeper, KeyUpload, Keys, ToDeviceRequest};

struct Node {
    accounts: Accounts,
    keys: Keys,
    inboxes: Inboxes,
    dehydrated: Dehydrated,
    store: Store,
    engine: Arc<MemoryEngine>,
    clock: ManualClock,
    counts: Counts,
}

impl Node {
    async fn new() -> Self {
        let (engine, clock) = testing::engine();
        Self::over(engine, clock, 1).await
    }

    async fn over(engine: Arc<MemoryEngine>, clock: ManualClock, seed: u64) -> Self {
        let (counting, counts) = CountingEngine::new(Arc::clone(&engine) as _);
        let store = testing::over(Arc::new(counting), "example.org", clock.clone(), seed).await.unwrap();
        store.next_id().await.unwrap();
        let followers = vec![Arc::new(KeyKeeper) as _, Arc::new(InboxKeeper) as _, Arc::new(DehydratedKeeper) as _];
        let hooks = AccountHooks { contributors: Arc::new(Contributors::new(followers)), ..AccountHooks::default() };
        let accounts = Accounts::with_hooks(store.clone(), "example.org".try_into().unwrap(), hooks);
        let keys = Keys::new(store.clone(), accounts.clone());
        let inboxes = Inboxes::new(store.clone(), accounts.clone());
        let dehydrated = Dehydrated::new(store.clone(), accounts.clone(), keys.clone(), inboxes.clone());
        Self { accounts, keys, inboxes, dehydrated, store, engine, clock, counts }
    }

    async fn register(&self, username: &str) -> Session {
        let new = NewAccount { username: Some(username.to_owned()), ..NewAccount::default() };
        self.accounts.register(new, Batch::new()).await.unwrap().session
    }

    async fn devices(&self, of: &Session) -> Vec<String> {
        self.accounts.devices(of.user).await.unwrap().into_iter().map(|device| device.device_id.to_string()).collect()
    }

    async fn send(&self, by: &Session, to: &Session, device_id: &str, body: u64) {
        let content = serde_json::value::to_raw_value(&json!({ "body": body })).unwrap();
        let messages = [(to.user_id.clone(), [(device_id.to_owned(), content)].into())].into();
        let request = ToDeviceRequest { event_type: "m.room.encrypted".to_owned(), txn_id: body.to_string(), messages };
        self.inboxes.send(by, &request).await.unwrap();
    }

    /// Rows about a device, or of the table of dehydrated ones.
    fn rows_of(&self, device: u64) -> Vec<Key> {
        let rows = self.engine.rows().into_keys();
        rows.filter(|key| key.scope() == device && key.table() != DEHYDRATED.id()).collect()
    }
}

fn signed(mut object: Value, of: &Session, device_id: &str, secret: &Ed25519SecretKey) -> CanonicalJsonObject {
    let canonical: CanonicalJsonObject = serde_json::from_value(object.clone()).unwrap();
    let signature = secret.sign(&serde_json::to_vec(&canonical).unwrap()).to_base64();
    let key_id = format!("ed25519:{device_id}");
    object["signatures"] = json!({ &of.user_id: { key_id: signature } });
    serde_json::from_value(object).unwrap()
}

/// A device whose keys follow from `number`, with three one-time keys and a fallback key.
fn device(of: &Session, number: u8) -> NewDehydrated {
    let secret = Ed25519SecretKey::from_slice(&[number; 32]);
    let identity = Curve25519PublicKey::from_bytes([number; 32]).to_base64();
    let id = identity.as_str();
    let keys = json!({ format!("curve25519:{id}"): id, format!("ed25519:{id}"): secret.public_key().to_base64() });
    let algorithms = ["m.olm.v1.curve25519-aes-sha2", "m.megolm.v1.aes-sha2"];
    let device_keys =
        json!({ "user_id": of.user_id, "device_id": id, "algorithms": algorithms, "keys": keys, "dehydrated": true });
    let key = |key: u8, fallback: bool| {
        let mut object = json!({ "key": Curve25519PublicKey::from_bytes([key; 32]).to_base64() });
        if fallback {
            object["fallback"] = json!(true);
        }
        signed(object, of, id, &secret).into()
    };
    let one_time_keys = (1..4).map(|at| (format!("signed_curve25519:AAA{at}"), key(number + at, false))).collect();
    let fallback_keys = vec![("signed_curve25519:FFF".to_owned(), key(number + 9, true))];
    NewDehydrated {
        device_id: id.into(),
        display_name: Some("Dehydrated".to_owned()),
        device_data: serde_json::value::to_raw_value(&json!({ "algorithm": "org.matrix.msc3814.v2", "n": number }))
            .unwrap(),
        keys: KeyUpload { device_keys: Some(signed(device_keys, of, id, &secret)), one_time_keys, fallback_keys },
    }
}

async fn is_none(node: &Node, of: &Session) -> bool {
    matches!(node.dehydrated.get(of).await, Err(E2eeError::NotFound(_)))
}

/// One commit makes it: device, keys, and the end of the one before with all that was kept for it.
#[tokio::test]
async fn a_new_one_takes_the_place_of_the_other_in_one_commit() {
    let node = Node::new().await;
    let (anna, bert) = (node.register("anna").await, node.register("bert").await);
    assert!(is_none(&node, &anna).await);
    let (first, second) = (device(&anna, 10), device(&anna, 40));
    node.dehydrated.put(&anna, &first).await.unwrap();
    let former = node.accounts.device(&anna, &first.device_id).await.unwrap().device;
    node.send(&bert, &anna, first.device_id.as_str(), 1).await;
    assert!(!node.rows_of(former).is_empty());
    let before = node.counts.read().batches;
    node.dehydrated.put(&anna, &second).await.unwrap();
    assert_eq!(node.counts.read().batches - before, 1);
    let there = node.dehydrated.get(&anna).await.unwrap();
    assert_eq!(
        (there.device_id.clone(), there.device_data.get()),
        (second.device_id.clone(), second.device_data.get())
    );
    let mut expected = vec![anna.device_id.to_string(), second.device_id.to_string()];
    expected.sort();
    assert_eq!(node.devices(&anna).await, expected);
    assert_eq!(node.rows_of(former), [], "nothing is left of the former one");
    let device = node.accounts.device(&anna, &second.device_id).await.unwrap().device;
    let counts = node.keys.counts(device).await.unwrap();
    assert_eq!(counts.one_time.values().sum::<u64>(), 3);
    // The same id again is another device with fresh keys.
    node.dehydrated.put(&anna, &second).await.unwrap();
    let again = node.accounts.device(&anna, &second.device_id).await.unwrap().device;
    assert_ne!(again, device);
    assert_eq!(node.keys.counts(again).await.unwrap().one_time.values().sum::<u64>(), 3);
    assert_eq!(node.rows_of(device), []);
}

/// What is forged changes nothing, row by row; nor does the name of a device that somebody is signed in on.
#[tokio::test]
async fn what_is_forged_changes_nothing() {
    let node = Node::new().await;
    let anna = node.register("anna").await;
    node.dehydrated.put(&anna, &device(&anna, 10)).await.unwrap();
    let before = node.engine.rows();
    let mut forged = device(&anna, 40);
    forged.keys.fallback_keys.clone_from(&device(&anna, 70).keys.fallback_keys);
    let refused = node.dehydrated.put(&anna, &forged).await;
    assert!(matches!(refused, Err(E2eeError::InvalidSignature(_))), "{refused:?}");
    let mut without = device(&anna, 40);
    without.keys.device_keys = None;
    assert!(matches!(node.dehydrated.put(&anna, &without).await, Err(E2eeError::Missing(_))));
    let own = NewDehydrated { device_id: anna.device_id.clone(), ..device(&anna, 40) };
    assert!(matches!(node.dehydrated.put(&anna, &own).await, Err(E2eeError::Accounts(_))));
    let ids = |rows: &std::collections::BTreeMap<Key, bytes::Bytes>| {
        // Short ids are taken in blocks; that counter alone may move.
        rows.iter()
            .filter(|(key, _)| key.table().stored() & 0xfff != 0x010)
            .map(|(key, row)| (key.clone(), row.clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(&node.engine.rows()), ids(&before));
}

/// Messages wait, page by page, and are there again for who begins anew; another device's are nobody's.
#[tokio::test]
async fn its_messages_stay_until_it_goes() {
    let node = Node::new().await;
    let (anna, bert) = (node.register("anna").await, node.register("bert").await);
    let new = device(&anna, 10);
    node.dehydrated.put(&anna, &new).await.unwrap();
    for body in 0..250 {
        node.send(&bert, &anna, new.device_id.as_str(), body).await;
    }
    for _ in 0..2 {
        let (mut from, mut bodies) = (None, Vec::new());
        loop {
            let page = node.dehydrated.events(&anna, &new.device_id, from.as_deref()).await.unwrap();
            let body = |event: &serde_json::value::RawValue| {
                serde_json::from_str::<Value>(event.get()).unwrap()["content"]["body"].as_u64().unwrap()
            };
            bodies.extend(page.events.iter().map(|event| body(event)));
            from = Some(page.next_batch);
            if !page.more {
                break;
            }
        }
        assert_eq!(bodies, (0..250).collect::<Vec<_>>());
        let rest = node.dehydrated.events(&anna, &new.device_id, from.as_deref()).await.unwrap();
        assert!(rest.events.is_empty() && !rest.more);
    }
    let other = node.dehydrated.events(&anna, &anna.device_id, None).await;
    assert!(matches!(other, Err(E2eeError::Forbidden(_))));
    assert!(matches!(node.dehydrated.events(&bert, &new.device_id, None).await, Err(E2eeError::Forbidden(_))));
    let wrong = node.dehydrated.events(&anna, &new.device_id, Some("x")).await;
    assert!(matches!(wrong, Err(E2eeError::InvalidParam(_))));
}

/// However the device goes, there is none any more.
#[tokio::test]
async fn a_device_that_is_removed_is_no_dehydrated_one() {
    let node = Node::new().await;
    let anna = node.register("anna").await;
    let new = device(&anna, 10);
    node.dehydrated.put(&anna, &new).await.unwrap();
    assert_eq!(node.dehydrated.remove(&anna).await.unwrap(), new.device_id);
    assert!(is_none(&node, &anna).await);
    assert!(matches!(node.dehydrated.remove(&anna).await, Err(E2eeError::NotFound(_))));
    node.dehydrated.put(&anna, &new).await.unwrap();
    node.accounts.remove_devices(&anna, std::slice::from_ref(&new.device_id), Batch::new()).await.unwrap();
    assert!(is_none(&node, &anna).await);
    node.dehydrated.put(&anna, &new).await.unwrap();
    node.accounts.deactivate(&anna.user_id, false, &Batch::new()).await.unwrap();
    let left = node.engine.rows().into_keys().filter(|key| key.table() == DEHYDRATED.id()).count();
    assert_eq!(left, 0);
}

/// Two nodes at once: there is one in the end, and nothing of the others.
#[tokio::test]
async fn two_nodes_at_once() {
    let node = Node::new().await;
    let anna = node.register("anna").await;
    let other = Node::over(Arc::clone(&node.engine), node.clock.clone(), 2).await;
    let mut tasks = Vec::new();
    for number in 0..8_u8 {
        let dehydrated = if number % 2 == 0 { &node.dehydrated } else { &other.dehydrated };
        let (dehydrated, anna) = (dehydrated.clone(), anna.clone());
        tasks.push(tokio::spawn(async move {
            loop {
                match dehydrated.put(&anna, &device(&anna, 10 * number + 10)).await {
                    Ok(()) => return,
                    Err(E2eeError::Contended) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let there = node.dehydrated.get(&anna).await.unwrap().device_id;
    let mut expected = vec![anna.device_id.to_string(), there.to_string()];
    expected.sort();
    assert_eq!(node.devices(&anna).await, expected);
    assert!(node.store.caught_up().await.is_ok());
}
