//! What becomes of keys when devices and accounts change, in the commit of that change.

use async_trait::async_trait;
use wardstead_accounts::{AccountChange, DeviceRenamed, DevicesRemoved};
use wardstead_engine::{Batch, Expect, Key, Losing, ScanRange};
use wardstead_store::{CommitContributor, Contribution, Found, Overlay, StoreError};

use super::{
    tables::{
        CROSS_KEYS, CrossKeysRow, DEVICE_KEYS, DeviceKeysRow, USER_SIGNATURES, cross_keys_key, device_keys_key,
        key_change_key,
    },
    upload::remove_claimable,
};
use crate::{DeviceListLog, ListChange};

/// Takes the keys of devices away with them, and those of users with their accounts. Wired by the binary into the accounts' commits.
#[derive(Clone, Copy, Debug, Default)]
pub struct KeyKeeper;

#[async_trait]
impl CommitContributor<AccountChange> for KeyKeeper {
    async fn prepare(&self, change: &AccountChange, queued: &Overlay<'_>) -> Result<Contribution, StoreError> {
        match change {
            AccountChange::DevicesRemoved(removed) => remove(removed, queued).await,
            AccountChange::DeviceRenamed(renamed) => rename(renamed, queued).await,
            AccountChange::Deactivated(deactivated) => deactivate(deactivated.user, queued).await,
            _ => Ok(Contribution::nothing()),
        }
    }
}

async fn remove(removed: &DevicesRemoved, queued: &Overlay<'_>) -> Result<Contribution, StoreError> {
    let user = removed.user;
    let ids: Vec<String> = removed.devices.iter().map(|device| device.device_id.to_string()).collect();
    let keys: Vec<Key> = ids.iter().map(|id| device_keys_key(user, id)).collect();
    let found = queued.store().get_many(&DEVICE_KEYS, &keys).await?;
    let cross = queued.store().get(&CROSS_KEYS, &cross_keys_key(user)).await?;
    let known = found.iter().any(Option::is_some);
    let told = if known { Some(change(user, queued).await?) } else { None };
    let devices: Vec<u64> = removed.devices.iter().map(|device| device.device).collect();
    Ok(Contribution::new(move |batch, _| {
        for (key, found) in keys.into_iter().zip(found) {
            // Uploaded meanwhile, they would stay, or nobody would be told.
            batch.expect(
                key.clone(),
                found.map_or(Expect::Absent, |found| Expect::Version(found.version)),
                Losing::Rebuild,
            );
            batch.delete(key);
        }
        for device in devices {
            remove_claimable(batch, device);
            batch.delete(key_change_key(device));
        }
        if let Some(cross) = cross {
            unsign(batch, cross, &ids);
        }
        if let Some(told) = told {
            told.add(batch);
        }
    }))
}

/// The signatures of devices that are gone go with them.
fn unsign(batch: &mut Batch, cross: Found<CrossKeysRow>, devices: &[String]) {
    let Found { key, mut row, version, .. } = cross;
    let before = row.devices.len();
    row.devices.retain(|signature| !devices.contains(&signature.by));
    if row.devices.len() < before {
        batch.expect(key.clone(), Expect::Version(version), Losing::Rebuild);
        CROSS_KEYS.put_with(batch, key, version + 1, &[], &row);
    }
}

/// A device's name is shown with its keys.
async fn rename(renamed: &DeviceRenamed, queued: &Overlay<'_>) -> Result<Contribution, StoreError> {
    let key = device_keys_key(renamed.user, renamed.device_id.as_str());
    // An upload asserts the device's row, which this commit changes: none comes between.
    let Some(Found { row, version, .. }) = queued.store().get(&DEVICE_KEYS, &key).await? else {
        return Ok(Contribution::nothing());
    };
    let row = DeviceKeysRow { name: renamed.display_name.clone(), ..row };
    let told = change(renamed.user, queued).await?;
    Ok(Contribution::new(move |batch, _| {
        batch.expect(key.clone(), Expect::Version(version), Losing::Rebuild);
        DEVICE_KEYS.put_with(batch, key, version + 1, &[], &row);
        told.add(batch);
    }))
}

async fn change(user: u64, queued: &Overlay<'_>) -> Result<ListChange, StoreError> {
    DeviceListLog::new(queued.store().clone()).prepare(user).await
}

/// Devices beyond what one batch removes are void from this commit on: nobody is shown their keys any more.
async fn deactivate(user: u64, queued: &Overlay<'_>) -> Result<Contribution, StoreError> {
    let told = change(user, queued).await?;
    Ok(Contribution::new(move |batch, _| {
        batch.delete(cross_keys_key(user));
        for table in [DEVICE_KEYS.id(), USER_SIGNATURES.id()] {
            let ScanRange { from, to, .. } = ScanRange::scope(table, user);
            batch.delete_range(from, to);
        }
        told.add(batch);
    }))
}
