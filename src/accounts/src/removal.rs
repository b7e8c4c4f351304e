//! Removing devices: a device goes with its tokens, and with what others keep for it, in one commit.

use std::{collections::HashSet, sync::Arc};

use async_trait::async_trait;
use ruma::{DeviceId, OwnedDeviceId, UserId};
use wardstead_engine::{Batch, EngineError, Expect, KeyReader, Losing, PageLimit, ScanRange};
use wardstead_limits::{accounts as limits, store as store_limits};
use wardstead_store::{Claim, Found, Handled, Queue, QueueHandler, StoreError};

use crate::{
    AccountChange, Accounts, AccountsError, DevicesRemoved, RemovedDevice, Session,
    tables::{DEVICES, DeviceRow, VOID_DEVICES, VoidDevicesRow, device_key, last_seen_key, user_key},
    tokens::remove_tokens,
    users::corrupt,
};

/// What types of account data begin with that say how the device notifies whose id follows.
const DEVICE_SETTINGS: [&str; 2] =
    ["org.matrix.msc3890.local_notification_settings.", "m.local_notification_settings."];

/// Users of whom void devices remain.
pub(crate) static REMAINING: Queue<VoidDevicesRow> = Queue::new(VOID_DEVICES);

impl Accounts {
    /// Ends the session and removes its device, with all tokens of it, in one batch (Matrix specification, Client-Server
    /// API, `POST /logout`). Does nothing when the device is gone already.
    ///
    /// # Errors
    /// `Contended`, and the store's.
    pub async fn logout(&self, session: &Session) -> Result<(), AccountsError> {
        let key = device_key(session.user, session.device_id.as_str());
        for _ in 0..store_limits::REBUILDS {
            let device = self.store.get(&DEVICES, &key).await?;
            let Some(device) = device.filter(|device| device.row.device == session.device) else { return Ok(()) };
            let mut batch = Batch::new();
            let entry = Self::tell(&mut batch, session.user);
            self.remove(&mut batch, session.user, &session.user_id, &[device], entry).await?;
            match self.store.commit(batch).await {
                Ok(_) => return Ok(()),
                Err(StoreError::Lost(Losing::Rebuild)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(AccountsError::Contended)
    }

    /// Removes `devices` of the session's user, each in one batch with all that is kept for it, and in one batch together where they
    /// are at most [`limits::DEVICES_PER_BATCH`]. `extra` joins the first batch, which is committed whether or not there is a
    /// device to remove. Devices that do not exist are passed over (Matrix specification, Client-Server API, Device
    /// Management).
    ///
    /// # Errors
    /// `Lost` with what losing an assertion of `extra` means; `Contended`, and the store's.
    pub async fn remove_devices(
        &self,
        by: &Session,
        devices: &[OwnedDeviceId],
        extra: Batch,
    ) -> Result<(), AccountsError> {
        let mut known = HashSet::new();
        let once: Vec<_> = devices
            .iter()
            .filter(|id| (1..=limits::DEVICE_ID_BYTES).contains(&id.as_str().len()) && known.insert(*id))
            .collect();
        let mut extra = extra;
        let mut rest = once.as_slice();
        loop {
            let (now, later) = rest.split_at(rest.len().min(limits::DEVICES_PER_BATCH));
            self.remove_some(by, now, &std::mem::take(&mut extra)).await?;
            if later.is_empty() {
                return Ok(());
            }
            rest = later;
        }
    }

    async fn remove_some(&self, by: &Session, devices: &[&OwnedDeviceId], extra: &Batch) -> Result<(), AccountsError> {
        let keys: Vec<_> = devices.iter().map(|id| device_key(by.user, id.as_str())).collect();
        for _ in 0..store_limits::REBUILDS {
            let found: Vec<_> = self.store.get_many(&DEVICES, &keys).await?.into_iter().flatten().collect();
            let mut batch = extra.clone();
            if !found.is_empty() {
                let entry = Self::tell(&mut batch, by.user);
                self.remove(&mut batch, by.user, &by.user_id, &found, entry).await?;
            }
            if batch == Batch::new() {
                return Ok(());
            }
            match self.store.commit(batch).await {
                Ok(_) => return Ok(()),
                Err(StoreError::Lost(Losing::Rebuild)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(AccountsError::Contended)
    }

    /// Adds to `batch`, of which `entry` is the news, the removal of `devices`: rows, tokens, and what contributors keep for them. Losing
    /// with [`Losing::Rebuild`] means that one of them changed.
    pub(crate) async fn remove(
        &self,
        batch: &mut Batch,
        user: u64,
        user_id: &UserId,
        devices: &[Found<DeviceRow>],
        entry: usize,
    ) -> Result<(), StoreError> {
        let mut removed = Vec::with_capacity(devices.len());
        for device in devices {
            batch.expect(device.key.clone(), Expect::Version(device.version), Losing::Rebuild);
            batch.delete(device.key.clone());
            batch.delete(last_seen_key(user, device.row.device));
            let tokens = self.tokens_of(user, device.row.device).await?;
            remove_tokens(batch, &tokens)?;
            let device_id = device_id_of(device)?;
            self.remove_settings(batch, user, &device_id).await?;
            removed.push(RemovedDevice { device: device.row.device, device_id });
        }
        if removed.is_empty() {
            return Ok(());
        }
        let change = DevicesRemoved { user, user_id: user_id.to_owned(), devices: removed };
        self.follow(batch, &AccountChange::DevicesRemoved(change), entry).await
    }

    /// Adds the removal of how a device notifies ([MSC3890](https://github.com/matrix-org/matrix-spec-proposals/pull/3890)), which is told to the
    /// user's other devices as other account data that is removed.
    async fn remove_settings(&self, batch: &mut Batch, user: u64, device_id: &DeviceId) -> Result<(), StoreError> {
        let types = DEVICE_SETTINGS.map(|prefix| format!("{prefix}{device_id}"));
        let named = self.account_data_named(user, 0, &types.each_ref().map(String::as_str)).await;
        let found = named.map_err(|error| match error {
            AccountsError::Store(error) => error,
            error => EngineError::Unavailable(error.to_string()).into(),
        })?;
        for data in found.iter().flatten().filter(|data| data.content.is_some()) {
            self.put_removal(batch, user, 0, data).await?;
        }
        Ok(())
    }

    /// Removes, from now on and until the store is closed, what the end of all sessions of a user with very many devices leaves for later.
    /// Called once, when the parts are wired, on every node.
    pub fn run_removals(&self) {
        self.store.run_queue(&REMAINING, Arc::new(Remaining(self.clone())));
    }

    /// The first devices of `user` that are void, at most as many as one batch removes, and the user.
    async fn void_devices(&self, user: u64) -> Result<(ruma::OwnedUserId, Vec<Found<DeviceRow>>), AccountsError> {
        let account = self.read_user(user).await?;
        let mut void = Vec::new();
        let mut rest = Some(ScanRange::scope(DEVICES.id(), user));
        while let Some(range) = rest.filter(|_| void.len() < limits::DEVICES_PER_BATCH) {
            let (rows, resume) = self.store.scan(&DEVICES, &range, PageLimit::default()).await?;
            void.extend(rows.into_iter().filter(|device| device.row.session < account.session));
            rest = resume.map(|resume| range.resumed(resume));
        }
        void.truncate(limits::DEVICES_PER_BATCH);
        Ok((account.user_id, void))
    }
}

/// Removes devices that the end of all sessions has made void and that were too many for its own commit.
struct Remaining(Accounts);

#[async_trait]
impl QueueHandler<VoidDevicesRow> for Remaining {
    async fn handle(&self, user: u64, rows: &[Found<VoidDevicesRow>], claim: &Claim) -> Result<Handled, StoreError> {
        loop {
            let (user_id, void) = match self.0.void_devices(user).await {
                Ok(void) => void,
                Err(AccountsError::Store(error)) => return Err(error),
                Err(error) => return Err(corrupt(&user_key(user), &error.to_string())),
            };
            if void.is_empty() {
                return Ok(Handled::Done { rows: rows.len(), batch: Batch::new() });
            }
            let mut batch = Batch::new();
            let entry = Accounts::tell(&mut batch, user);
            self.0.remove(&mut batch, user, &user_id, &void, entry).await?;
            // No rows yet: the claim alone, so that a node that was replaced stops here.
            claim.take::<VoidDevicesRow>(&mut batch, &[]);
            match self.0.store.commit(batch).await {
                Ok(_) | Err(StoreError::Lost(Losing::Rebuild)) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

fn device_id_of(device: &Found<DeviceRow>) -> Result<OwnedDeviceId, StoreError> {
    let device_id = KeyReader::new(&device.key).text();
    device_id.map(Into::into).ok_or_else(|| corrupt(&device.key, "not a device id"))
}
