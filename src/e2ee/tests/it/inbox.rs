//! Messages to devices: what they write, and how much may wait.

use std::{collections::BTreeMap, sync::Arc};

use ruma::server_name;
use serde_json::{json, value::to_raw_value};
use wardstead_accounts::{Accounts, NewAccount, NewDevice, Session};
use wardstead_e2ee::{Inboxes, ToDevicePage, ToDeviceRequest};
use wardstead_engine::{
    Batch, Engine, LocalBus, Position,
    counting::{CountingEngine, Counts},
};
use wardstead_engine_memory::MemoryEngine;
use wardstead_limits::{SeededRng, e2ee as limits};
use wardstead_store::{Store, testing};

struct Server {
    accounts: Accounts,
    inboxes: Inboxes,
    engine: Arc<MemoryEngine>,
    counts: Counts,
}

async fn server() -> Server {
    let (engine, clock) = testing::engine();
    let (counting, counts) = CountingEngine::new(Arc::clone(&engine) as Arc<dyn Engine>);
    let (bus, rng) = (Arc::new(LocalBus::new()), Arc::new(SeededRng::new(1)));
    let store = Store::open(Arc::new(counting), bus, "example.org", Arc::new(clock), rng).await.unwrap();
    let accounts = Accounts::new(store.clone(), server_name!("example.org").to_owned());
    Server { inboxes: Inboxes::new(store, accounts.clone()), accounts, engine, counts }
}

impl Server {
    async fn user(&self, name: &str) -> Session {
        let new = NewAccount { username: Some(name.to_owned()), ..NewAccount::default() };
        self.accounts.register(new, Batch::new()).await.unwrap().session
    }

    async fn waiting(&self, of: &Session) -> ToDevicePage {
        self.inboxes.waiting(of.device, Position::ZERO, Position(u64::MAX >> 1), 10_000).await.unwrap()
    }
}

fn request(txn_id: &str, to: &[&Session], device: Option<&str>, bytes: usize) -> ToDeviceRequest {
    let content = || to_raw_value(&json!({ "rest": "x".repeat(bytes) })).unwrap();
    let device = |session: &Session| device.unwrap_or(session.device_id.as_str()).to_owned();
    let to_one = |session: &&Session| (session.user_id.clone(), BTreeMap::from([(device(session), content())]));
    let messages = to.iter().map(to_one).collect();
    ToDeviceRequest { event_type: "m.test".to_owned(), txn_id: txn_id.to_owned(), messages }
}

/// Ten recipients: ten messages, ten journal entries, one transaction. Two reads.
#[tokio::test(start_paused = true)]
async fn a_request_is_one_batch_whatever_its_recipients() {
    let server = server().await;
    let anna = server.user("anna").await;
    let mut others = Vec::new();
    for number in 0..10 {
        others.push(server.user(&format!("user{number}")).await);
    }
    let to: Vec<&Session> = others.iter().collect();
    let rows = server.engine.rows().len();
    let before = server.counts.read();
    server.inboxes.send(&anna, &request("1", &to, None, 100)).await.unwrap();
    let after = server.counts.read();
    let cost = [after.gets - before.gets, after.batches - before.batches];
    assert_eq!(cost, [2, 1], "two reads, one batch");
    assert_eq!(server.engine.rows().len() - rows, 21);
    // Again, and to other devices: the same transaction.
    server.inboxes.send(&anna, &request("1", &to, None, 100)).await.unwrap();
    assert_eq!(server.engine.rows().len() - rows, 21);
    // To all devices of a user who has two.
    let account = server.accounts.find(&others[0].user_id).await.unwrap().unwrap();
    let NewDevice { device_id, display_name, .. } = NewDevice::default();
    let tablet = server.accounts.login(&account, device_id, display_name).await.unwrap().session;
    server.inboxes.send(&anna, &request("2", &to[..1], Some("*"), 100)).await.unwrap();
    assert_eq!(server.waiting(&others[0]).await.messages.len(), 2);
    assert_eq!(server.waiting(&tablet).await.messages.len(), 1);
}

/// What lies there longest goes; nobody's request fails, and the newest is there.
#[tokio::test(start_paused = true)]
async fn what_waits_for_a_device_that_never_comes_has_a_bound() {
    const BYTES: usize = 60 * 1024;
    let server = server().await;
    let [anna, ben] = [server.user("anna").await, server.user("ben").await];
    let bound = usize::try_from(limits::INBOX_BYTES).unwrap();
    for number in 0..bound / BYTES + 300 {
        server.inboxes.send(&anna, &request(&number.to_string(), &[&ben], None, BYTES)).await.unwrap();
    }
    let rows = server.engine.rows();
    let bytes: usize = rows.values().map(bytes::Bytes::len).filter(|bytes| *bytes > BYTES).sum();
    assert!(bytes > bound / 2, "{bytes}: no more goes than has to");
    assert!(bytes < bound + 200 * BYTES, "{bytes}");
}
