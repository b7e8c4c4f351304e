//! The devices of a user (Matrix specification, Client-Server API, Device Management).

use std::collections::HashMap;

use ruma::{DeviceId, OwnedDeviceId};
use wardstead_engine::{Batch, Expect, Key, KeyReader, Losing, ScanRange};
use wardstead_limits::{accounts as limits, engine::GET_KEYS, store as store_limits};
use wardstead_store::{Found, StoreError};

use crate::{
    AccountChange, Accounts, AccountsError, DeviceRenamed, LastSeen, Session,
    tables::{DEVICES, DeviceRow, USERS, device_key, user_key},
    users::corrupt,
};

/// A device of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its id.
    pub device_id: OwnedDeviceId,
    /// Short id.
    pub device: u64,
    /// What the user calls it.
    pub display_name: Option<String>,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: u64,
    /// When and from where it was last seen.
    pub last_seen: LastSeen,
}

impl Accounts {
    /// The devices of the user with this short id, in the order of their ids.
    ///
    /// # Errors
    /// The store's.
    pub async fn devices(&self, user: u64) -> Result<Vec<Device>, AccountsError> {
        let session = self.read_user(user).await?.session;
        let rows = self.store.scan_all(&DEVICES, ScanRange::scope(DEVICES.id(), user)).await?;
        let mut seen: HashMap<u64, LastSeen> = self.last_seen(user).await?.into_iter().collect();
        let good = rows.into_iter().filter(|found| found.row.session >= session);
        Ok(good.map(|found| device(&found, seen.remove(&found.row.device))).collect::<Result<_, _>>()?)
    }

    /// Of each of `wanted`, a user and one of their devices or all of them (`None`), the short ids of those that exist and are not void, in
    /// the order of `wanted`. One read, and one more for each user all of whose devices are wanted.
    ///
    /// # Errors
    /// The store's.
    pub async fn device_short_ids(&self, wanted: &[(u64, Option<&DeviceId>)]) -> Result<Vec<Vec<u64>>, StoreError> {
        let can_be = |id: &DeviceId| (1..=limits::DEVICE_ID_BYTES).contains(&id.as_str().len());
        let mut keys: Vec<Key> = wanted.iter().map(|(user, _)| user_key(*user)).collect();
        keys.dedup();
        let named =
            |(user, id): &(u64, Option<&DeviceId>)| id.filter(|id| can_be(id)).map(|id| device_key(*user, id.as_str()));
        keys.extend(wanted.iter().filter_map(named));
        let mut cells = HashMap::with_capacity(keys.len());
        for keys in keys.chunks(GET_KEYS) {
            let found = self.store.cells(keys).await?;
            cells.extend(keys.iter().cloned().zip(found).filter_map(|(key, cell)| Some((key, cell?))));
        }
        let mut short_ids = Vec::with_capacity(wanted.len());
        for (user, device_id) in wanted {
            let key = user_key(*user);
            let Some(session) =
                cells.get(&key).map(|cell| USERS.decode(&key, cell)).transpose()?.map(|row| row.session)
            else {
                short_ids.push(Vec::new());
                continue;
            };
            let rows: Vec<DeviceRow> = if device_id.is_some() {
                let key = named(&(*user, *device_id));
                let row = key.and_then(|key| cells.get(&key).map(|cell| DEVICES.decode(&key, cell))).transpose()?;
                row.into_iter().collect()
            } else {
                let rows = self.store.scan_all(&DEVICES, ScanRange::scope(DEVICES.id(), *user)).await?;
                rows.into_iter().map(|found| found.row).collect()
            };
            short_ids.push(rows.into_iter().filter(|row| row.session >= session).map(|row| row.device).collect());
        }
        Ok(short_ids)
    }

    /// The device `device_id` of the session's user.
    ///
    /// # Errors
    /// `NoDevice`, and the store's.
    pub async fn device(&self, of: &Session, device_id: &DeviceId) -> Result<Device, AccountsError> {
        let found = self.good_device(of, device_id).await?;
        let seen = self.last_seen_of(of.user, found.row.device).await?;
        Ok(device(&found, seen)?)
    }

    /// Gives the device `device_id` of the session's user another display name, in one batch.
    ///
    /// # Errors
    /// `NoDevice`, `InvalidDisplayName`, `Contended`, and the store's.
    pub async fn rename_device(
        &self,
        by: &Session,
        device_id: &DeviceId,
        display_name: &str,
    ) -> Result<(), AccountsError> {
        for _ in 0..store_limits::REBUILDS {
            let Found { key, row, version, .. } = self.good_device(by, device_id).await?;
            if display_name.len() > limits::DEVICE_ID_BYTES {
                return Err(AccountsError::InvalidDisplayName);
            }
            let display_name = Some(display_name.to_owned());
            if row.display_name == display_name {
                return Ok(());
            }
            let mut batch = Batch::new();
            let entry = Self::tell(&mut batch, by.user);
            batch.expect(key.clone(), Expect::Version(version), Losing::Rebuild);
            let row = DeviceRow { display_name: display_name.clone(), ..row };
            DEVICES.put_with(&mut batch, key, version + 1, &[], &row);
            let change = AccountChange::DeviceRenamed(DeviceRenamed {
                user: by.user,
                user_id: by.user_id.clone(),
                device: row.device,
                device_id: device_id.to_owned(),
                display_name,
            });
            self.follow(&mut batch, &change, entry).await?;
            match self.store.commit(batch).await {
                Ok(_) => return Ok(()),
                Err(StoreError::Lost(Losing::Rebuild)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(AccountsError::Contended)
    }

    /// What the user calls the session's device.
    ///
    /// # Errors
    /// `NoDevice` when it is gone meanwhile, and the store's.
    pub async fn device_name(&self, of: &Session) -> Result<Option<String>, AccountsError> {
        Ok(self.standing(of).await?.row.display_name)
    }

    /// Adds to `batch` that the session's device is there, is called what it is called, and is no other than before: what is kept for a
    /// device is never left behind by its removal. A batch that loses with [`Losing::Rebuild`] because of it is built again.
    ///
    /// # Errors
    /// `NoDevice` when it is gone meanwhile, and the store's.
    pub async fn assert_device(&self, batch: &mut Batch, of: &Session) -> Result<(), AccountsError> {
        let Found { key, version, .. } = self.standing(of).await?;
        batch.expect(key, Expect::Version(version), Losing::Rebuild);
        Ok(())
    }

    async fn standing(&self, of: &Session) -> Result<Found<DeviceRow>, AccountsError> {
        let found = self.good_device(of, &of.device_id).await?;
        if found.row.device == of.device { Ok(found) } else { Err(AccountsError::NoDevice) }
    }

    /// The row of a device that is not void: the session is good, so devices of a lower session number than its own are.
    async fn good_device(&self, of: &Session, device_id: &DeviceId) -> Result<Found<DeviceRow>, AccountsError> {
        if !(1..=limits::DEVICE_ID_BYTES).contains(&device_id.as_str().len()) {
            return Err(AccountsError::NoDevice);
        }
        let session = self.read_user(of.user).await?.session;
        let found = self.store.get(&DEVICES, &device_key(of.user, device_id.as_str())).await?;
        found.filter(|found| found.row.session >= session).ok_or(AccountsError::NoDevice)
    }
}

fn device(found: &Found<DeviceRow>, seen: Option<LastSeen>) -> Result<Device, StoreError> {
    let device_id = KeyReader::new(&found.key).text().ok_or_else(|| corrupt(&found.key, "not a device id"))?;
    let DeviceRow { device, display_name, created_ms, .. } = found.row.clone();
    // The two rows are written together; between two reads the device may have gone.
    let last_seen = seen.unwrap_or(LastSeen { at_ms: created_ms, address: None, user_agent: None });
    Ok(Device { device_id: device_id.into(), device, display_name, created_ms, last_seen })
}
