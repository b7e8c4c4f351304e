//! The server's signing keys over time: one signs, those before it stay published so that what they signed can be verified
//! (Matrix specification, Server-Server API, Retrieving server keys).
//!
//! A rotation publishes the new key at once and lets it sign [`limits::KEY_ROTATION_MS`] later. Every node reads the keyring again
//! when what it knows is older than [`limits::KEYRING_MS`], which is less: so all nodes change keys at the same moment of the
//! events' own time, and no event is signed by a key that had expired when the event was made.

mod rows;

use std::sync::Arc;

use parking_lot::RwLock;
use ruma::{
    CanonicalJsonObject, CanonicalJsonValue, Int, ServerName,
    serde::{Base64, base64::Standard},
    signatures::sign_json,
};
use wardstead_engine::{Batch, Expect, Key, Losing};
use wardstead_limits::{Rng, rooms as limits, store::REBUILDS};
use wardstead_store::{Store, StoreError};

use crate::{RoomError, Rooms, SigningKey};
use rows::{KEYRING, KeyringKey, KeyringRow, SIGNING_KEYS};

/// The installation's signing keys, as this node last read them. Clones share it.
#[derive(Clone)]
pub struct Keyring {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    seen: RwLock<Seen>,
}

struct Seen {
    /// When it was read, by the monotonic clock.
    read_ms: u64,
    /// Keys that sign, and from when, the oldest first.
    keys: Vec<(u64, Arc<SigningKey>)>,
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keyring").field("keys", &self.inner.seen.read().keys.len()).finish_non_exhaustive()
    }
}

/// A key that was made by a rotation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotated {
    /// Its id: `ed25519:` and a version.
    pub key_id: String,
    /// From when on it signs, in milliseconds since 1970.
    pub from_ms: u64,
}

/// The keyring as it is stored, and the version of its row; 0: that of before there were rotations.
struct Stored {
    row: KeyringRow,
    version: u64,
}

fn row_key() -> Key {
    KEYRING.key(0).key()
}

fn new_key(rng: &dyn Rng, now_ms: u64, from_ms: u64) -> Result<KeyringKey, RoomError> {
    let mut seed = [0; 32];
    rng.fill(&mut seed);
    let version = format!("a_{}", rng.alphanumeric(6));
    let key =
        SigningKey::from_seed(&seed, &version).ok_or_else(|| RoomError::corrupt(&row_key(), "not an Ed25519 key"))?;
    Ok(KeyringKey { version, public: key.public_key(), seed: Some(seed), created_ms: now_ms, from_ms, until_ms: None })
}

async fn stored(store: &Store) -> Result<Option<Stored>, RoomError> {
    if let Some(found) = store.get(&KEYRING, &row_key()).await? {
        return Ok(Some(Stored { version: found.version, row: found.row }));
    }
    let key = SIGNING_KEYS.key(0).text("ed25519").key();
    let Some(first) = store.get(&SIGNING_KEYS, &key).await? else { return Ok(None) };
    let (version, seed, created_ms) = (first.row.version, first.row.seed, first.row.created_ms);
    let public =
        SigningKey::from_seed(&seed, &version).ok_or_else(|| RoomError::corrupt(&key, "not an Ed25519 key"))?;
    let public = public.public_key();
    let only = KeyringKey { version, public, seed: Some(seed), created_ms, from_ms: 0, until_ms: None };
    Ok(Some(Stored { row: KeyringRow { keys: vec![only] }, version: 0 }))
}

/// The keyring of `store`'s installation. The first node that asks makes the first key; `Absent` decides between two.
///
/// # Errors
/// The store's.
pub async fn load_or_create(store: &Store, rng: &dyn Rng) -> Result<Keyring, RoomError> {
    let found = match stored(store).await? {
        Some(found) => Some(found),
        None => create(store, rng).await?,
    };
    let found =
        found.ok_or_else(|| RoomError::corrupt(&row_key(), "signing keys that another node made are missing"))?;
    let seen = Seen { read_ms: store.clock().monotonic_ms(), keys: opened(&found.row)? };
    Ok(Keyring { inner: Arc::new(Inner { store: store.clone(), seen: RwLock::new(seen) }) })
}

/// The first key; that of another node which made one meanwhile.
async fn create(store: &Store, rng: &dyn Rng) -> Result<Option<Stored>, RoomError> {
    let row = KeyringRow { keys: vec![new_key(rng, store.clock().now_ms(), 0)?] };
    let mut batch = Batch::new();
    batch.expect(row_key(), Expect::Absent, Losing::Done(row_key()));
    KEYRING.put_with(&mut batch, row_key(), 1, &[], &row);
    match store.commit(batch).await {
        Ok(_) => Ok(Some(Stored { row, version: 1 })),
        Err(StoreError::Lost(_)) => stored(store).await,
        Err(error) => Err(error.into()),
    }
}

/// Makes a key that takes the place of the one that signs now. Every node of the installation follows.
///
/// # Errors
/// `Busy` while the rotation before is under way, `Unsupported` when [`limits::KEYS`] keys are published, and the store's.
pub async fn rotate(store: &Store) -> Result<Rotated, RoomError> {
    for _ in 0..=REBUILDS {
        let missing = || RoomError::corrupt(&row_key(), "there are no signing keys to rotate");
        let Stored { mut row, version } = stored(store).await?.ok_or_else(missing)?;
        let now_ms = store.clock().now_ms();
        if row.keys.iter().any(|key| key.from_ms > now_ms) {
            return Err(RoomError::Busy("a key that was made a moment ago does not sign yet"));
        }
        if row.keys.len() >= limits::KEYS {
            return Err(RoomError::Unsupported(format!(
                "This server has {} signing keys, which is the most.",
                limits::KEYS
            )));
        }
        let from_ms = now_ms + limits::KEY_ROTATION_MS;
        for key in &mut row.keys {
            // What has expired signs nothing any more; its public half stays.
            if key.until_ms.is_some_and(|until_ms| until_ms <= now_ms) {
                key.seed = None;
            }
            key.until_ms.get_or_insert(from_ms);
        }
        let new = new_key(store.rng().as_ref(), now_ms, from_ms)?;
        let rotated = Rotated { key_id: key_id(&new), from_ms };
        row.keys.push(new);
        let mut batch = Batch::new();
        let expect = if version == 0 { Expect::Absent } else { Expect::Version(version) };
        batch.expect(row_key(), expect, Losing::Rebuild);
        KEYRING.put_with(&mut batch, row_key(), version + 1, &[], &row);
        match store.commit(batch).await {
            Ok(_) => return Ok(rotated),
            Err(StoreError::Lost(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(RoomError::Busy("the signing keys are being changed"))
}

fn opened(row: &KeyringRow) -> Result<Vec<(u64, Arc<SigningKey>)>, RoomError> {
    let mut keys = Vec::with_capacity(row.keys.len());
    for key in &row.keys {
        if let Some(seed) = &key.seed {
            let corrupt = || RoomError::corrupt(&row_key(), "not an Ed25519 key");
            keys.push((key.from_ms, Arc::new(SigningKey::from_seed(seed, &key.version).ok_or_else(corrupt)?)));
        }
    }
    if keys.is_empty() { Err(RoomError::corrupt(&row_key(), "no key that signs")) } else { Ok(keys) }
}

fn key_id(key: &KeyringKey) -> String {
    format!("ed25519:{}", key.version)
}

impl Keyring {
    /// The key that signs what is made at `at_ms`. One read when what this node knows is older than [`limits::KEYRING_MS`].
    pub(crate) async fn signing(&self, at_ms: u64) -> Result<Arc<SigningKey>, RoomError> {
        let now_ms = self.inner.store.clock().monotonic_ms();
        let stale = now_ms.saturating_sub(self.inner.seen.read().read_ms) >= limits::KEYRING_MS;
        if stale && let Some(found) = stored(&self.inner.store).await? {
            *self.inner.seen.write() = Seen { read_ms: now_ms, keys: opened(&found.row)? };
        }
        Ok(self.at(at_ms))
    }

    /// The key that signs what is made at `at_ms` (milliseconds since 1970), as far as this node knows.
    #[must_use]
    pub fn at(&self, at_ms: u64) -> Arc<SigningKey> {
        let seen = self.inner.seen.read();
        let signing = seen.keys.iter().rev().find(|(from_ms, _)| *from_ms <= at_ms);
        // There always is a first one.
        Arc::clone(&signing.unwrap_or(&seen.keys[0]).1)
    }
}

impl Rooms {
    /// The key that signs this server's events now.
    #[must_use]
    pub fn signing_key(&self) -> Arc<SigningKey> {
        self.inner.keys.at(self.inner.store.clock().now_ms())
    }

    /// The server's keys as it publishes them: those that sign or will, those that did, signed by all of the former. One
    /// read: no node publishes what it remembers.
    ///
    /// # Errors
    /// The store's.
    pub async fn published_keys(&self) -> Result<CanonicalJsonObject, RoomError> {
        let store = &self.inner.store;
        let missing = || RoomError::corrupt(&row_key(), "there are no signing keys");
        let Stored { row, .. } = stored(store).await?.ok_or_else(missing)?;
        published(&row, &self.inner.server_name, store.clock().now_ms())
    }
}

fn published(row: &KeyringRow, server_name: &ServerName, now_ms: u64) -> Result<CanonicalJsonObject, RoomError> {
    let millis = |ms: u64| CanonicalJsonValue::from(Int::try_from(ms).unwrap_or(Int::MAX));
    let (mut verify, mut old) = (CanonicalJsonObject::new(), CanonicalJsonObject::new());
    for key in &row.keys {
        let public = Base64::<Standard, _>::new(key.public.to_vec()).encode();
        let mut stated = CanonicalJsonObject::from([("key".to_owned(), public.into())]);
        match key.until_ms.filter(|until_ms| *until_ms <= now_ms) {
            None => drop(verify.insert(key_id(key), stated.into())),
            Some(until_ms) => {
                stated.insert("expired_ts".to_owned(), millis(until_ms));
                old.insert(key_id(key), stated.into());
            }
        }
    }
    let current: Vec<String> = verify.keys().cloned().collect();
    let mut all = CanonicalJsonObject::from([
        ("server_name".to_owned(), server_name.as_str().into()),
        ("verify_keys".to_owned(), verify.into()),
        ("old_verify_keys".to_owned(), old.into()),
        ("valid_until_ts".to_owned(), millis(now_ms + limits::KEYS_VALID_MS)),
    ]);
    for (_, key) in opened(row)?.iter().filter(|(_, key)| current.contains(&format!("ed25519:{}", key.version()))) {
        sign_json(server_name.as_str(), &**key, &mut all)
            .map_err(|_| RoomError::corrupt(&row_key(), "keys that cannot be signed"))?;
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use ruma::server_name;
    use wardstead_store::testing;

    use super::{rows::SigningKeyRow, *};

    /// A server of before there were rotations goes on with its key, and rotates it like any other.
    #[tokio::test]
    async fn the_key_of_an_older_server() {
        let store = testing::memory("example.org").await;
        let first = SigningKeyRow { version: "a_first".to_owned(), seed: [7; 32], created_ms: 1 };
        let mut batch = Batch::new();
        SIGNING_KEYS.put(&mut batch, SIGNING_KEYS.key(0).text("ed25519").key(), &first);
        store.commit(batch).await.unwrap();
        let keys = load_or_create(&store, store.rng().as_ref()).await.unwrap();
        assert_eq!(keys.at(testing::START_MS).version(), "a_first");
        let rotated = rotate(&store).await.unwrap();
        let row = stored(&store).await.unwrap().unwrap().row;
        assert_eq!((row.keys.len(), row.keys[0].until_ms), (2, Some(rotated.from_ms)));
        // Once it has expired, its secret goes with the next rotation, and its public half stays.
        let later = rotated.from_ms + 1;
        let old = published(&row, server_name!("example.org"), later).unwrap();
        assert!(old["old_verify_keys"].as_object().unwrap().contains_key("ed25519:a_first"));
    }
}
