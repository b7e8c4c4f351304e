//! A node with accounts and keys, and devices with keys of their own.

use std::sync::Arc;

use ruma::{CanonicalJsonObject, CanonicalJsonValue, OwnedUserId, server_name};
use serde_json::{Value, json};
use vodozemac::{Curve25519PublicKey, Ed25519SecretKey};
use wardstead_accounts::{AccountChange, AccountHooks, Accounts, NewAccount, Session};
use wardstead_e2ee::{KeyKeeper, KeyUpload, Keys};
use wardstead_engine::{Batch, Engine};
use wardstead_limits::ManualClock;
use wardstead_store::{CommitContributor, Contributors, Store, testing};

pub struct Node {
    pub store: Store,
    pub accounts: Accounts,
    pub keys: Keys,
}

/// A node on `engine`, with nothing in memory.
pub async fn node(engine: Arc<dyn Engine>, clock: ManualClock, seed: u64) -> Node {
    let store = testing::over(engine, "example.org", clock, seed).await.unwrap();
    let followers: Vec<Arc<dyn CommitContributor<AccountChange>>> = vec![Arc::new(KeyKeeper)];
    let hooks = AccountHooks { contributors: Arc::new(Contributors::new(followers)), ..AccountHooks::default() };
    let accounts = Accounts::with_hooks(store.clone(), server_name!("example.org").to_owned(), hooks);
    let keys = Keys::new(store.clone(), accounts.clone());
    Node { store, accounts, keys }
}

impl Node {
    pub async fn user(&self, name: &str) -> Session {
        let new = NewAccount { username: Some(name.to_owned()), ..NewAccount::default() };
        self.accounts.register(new, Batch::new()).await.unwrap().session
    }

    /// Uploads the device's keys, and the one-time keys with these numbers, in chunks that one upload takes.
    pub async fn upload(&self, by: &Session, numbers: std::ops::Range<u32>) {
        let numbers: Vec<u32> = numbers.collect();
        for some in numbers.chunks(wardstead_limits::e2ee::ONE_TIME_KEYS_PER_UPLOAD) {
            let one_time_keys = some.iter().map(|number| (name(*number), one_time(by, *number))).collect();
            let upload = KeyUpload { device_keys: Some(device_keys(by)), one_time_keys, ..KeyUpload::default() };
            self.keys.upload(by, &upload).await.unwrap();
        }
    }

    pub async fn fallback(&self, by: &Session, number: u32) {
        let fallback_keys = vec![(name(number), one_time(by, number))];
        self.keys.upload(by, &KeyUpload { fallback_keys, ..KeyUpload::default() }).await.unwrap();
    }

    /// What a claim of a key of the device gives, by name.
    pub async fn claim(&self, of: &Session) -> Option<String> {
        let device = [(of.device_id.to_string(), ALGORITHM.to_owned())].into();
        let claimed = self.keys.claim(&[(of.user_id.clone(), device)].into()).await.unwrap();
        let mut names = claimed.keys.into_values().flatten().flat_map(|(_, keys)| keys.into_keys());
        let name = names.next();
        assert_eq!(names.next(), None, "one key is claimed at a time");
        name
    }
}

pub const ALGORITHM: &str = "signed_curve25519";

pub fn name(number: u32) -> String {
    format!("{ALGORITHM}:{number:05}")
}

fn secret(of: &Session) -> Ed25519SecretKey {
    let mut seed = [1; 32];
    seed[..8].copy_from_slice(&of.device.to_be_bytes());
    Ed25519SecretKey::from_slice(&seed)
}

fn signed(by: &Session, mut object: Value) -> CanonicalJsonObject {
    let canonical: CanonicalJsonObject = serde_json::from_value(object.clone()).unwrap();
    let signature = secret(by).sign(serde_json::to_string(&canonical).unwrap().as_bytes()).to_base64();
    object["signatures"][by.user_id.as_str()][format!("ed25519:{}", by.device_id)] = json!(signature);
    serde_json::from_value(object).unwrap()
}

pub fn device_keys(of: &Session) -> CanonicalJsonObject {
    let key = secret(of).public_key().to_base64();
    signed(
        of,
        json!({
            "user_id": of.user_id, "device_id": of.device_id, "algorithms": ["m.olm.v1.curve25519-aes-sha2"],
            "keys": { format!("ed25519:{}", of.device_id): key },
        }),
    )
}

pub fn one_time(of: &Session, number: u32) -> CanonicalJsonValue {
    let mut bytes = [3; 32];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    CanonicalJsonValue::Object(signed(of, json!({ "key": Curve25519PublicKey::from(bytes).to_base64() })))
}

pub fn all_devices(of: &Session) -> wardstead_e2ee::KeysWanted {
    [(of.user_id.clone(), Vec::new())].into()
}

pub fn id(of: &Session) -> OwnedUserId {
    of.user_id.clone()
}
