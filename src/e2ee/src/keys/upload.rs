//! A device uploads its keys (Client-Server API, `POST /keys/upload`).

use std::{collections::BTreeMap, sync::Arc};

use ruma::{CanonicalJsonObject, CanonicalJsonValue};
use sha2::{Digest as _, Sha256};
use wardstead_accounts::Session;
use wardstead_engine::{Batch, Expect, JournalEntry, Key, Losing, PageLimit, PositionSlot, ScanRange};
use wardstead_limits::{e2ee as limits, store::REBUILDS};
use wardstead_store::{Found, StoreError, kind};

use super::{
    KeyCounts, Keys,
    signed::{DeviceKeys, OneTime, device_keys, one_time_key},
    tables::{
        CROSS_KEYS, CrossKeysRow, DEVICE_KEYS, DeviceKeysRow, FALLBACK_KEYS, FallbackKeyRow, KEY_CHANGES, KeyChangeRow,
        ONE_TIME_KEY_IDS, ONE_TIME_KEYS, OneTimeKeyIdRow, OneTimeKeyRow, SignatureBy, WRITTEN_ONCE, cross_keys_key,
        device_keys_key, fallback_key_key, key_change_key, one_time_key_id_key, one_time_keys_from,
    },
};
use crate::E2eeError;

/// What a device uploads. One-time keys are claimed in their order here.
#[derive(Clone, Debug, Default)]
pub struct KeyUpload {
    /// The keys of the device itself.
    pub device_keys: Option<CanonicalJsonObject>,
    /// By `algorithm:id`.
    pub one_time_keys: Vec<(String, CanonicalJsonValue)>,
    /// By `algorithm:id`, one for each algorithm.
    pub fallback_keys: Vec<(String, CanonicalJsonValue)>,
}

/// What an upload is about to change.
struct Changes {
    batch: Batch,
    /// The device's own key from now on.
    ed25519: Option<String>,
    /// Whether what was signed with another key goes.
    wiped: bool,
}

impl Keys {
    /// Keeps what `by`, a device, uploads of its own keys, in one commit, and gives the counts after it. Every signature is verified before
    /// anything is kept. What is kept already is not written again.
    ///
    /// The identity keys of a device that has signed its keys do not change: others, who know them, would ignore what comes with new ones.
    /// Unsigned ones, which nobody should trust, can be replaced; one-time and fallback keys of before go with them.
    ///
    /// # Errors
    /// `BadJson`, `InvalidParam`, `InvalidSignature`, `KeyExists`, `NameTaken`, `TooLarge`: nothing was kept. `Contended`, and the store's.
    pub async fn upload(&self, by: &Session, upload: &KeyUpload) -> Result<Arc<KeyCounts>, E2eeError> {
        for _ in 0..REBUILDS {
            let name = if upload.device_keys.is_some() { self.accounts.device_name(by).await? } else { None };
            let mut batch = self.add_to(Batch::new(), by, name, upload).await?;
            if batch.writes.is_empty() {
                return Ok(self.counts(by.device).await?);
            }
            self.accounts.assert_device(&mut batch, by).await?;
            match self.store.commit(batch).await {
                Ok(_) => return Ok(self.counts(by.device).await?),
                Err(StoreError::Lost(Losing::Rebuild)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(E2eeError::Contended)
    }

    /// Adds to `batch` what `by`, a device that is called `name`, uploads of its own keys. That the device is there, or is made by the batch,
    /// the caller asserts.
    ///
    /// # Errors
    /// As [`Self::upload`], but for `Contended`.
    pub(crate) async fn add_to(
        &self,
        batch: Batch,
        by: &Session,
        name: Option<String>,
        upload: &KeyUpload,
    ) -> Result<Batch, E2eeError> {
        if upload.one_time_keys.len() > limits::ONE_TIME_KEYS_PER_UPLOAD
            || upload.fallback_keys.len() > limits::FALLBACK_KEYS_PER_DEVICE
        {
            return Err(E2eeError::TooLarge("more keys than one upload may have"));
        }
        let Changes { mut batch, ed25519, wiped } = self.change_device(batch, by, name, upload).await?;
        let one_time = verified(by, ed25519.as_deref(), &upload.one_time_keys).await?;
        let fallback = verified(by, ed25519.as_deref(), &upload.fallback_keys).await?;
        self.add_one_time(&mut batch, by, &one_time, wiped).await?;
        self.add_fallback(&mut batch, by, &fallback, wiped).await?;
        Ok(batch)
    }

    /// The batch as far as the keys of the device itself go.
    async fn change_device(
        &self,
        mut batch: Batch,
        by: &Session,
        name: Option<String>,
        upload: &KeyUpload,
    ) -> Result<Changes, E2eeError> {
        let key = device_keys_key(by.user, by.device_id.as_str());
        let stored = self.store.get(&DEVICE_KEYS, &key).await?;
        let Some(object) = &upload.device_keys else {
            // One-time keys are verified with these.
            if let Some(found) = &stored {
                batch.expect(key, Expect::Version(found.version), Losing::Rebuild);
            }
            return Ok(Changes { batch, ed25519: stored.map(|found| found.row.ed25519), wiped: false });
        };
        let cross_key = cross_keys_key(by.user);
        let cross = self.store.get(&CROSS_KEYS, &cross_key).await?;
        let cross_version = cross.as_ref().map_or(Expect::Absent, |found| Expect::Version(found.version));
        let cross = cross.map(|found| found.row).unwrap_or_default();
        let self_signing = cross.self_signing.as_ref().map(|(key, _)| key.public.as_str());
        let new = device_keys(object.clone(), by.user_id.as_str(), by.device_id.as_str(), self_signing)?;
        if cross.names().any(|name| name == by.device_id.as_str()) {
            return Err(E2eeError::NameTaken);
        }
        let expect = stored.as_ref().map_or(Expect::Absent, |found| Expect::Version(found.version));
        batch.expect(key.clone(), expect, Losing::Rebuild);
        batch.expect(cross_key, cross_version, Losing::Rebuild);
        let wiped = stored.as_ref().is_some_and(|found| found.row.ed25519 != new.ed25519);
        let ed25519 = Some(new.ed25519.clone());
        let row = merged(by.device, new, stored.as_ref(), self_signing, name)?;
        if stored.as_ref().is_none_or(|found| found.row != row) {
            let version = stored.map_or(0, |found| found.version) + 1;
            DEVICE_KEYS.put_with(&mut batch, key, version, &[], &row);
            self.lists.change(&mut batch, by.user).await?;
        }
        if wiped {
            remove_claimable(&mut batch, by.device);
            tell(&mut batch, by.user, by.device);
        }
        Ok(Changes { batch, ed25519, wiped })
    }

    async fn add_one_time(
        &self,
        batch: &mut Batch,
        by: &Session,
        keys: &[OneTime],
        wiped: bool,
    ) -> Result<(), E2eeError> {
        if keys.is_empty() {
            return Ok(());
        }
        let mut new: BTreeMap<Key, (usize, [u8; 32])> = BTreeMap::new();
        let ids: Vec<Key> = keys.iter().map(|key| one_time_key_id_key(by.device, &key.algorithm, &key.id)).collect();
        let known = self.store.get_many(&ONE_TIME_KEY_IDS, &ids).await?;
        for (at, (key, (id, known))) in keys.iter().zip(ids.into_iter().zip(known)).enumerate() {
            let hash: [u8; 32] = Sha256::digest(&key.key).into();
            match known.filter(|_| !wiped) {
                Some(known) if known.row.hash == hash => {}
                None if new.get(&id).is_none_or(|(_, other)| *other == hash) => {
                    new.entry(id).or_insert((at, hash));
                }
                _ => return Err(E2eeError::KeyExists(format!("{}:{}", key.algorithm, key.id))),
            }
        }
        if new.is_empty() {
            return Ok(());
        }
        let waiting: u64 = if wiped { 0 } else { self.counts(by.device).await?.one_time.values().sum() };
        if waiting + new.len() as u64 > limits::ONE_TIME_KEYS_PER_DEVICE {
            return Err(E2eeError::TooLarge("more one-time keys than are kept for a device"));
        }
        let entry = tell(batch, by.user, by.device);
        for (id, (at, hash)) in new {
            let OneTime { algorithm, id: name, key } = &keys[at];
            if !wiped {
                batch.expect(id.clone(), Expect::Absent, Losing::Rebuild);
            }
            ONE_TIME_KEY_IDS.put(batch, id, &OneTimeKeyIdRow { hash, claimed_ms: None });
            let at = u32::try_from(at).unwrap_or(u32::MAX);
            let place = ONE_TIME_KEYS.key(by.device).text(algorithm).slot(entry).u32(at).template();
            let row = OneTimeKeyRow { id: name.clone(), key: key.clone() };
            ONE_TIME_KEYS.put_with(batch, place, WRITTEN_ONCE, &[], &row);
        }
        self.forget_old(batch, by.device, keys).await
    }

    /// Has `batch` forget ids that were claimed long ago, and keys that a restore has made void.
    async fn forget_old(&self, batch: &mut Batch, device: u64, keys: &[OneTime]) -> Result<(), E2eeError> {
        let now_ms = self.store.clock().now_ms();
        let range = ScanRange::scope(ONE_TIME_KEY_IDS.id(), device);
        let (ids, _) =
            self.store.scan(&ONE_TIME_KEY_IDS, &range, PageLimit::rows(limits::CLAIMED_IDS_LOOKED_AT)).await?;
        let is_old = |id: &Found<OneTimeKeyIdRow>| {
            id.row.claimed_ms.is_some_and(|claimed_ms| claimed_ms + limits::CLAIMED_ID_MS <= now_ms)
        };
        for id in ids.into_iter().filter(is_old) {
            // One that is uploaded again in this batch is known, and is not written.
            batch.delete(id.key);
        }
        let restored = self.store.epochs().restored_at();
        if restored > wardstead_engine::Position::ZERO {
            let algorithms: std::collections::BTreeSet<&str> = keys.iter().map(|key| key.algorithm.as_str()).collect();
            for algorithm in algorithms {
                let from = one_time_keys_from(device, algorithm, wardstead_engine::Position::ZERO);
                batch.delete_range(from, one_time_keys_from(device, algorithm, restored));
            }
        }
        Ok(())
    }

    async fn add_fallback(
        &self,
        batch: &mut Batch,
        by: &Session,
        keys: &[OneTime],
        wiped: bool,
    ) -> Result<(), E2eeError> {
        let mut stored: BTreeMap<Key, Found<FallbackKeyRow>> = BTreeMap::new();
        if !keys.is_empty() && !wiped {
            let range = ScanRange::scope(FALLBACK_KEYS.id(), by.device);
            let rows = self.store.scan_all(&FALLBACK_KEYS, range).await?;
            stored.extend(rows.into_iter().map(|found| (found.key.clone(), found)));
        }
        let mut kept: std::collections::BTreeSet<Key> = stored.keys().cloned().collect();
        let mut given = std::collections::BTreeSet::new();
        for key in keys {
            let cell = fallback_key_key(by.device, &key.algorithm);
            if !given.insert(cell.clone()) {
                return Err(E2eeError::InvalidParam("there is one fallback key for each algorithm"));
            }
            kept.insert(cell.clone());
            let before = stored.get(&cell);
            if before.is_some_and(|found| found.row.id == key.id && found.row.key == key.key) {
                continue;
            }
            let expect = before.map_or(Expect::Absent, |found| Expect::Version(found.version));
            if !wiped {
                batch.expect(cell.clone(), expect, Losing::Rebuild);
            }
            let entry = tell(batch, by.user, by.device);
            let row = FallbackKeyRow { id: key.id.clone(), key: key.key.clone(), used: false };
            let version = before.map_or(0, |found| found.version) + 1;
            FALLBACK_KEYS.put_with(batch, cell, version, &[PositionSlot::Entry(entry)], &row);
        }
        if kept.len() > limits::FALLBACK_KEYS_PER_DEVICE {
            return Err(E2eeError::TooLarge("more fallback keys than are kept for a device"));
        }
        Ok(())
    }
}

/// The keys, each verified with the device's own.
async fn verified(
    by: &Session,
    ed25519: Option<&str>,
    keys: &[(String, CanonicalJsonValue)],
) -> Result<Vec<OneTime>, E2eeError> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let unknown = E2eeError::InvalidSignature("the device has no keys with which others could be verified");
    let ed25519 = ed25519.ok_or(unknown)?;
    let mut verified = Vec::with_capacity(keys.len());
    for some in keys.chunks(limits::KEYS_VERIFIED_AT_ONCE) {
        for (name, key) in some {
            verified.push(one_time_key(name, key, by.user_id.as_str(), by.device_id.as_str(), ed25519)?);
        }
        tokio::task::yield_now().await;
    }
    Ok(verified)
}

/// The row after `new` came to what is `stored`.
fn merged(
    device: u64,
    new: DeviceKeys,
    stored: Option<&Found<DeviceKeysRow>>,
    self_signing: Option<&str>,
    name: Option<String>,
) -> Result<DeviceKeysRow, E2eeError> {
    let DeviceKeys { text, ed25519, curve25519, own, crossed } = new;
    let crossed = crossed.zip(self_signing).map(|(signature, by)| SignatureBy { by: by.to_owned(), signature });
    let row = DeviceKeysRow { device, signed: text, ed25519, own, crossed, name };
    let Some(Found { key, row: stored, .. }) = stored else { return Ok(row) };
    if stored.signed == row.signed {
        let own = row.own.or_else(|| stored.own.clone());
        let crossed = row.crossed.or_else(|| stored.crossed.clone());
        return Ok(DeviceKeysRow { own, crossed, ..row });
    }
    if stored.own.is_some() {
        if row.own.is_none() {
            return Err(E2eeError::InvalidSignature("keys that a device has signed are changed by its signature"));
        }
        if stored.ed25519 != row.ed25519 || stored.curve25519(key)? != curve25519 {
            return Err(E2eeError::InvalidParam(
                "the identity keys of a device do not change: sign in as a new device",
            ));
        }
    }
    Ok(row)
}

impl DeviceKeysRow {
    /// Of the row under `key`. That it has none is not what is said of a row that cannot be read.
    fn curve25519(&self, key: &Key) -> Result<Option<String>, StoreError> {
        let object: Option<CanonicalJsonObject> = serde_json::from_str(&self.signed).ok();
        let of_device = object.as_ref().and_then(|object| {
            let keys = object.get("keys")?.as_object()?;
            Some(keys.get(&format!("curve25519:{}", object.get("device_id")?.as_str()?)))
        });
        let of_device = of_device.ok_or_else(|| super::corrupt(key, "not the keys of a device"))?;
        Ok(of_device.and_then(CanonicalJsonValue::as_str).map(str::to_owned))
    }
}

impl CrossKeysRow {
    /// The keys, which are their names, too.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let signed = [&self.self_signing, &self.user_signing].into_iter().flatten().map(|(key, _)| key);
        self.master.iter().chain(signed).map(|key| key.public.as_str())
    }
}

/// Adds to `batch` that nothing that can be claimed is left of `device`.
pub(super) fn remove_claimable(batch: &mut Batch, device: u64) {
    for table in [ONE_TIME_KEYS.id(), ONE_TIME_KEY_IDS.id(), FALLBACK_KEYS.id()] {
        let ScanRange { from, to, .. } = ScanRange::scope(table, device);
        batch.delete_range(from, to);
    }
}

/// Adds to `batch` the news that keys of a device changed, once, and gives its number.
pub(super) fn tell(batch: &mut Batch, user: u64, device: u64) -> usize {
    let entry = JournalEntry { kind: kind::KEY_COUNTS, scope: user, key: device.to_be_bytes().to_vec().into() };
    if let Some(told) = batch.journal.iter().position(|other| *other == entry) {
        return told;
    }
    let entry = batch.journal(entry);
    KEY_CHANGES.put_with(batch, key_change_key(device), 0, &[PositionSlot::Entry(entry)], &KeyChangeRow);
    entry
}
