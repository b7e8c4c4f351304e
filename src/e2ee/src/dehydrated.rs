//! Dehydrated devices: one that a client leaves on the server for the time when the user is signed in nowhere. Others send room keys to it,
//! and the user's next device takes them over ([MSC3814](https://github.com/matrix-org/matrix-spec-proposals/pull/3814)).
//!
//! It is a device like any other, with keys and an inbox, on which nobody is signed in; the row here says which one it is, and holds its
//! secrets, encrypted by the client.

mod follow;
mod tables;
#[cfg(test)]
mod tests;

use ruma::{DeviceId, OwnedDeviceId};
use serde_json::value::RawValue;
use wardstead_accounts::{Accounts, AccountsError, NewDevice, RemovedDevice, Session};
use wardstead_engine::{Batch, EngineError, Expect, Losing, Position};
use wardstead_limits::{e2ee as limits, own_data::TO_DEVICE_MESSAGES, store::REBUILDS};
use wardstead_store::{Found, PageToken, Store, StoreError, Token};

pub use follow::DehydratedKeeper;

use crate::{E2eeError, Inboxes, KeyUpload, Keys};
use tables::{DEHYDRATED, DehydratedRow, EVENTS, row_key};

/// The dehydrated devices of this server's users. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Dehydrated {
    store: Store,
    accounts: Accounts,
    keys: Keys,
    inboxes: Inboxes,
}

/// One that a client uploads.
#[derive(Clone, Debug)]
pub struct NewDehydrated {
    /// Its id.
    pub device_id: OwnedDeviceId,
    /// What the user calls it.
    pub display_name: Option<String>,
    /// Its secrets, which the server cannot read: a JSON object.
    pub device_data: Box<RawValue>,
    /// Its keys; those of the device itself have to be there.
    pub keys: KeyUpload,
}

/// One that is there.
#[derive(Clone, Debug)]
pub struct DehydratedDevice {
    /// Its id.
    pub device_id: OwnedDeviceId,
    /// As it was uploaded.
    pub device_data: Box<RawValue>,
}

/// Messages for it.
#[derive(Clone, Debug)]
pub struct DehydratedEvents {
    /// In the order in which they came.
    pub events: Vec<Box<RawValue>>,
    /// What to ask with for those that follow.
    pub next_batch: String,
    /// Whether some do.
    pub more: bool,
}

const NONE: E2eeError = E2eeError::NotFound("There is no dehydrated device.");

impl Dehydrated {
    /// The dehydrated devices in `store`. [`DehydratedKeeper`] has to follow the changes of `accounts`.
    #[must_use]
    pub fn new(store: Store, accounts: Accounts, keys: Keys, inboxes: Inboxes) -> Self {
        Self { store, accounts, keys, inboxes }
    }

    /// Has the user of `by` have the dehydrated device `new`, in the place of any other, in one commit: the device, its keys, which are
    /// verified as any, and the removal of the former one with all that was kept for it. One of the same id is removed in a commit before.
    ///
    /// # Errors
    /// `BadJson`, `InvalidParam`, `InvalidSignature`, `TooLarge` and so on, as of an upload of keys; the accounts', `DeviceInUse` among them;
    /// `Contended`, and the store's.
    pub async fn put(&self, by: &Session, new: &NewDehydrated) -> Result<(), E2eeError> {
        if new.device_data.get().len() > limits::DEHYDRATED_DATA_BYTES {
            return Err(E2eeError::TooLarge("The dehydrated device is too large."));
        }
        if new.keys.device_keys.is_none() {
            return Err(E2eeError::Missing("A dehydrated device has device_keys."));
        }
        for _ in 0..REBUILDS {
            let standing = self.row(by.user).await?;
            if standing.as_ref().is_some_and(|standing| standing.row.device_id == new.device_id.as_str()) {
                self.accounts.remove_devices(by, std::slice::from_ref(&new.device_id), Batch::new()).await?;
                continue;
            }
            let batch = self.replacement(by, new, standing.as_ref()).await?;
            match self.store.commit(batch).await {
                Ok(_) => return Ok(()),
                Err(StoreError::Lost(Losing::Rebuild)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(E2eeError::Contended)
    }

    async fn replacement(
        &self,
        by: &Session,
        new: &NewDehydrated,
        standing: Option<&Found<DehydratedRow>>,
    ) -> Result<Batch, E2eeError> {
        let mut batch = Batch::new();
        let expect = standing.map_or(Expect::Absent, |standing| Expect::Version(standing.version));
        batch.expect(row_key(by.user), expect, Losing::Rebuild);
        let replaced = standing.map(|standing| RemovedDevice {
            device: standing.row.device,
            device_id: standing.row.device_id.as_str().into(),
        });
        let device = NewDevice {
            device_id: Some(new.device_id.clone()),
            display_name: new.display_name.clone(),
            ..NewDevice::default()
        };
        let device = self.accounts.add_unattended(&mut batch, by, &device, replaced.as_ref()).await?;
        let mut batch = self.keys.add_to(batch, &device, new.display_name.clone(), &new.keys).await?;
        let row = DehydratedRow {
            device: device.device,
            device_id: new.device_id.to_string(),
            device_data: new.device_data.get().to_owned(),
        };
        // After the removal of the former one, which takes its row away. No two devices have one short id.
        DEHYDRATED.put_with(&mut batch, row_key(by.user), device.device, &[], &row);
        Ok(batch)
    }

    /// The dehydrated device of the user of `by`.
    ///
    /// # Errors
    /// `NotFound`, and the store's.
    pub async fn get(&self, by: &Session) -> Result<DehydratedDevice, E2eeError> {
        let found = self.standing(by).await?.ok_or(NONE)?;
        let unreadable = || E2eeError::from(EngineError::corrupt(&found.key, "not the data of a dehydrated device"));
        let device_data = RawValue::from_string(found.row.device_data.clone()).map_err(|_| unreadable())?;
        Ok(DehydratedDevice { device_id: found.row.device_id.as_str().into(), device_data })
    }

    /// Removes it, as any device is removed.
    ///
    /// # Errors
    /// `NotFound`, `Contended`, and the store's.
    pub async fn remove(&self, by: &Session) -> Result<OwnedDeviceId, E2eeError> {
        let found = self.standing(by).await?.ok_or(NONE)?;
        let device_id: OwnedDeviceId = found.row.device_id.as_str().into();
        self.accounts.remove_devices(by, std::slice::from_ref(&device_id), Batch::new()).await?;
        Ok(device_id)
    }

    /// Messages for `device_id`, which has to be the dehydrated device, that follow `from`, at most [`TO_DEVICE_MESSAGES`]. They stay: who takes
    /// them over may end halfway, and another device begins anew.
    ///
    /// # Errors
    /// `Forbidden` where it is another device, or none; `InvalidParam` where `from` is no such token; the store's.
    pub async fn events(
        &self,
        by: &Session,
        device_id: &DeviceId,
        from: Option<&str>,
    ) -> Result<DehydratedEvents, E2eeError> {
        let found = self.standing(by).await?.filter(|found| found.row.device_id == device_id.as_str());
        let device = found.ok_or(E2eeError::Forbidden("This is not the dehydrated device."))?.row.device;
        let after = from.map_or(Ok(Position::ZERO), |from| self.place(device, from))?;
        let upto = self.store.caught_up().await?;
        let page = self.inboxes.waiting(device, after, upto, TO_DEVICE_MESSAGES).await?;
        let last = page.messages.last().map_or(after, |message| message.position);
        let key = [device.to_be_bytes(), last.0.to_be_bytes()].concat();
        let next_batch = self.store.tokens().write(&Token::Page(PageToken { list: EVENTS, key }));
        let events = page.messages.into_iter().map(|message| message.event).collect();
        Ok(DehydratedEvents { events, next_batch, more: page.more })
    }

    /// The place after which the page that `token` names begins.
    fn place(&self, device: u64, token: &str) -> Result<Position, E2eeError> {
        let wrong = E2eeError::InvalidParam("The token is not of these messages.");
        let Ok(Token::Page(PageToken { list: EVENTS, key })) = self.store.tokens().read(token) else {
            return Err(wrong);
        };
        let position = key.strip_prefix(device.to_be_bytes().as_slice()).and_then(|rest| rest.try_into().ok());
        position.map(|bytes| Position(u64::from_be_bytes(bytes))).ok_or(wrong)
    }

    async fn row(&self, user: u64) -> Result<Option<Found<DehydratedRow>>, StoreError> {
        self.store.get(&DEHYDRATED, &row_key(user)).await
    }

    /// The row of a device that is there: what the end of all sessions makes void goes a little later.
    async fn standing(&self, by: &Session) -> Result<Option<Found<DehydratedRow>>, E2eeError> {
        let Some(found) = self.row(by.user).await? else { return Ok(None) };
        match self.accounts.device(by, found.row.device_id.as_str().into()).await {
            Ok(device) => Ok(Some(found).filter(|found| found.row.device == device.device)),
            Err(AccountsError::NoDevice) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}
