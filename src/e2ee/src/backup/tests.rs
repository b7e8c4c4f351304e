//! Key backups over the memory engine, on two nodes.

use std::{collections::BTreeSet, sync::Arc};

use ruma::{OwnedRoomId, RoomId};
use serde_json::{json, value::RawValue};
use wardstead_accounts::{AccountHooks, Accounts, NewAccount, Session};
use wardstead_engine::{
    Batch, Key,
    counting::{CountingEngine, Counts},
};
use wardstead_engine_memory::MemoryEngine;
use wardstead_limits::{ManualClock, e2ee as limits};
use wardstead_store::{Contributors, Store, testing};

use super::{BackupKeeper, Backups, KeyData, Keys, KeysByRoom, Stored, tables};
use crate::E2eeError;

/// A node.
struct Node {
    accounts: Accounts,
    backups: Backups,
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

    async fn another(&self, seed: u64) -> Self {
        Self::over(Arc::clone(&self.engine), self.clock.clone(), seed).await
    }

    async fn over(engine: Arc<MemoryEngine>, clock: ManualClock, seed: u64) -> Self {
        let (counting, counts) = CountingEngine::new(Arc::clone(&engine) as _);
        let store = testing::over(Arc::new(counting), "example.org", clock.clone(), seed).await.unwrap();
        // The block of short ids is taken in a commit of its own, which the tests do not count.
        store.next_id().await.unwrap();
        let contributors = Arc::new(Contributors::new(vec![Arc::new(BackupKeeper) as _]));
        let hooks = AccountHooks { contributors, ..AccountHooks::default() };
        let accounts = Accounts::with_hooks(store.clone(), "example.org".try_into().unwrap(), hooks);
        let backups = Backups::new(store.clone(), accounts.clone());
        Self { accounts, backups, store, engine, clock, counts }
    }

    async fn register(&self, username: &str) -> Session {
        let new = NewAccount { username: Some(username.to_owned()), ..NewAccount::default() };
        self.accounts.register(new, Batch::new()).await.unwrap().session
    }

    async fn create(&self, user: u64) -> String {
        self.backups.create(user, "a", &raw(&json!({}))).await.unwrap().to_string()
    }

    /// What is stored in this crate's tables of backups.
    fn rows(&self) -> Vec<Key> {
        let ours = [tables::HEADS.id(), tables::BACKUPS.id(), tables::KEYS.id(), tables::ROOMS.id()];
        self.engine.rows().into_keys().filter(|key| ours.contains(&key.table())).collect()
    }

    fn rows_of(&self, backup: u64) -> usize {
        let ours = [tables::KEYS.id(), tables::ROOMS.id()];
        self.rows().iter().filter(|key| ours.contains(&key.table()) && key.scope() == backup).count()
    }

    /// Rooms and sessions of which there are keys, page by page.
    async fn sessions(&self, user: u64, version: &str) -> Vec<(OwnedRoomId, String)> {
        let mut pages = self.backups.keys(user, version, None).await.unwrap();
        let mut all = Vec::new();
        while let Some(page) = pages.next().await.unwrap() {
            all.extend(page.into_iter().map(|key| (key.room_id, key.session_id)));
        }
        all
    }

    /// That count and rooms are those of the keys that there are.
    async fn assert_sound(&self, user: u64, version: &str) {
        let sessions = self.sessions(user, version).await;
        let (_, found) = self.backups.existing(user, version).await.unwrap();
        assert_eq!(found.row.count, sessions.len() as u64);
        let scope = wardstead_engine::ScanRange::scope(tables::ROOMS.id(), found.row.backup);
        let rooms = self.store.scan_all(&tables::ROOMS, scope).await.unwrap();
        let of_rooms: u64 = rooms.iter().map(|room| room.row.count).sum();
        assert_eq!(of_rooms, found.row.count);
        assert_eq!(rooms.len(), sessions.iter().map(|(room, _)| room).collect::<BTreeSet<_>>().len());
    }
}

fn raw(json: &serde_json::Value) -> Box<RawValue> {
    serde_json::value::to_raw_value(json).unwrap()
}

fn key(first_message_index: u64) -> KeyData {
    let session_data = raw(&json!({ "ciphertext": "x" }));
    KeyData { first_message_index, forwarded_count: 0, is_verified: true, session_data }
}

fn room(number: usize) -> OwnedRoomId {
    RoomId::parse(format!("!room{number:04}:example.org")).unwrap()
}

/// `sessions` keys in each of the rooms.
fn keys(rooms: std::ops::Range<usize>, sessions: std::ops::Range<usize>) -> KeysByRoom {
    let of_room = |_| sessions.clone().map(|number| (format!("session{number:05}"), key(1))).collect();
    rooms.map(|number| (room(number), of_room(number))).collect()
}

#[tokio::test]
async fn an_upload_is_one_batch_and_nothing_new_is_none() {
    let node = Node::new().await;
    let user = node.register("anna").await.user;
    let version = node.create(user).await;
    let before = node.counts.read().batches;
    let stored = node.backups.put_keys(user, &version, &keys(0..10, 0..20)).await.unwrap();
    assert_eq!((stored, node.counts.read().batches - before), (Stored { count: 200, etag: 1 }, 1));
    let again = node.backups.put_keys(user, &version, &keys(0..10, 0..20)).await.unwrap();
    assert_eq!((again, node.counts.read().batches - before), (stored, 1));
    node.assert_sound(user, &version).await;
}

/// More than a batch holds: each batch is sound by itself.
#[tokio::test]
async fn a_large_upload_is_several_batches() {
    let node = Node::new().await;
    let user = node.register("anna").await.user;
    let version = node.create(user).await;
    let many = limits::BACKUP_BATCH_KEYS + 1;
    let stored = node.backups.put_keys(user, &version, &keys(0..1, 0..many)).await.unwrap();
    assert_eq!(stored, Stored { count: many as u64, etag: 2 });
    let mut large = key(1);
    large.session_data = raw(&json!({ "a": "x".repeat(limits::BACKUP_SESSION_DATA_BYTES - 8) }));
    let room = room(1);
    let sessions = (0..40).map(|number| (format!("s{number}"), large.clone())).collect();
    let stored = node.backups.put_keys(user, &version, &KeysByRoom::from([(room, sessions)])).await.unwrap();
    assert_eq!(stored, Stored { count: many as u64 + 40, etag: 4 });
    node.assert_sound(user, &version).await;
    large.session_data = raw(&json!({ "a": "x".repeat(limits::BACKUP_SESSION_DATA_BYTES) }));
    let one = KeysByRoom::from([(super::tests::room(1), [("s".to_owned(), large)].into())]);
    let refused = node.backups.put_keys(user, &version, &one).await;
    assert!(matches!(refused, Err(E2eeError::TooLarge(_))), "{refused:?}");
}

/// Two nodes, each with uploads, replacements and removals of its own: every outcome is as if they had come one after the other.
#[tokio::test]
async fn devices_on_two_nodes_upload_at_once() {
    let node = Node::new().await;
    let user = node.register("anna").await.user;
    let version = node.create(user).await;
    let other = node.another(2).await;
    let mut tasks = Vec::new();
    for number in 0..24_usize {
        let backups = if number % 2 == 0 { &node.backups } else { &other.backups };
        let (backups, version) = (backups.clone(), version.clone());
        tasks.push(tokio::spawn(async move {
            loop {
                // Each shares half of its sessions with the next one.
                let keys = keys(0..3, number * 5..number * 5 + 10);
                match backups.put_keys(user, &version, &keys).await {
                    Ok(stored) => return stored,
                    Err(E2eeError::Contended) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        }));
    }
    let mut told = Vec::new();
    for task in tasks {
        told.push(task.await.unwrap());
    }
    let last = node.backups.info(user, &version).await.unwrap().stored;
    assert_eq!(last.count, 3 * (24 * 5 + 5));
    assert!(told.contains(&last));
    // An etag stands for one content, so for one count.
    let pairs: BTreeSet<(u64, u64)> = told.iter().map(|stored| (stored.etag, stored.count)).collect();
    let etags: BTreeSet<u64> = told.iter().map(|stored| stored.etag).collect();
    assert_eq!(pairs.len(), etags.len());
    assert!(pairs.iter().zip(pairs.iter().skip(1)).all(|(one, next)| one.1 < next.1), "{pairs:?}");
    node.assert_sound(user, &version).await;
}

/// Removing is seen at once and costs the same whatever is removed; the rows go behind, and only those.
#[tokio::test]
async fn a_removed_backup_is_gone_at_once_and_its_keys_follow() {
    let node = Node::new().await;
    let user = node.register("anna").await.user;
    let (first, second) = (node.create(user).await, node.create(user).await);
    let (_, found) = node.backups.existing(user, &second).await.unwrap();
    for rooms in [0..20, 20..40] {
        node.backups.put_keys(user, &second, &keys(rooms, 0..30)).await.unwrap();
    }
    let refused = node.backups.put_keys(user, &first, &keys(0..1, 0..1)).await;
    assert!(matches!(&refused, Err(E2eeError::WrongVersion { current }) if *current == second), "{refused:?}");
    assert_eq!(node.rows_of(found.row.backup), 1_240);
    let mut pages = node.backups.keys(user, &second, None).await.unwrap();
    assert_eq!(pages.next().await.unwrap().map(|page| page.len()), Some(limits::BACKUP_PAGE_KEYS));
    let before = node.counts.read();
    node.backups.remove(user, &second).await.unwrap();
    let after = node.counts.read();
    assert_eq!(after.batches - before.batches, 1);
    // Who is reading it is not told that this was all.
    assert!(matches!(pages.next().await, Err(E2eeError::NotFound(_))));
    assert!(matches!(node.backups.info(user, &second).await, Err(E2eeError::NotFound(_))));
    assert_eq!(node.rows_of(found.row.backup), 1_240);
    // Keys go to the one before again, and to a later one, which has another number.
    node.backups.put_keys(user, &first, &keys(0..1, 0..1)).await.unwrap();
    assert_eq!(node.create(user).await, "3");
    node.backups.remove(user, &second).await.unwrap();
    node.backups.run_removals();
    while node.rows_of(found.row.backup) > 0 {
        tokio::task::yield_now().await;
    }
    node.assert_sound(user, &first).await;
    assert_eq!(node.sessions(user, &first).await.len(), 1);
    assert!(matches!(node.backups.remove(user, "4").await, Err(E2eeError::NotFound(_))));
}

#[tokio::test]
async fn keys_are_removed_by_session_room_and_all() {
    let node = Node::new().await;
    let user = node.register("anna").await.user;
    let version = node.create(user).await;
    node.backups.put_keys(user, &version, &keys(0..4, 0..5)).await.unwrap();
    let remove = async |keys: Keys<'_>| {
        let stored = node.backups.remove_keys(user, &version, keys).await.unwrap();
        node.assert_sound(user, &version).await;
        (stored.count, stored.etag)
    };
    assert_eq!(remove(Keys::Session(&room(0), "session00001")).await, (19, 2));
    assert_eq!(remove(Keys::Session(&room(0), "session00001")).await, (19, 2));
    assert_eq!(remove(Keys::Session(&room(0), "\0")).await, (19, 2));
    assert_eq!(remove(Keys::Room(&room(1))).await, (14, 3));
    assert_eq!(remove(Keys::Room(&room(1))).await, (14, 3));
    assert_eq!(remove(Keys::All).await, (0, 4));
    assert_eq!(remove(Keys::All).await, (0, 4));
    // A room of which the last key was removed is none.
    node.backups.put_keys(user, &version, &keys(0..2, 0..1)).await.unwrap();
    assert_eq!(remove(Keys::Session(&room(0), "session00000")).await, (1, 6));
    assert_eq!(remove(Keys::Room(&room(0))).await, (1, 6));
}

/// Removals and uploads of the same keys at once, on two nodes: the count is that of what there is.
#[tokio::test]
async fn uploads_and_removals_at_once() {
    let node = Node::new().await;
    let user = node.register("anna").await.user;
    let version = node.create(user).await;
    let other = node.another(2).await;
    let mut tasks = Vec::new();
    for number in 0..30_usize {
        let backups = if number % 2 == 0 { &node.backups } else { &other.backups };
        let (backups, version) = (backups.clone(), version.clone());
        tasks.push(tokio::spawn(async move {
            loop {
                let (room, session) = (room(number % 3), format!("session{:05}", number % 4));
                let done = match number % 5 {
                    0..3 => backups.put_keys(user, &version, &keys(0..3, 0..number % 7 + 1)).await,
                    3 => backups.remove_keys(user, &version, Keys::Session(&room, &session)).await,
                    _ if number % 2 == 0 => backups.remove_keys(user, &version, Keys::Room(&room)).await,
                    _ => backups.remove_keys(user, &version, Keys::All).await,
                };
                match done {
                    Ok(_) => return,
                    Err(E2eeError::Contended) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    node.assert_sound(user, &version).await;
}

/// Whoever leaves has no backups, also none that is being made meanwhile; nobody else's goes.
#[tokio::test]
async fn a_deactivated_account_leaves_no_backup() {
    let node = Node::new().await;
    let (anna, bert) = (node.register("anna").await, node.register("bert").await);
    for user in [anna.user, bert.user] {
        let version = node.create(user).await;
        node.backups.put_keys(user, &version, &keys(0..2, 0..2)).await.unwrap();
        node.create(user).await;
    }
    let before = node.rows().len();
    let other = node.another(2).await;
    let creating = {
        let user = anna.user;
        tokio::spawn(async move { other.backups.create(user, "a", &raw(&json!({}))).await.map(drop) })
    };
    node.accounts.deactivate(&anna.user_id, false, &Batch::new()).await.unwrap();
    let made = creating.await.unwrap();
    assert!(made.is_ok() || matches!(made, Err(E2eeError::Accounts(_))), "{made:?}");
    assert!(matches!(node.backups.newest(anna.user).await, Err(E2eeError::NotFound(_))));
    node.backups.run_removals();
    while node.rows().len() > before / 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!(node.rows().len(), before / 2);
    node.assert_sound(bert.user, "1").await;
    let late = node.backups.create(anna.user, "a", &raw(&json!({}))).await;
    assert!(matches!(late, Err(E2eeError::Accounts(_))), "{late:?}");
}

#[tokio::test]
async fn backups_have_a_bound() {
    let node = Node::new().await;
    let user = node.register("anna").await.user;
    for _ in 0..limits::BACKUP_ROWS_PER_USER {
        node.create(user).await;
    }
    let more = node.backups.create(user, "a", &raw(&json!({}))).await;
    assert!(matches!(more, Err(E2eeError::TooLarge(_))), "{more:?}");
    node.backups.remove(user, "7").await.unwrap();
    assert_eq!(node.create(user).await, (limits::BACKUP_ROWS_PER_USER + 1).to_string());
}
