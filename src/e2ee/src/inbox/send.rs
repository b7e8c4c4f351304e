//! Sending messages to devices.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use ruma::{DeviceId, OwnedUserId, UserId};
use serde::Serialize;
use serde_json::value::RawValue;
use wardstead_accounts::Session;
use wardstead_engine::{Batch, Expect, JournalEntry, Losing};
use wardstead_limits::{e2ee as limits, engine};
use wardstead_store::{StoreError, kind};

use super::{
    Inboxes,
    tables::{INBOXES, MessageRow, TRANSACTIONS, TransactionRow},
};
use crate::E2eeError;

/// Contents by device id; `*`: for all devices of the user.
pub type Recipients = BTreeMap<String, Box<RawValue>>;

/// What a client sends (Client-Server API, PUT sendToDevice).
#[derive(Clone, Debug)]
pub struct ToDeviceRequest {
    /// Type of the events.
    pub event_type: String,
    /// The client's transaction id: the same device, type and id is the same request, however often it is sent.
    pub txn_id: String,
    /// To whom what is sent.
    pub messages: BTreeMap<OwnedUserId, Recipients>,
}

/// All devices of a user.
const ALL: &str = "*";

#[derive(Serialize)]
struct Event<'a> {
    r#type: &'a str,
    sender: &'a UserId,
    content: &'a RawValue,
}

impl Inboxes {
    /// Sends messages to devices, as one batch whatever the number of recipients, and returns once they are durable. Users and devices
    /// that do not exist, and users of other servers, are passed over. Where `*` and a device are named, the device gets its own message
    /// alone.
    ///
    /// # Errors
    /// `TooLarge` beyond the bounds of [`limits`] and of one batch, and then nobody gets anything; the store's.
    pub async fn send(&self, by: &Session, request: &ToDeviceRequest) -> Result<(), E2eeError> {
        check(request)?;
        let ToDeviceRequest { event_type, txn_id, messages } = request;
        let mut batch = Batch::new();
        let done = TRANSACTIONS.key(by.device).text(event_type).text(txn_id).key();
        batch.expect(done.clone(), Expect::Absent, Losing::Done(done.clone()));
        TRANSACTIONS.put(&mut batch, done, &TransactionRow { at_ms: self.store.clock().now_ms() });
        for (user, contents) in self.recipients(messages).await? {
            let entry = batch.journal(JournalEntry { kind: kind::TO_DEVICE, scope: user, key: Bytes::new() });
            for (content, devices) in contents {
                let event = Event { r#type: event_type, sender: &by.user_id, content };
                let event = serde_json::to_vec(&event).map_err(|_| E2eeError::BadJson("That is no message."))?;
                let row = MessageRow(event.into());
                for device in devices {
                    INBOXES.put(&mut batch, INBOXES.key(device).slot(entry).template(), &row);
                    self.keep_bounded(&mut batch, device).await?;
                }
            }
        }
        if batch.journal.is_empty() {
            // Nobody gets anything, the next time too.
            return Ok(());
        }
        if batch.bytes() > engine::BATCH_BYTES || batch.writes.len() > engine::BATCH_WRITES {
            return Err(too_large());
        }
        match self.store.commit(batch).await {
            Ok(_) | Err(StoreError::Lost(Losing::Done(_))) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// A recipient's short id, and which content is for which of their devices.
type Addressed<'a> = (u64, Vec<(&'a RawValue, Vec<u64>)>);

impl Inboxes {
    /// The devices that are meant, of users who have any of them. Two reads, and one for each `*`.
    async fn recipients<'a>(
        &self,
        messages: &'a BTreeMap<OwnedUserId, Recipients>,
    ) -> Result<Vec<Addressed<'a>>, E2eeError> {
        let here = messages.iter().filter(|(user_id, _)| user_id.server_name() == self.accounts.server_name());
        let (user_ids, contents): (Vec<&UserId>, Vec<&Recipients>) =
            here.map(|(user_id, contents)| (&**user_id, contents)).unzip();
        let users = self.accounts.user_short_ids(&user_ids).await?;
        let known = || users.iter().zip(&contents).filter_map(|(user, contents)| Some(((*user)?, *contents)));
        let wanted: Vec<(u64, Option<&DeviceId>)> =
            known().flat_map(|(user, contents)| contents.keys().map(move |name| (user, named(name)))).collect();
        let mut found = self.accounts.device_short_ids(&wanted).await?.into_iter().zip(&wanted);
        let mut addressed = Vec::with_capacity(users.len());
        for (user, contents) in known() {
            let mut of_user: Vec<(&RawValue, Vec<u64>)> = Vec::with_capacity(contents.len());
            let (mut all, mut own) = (None, BTreeSet::new());
            for (content, (devices, (_, name))) in contents.values().zip(found.by_ref()) {
                if name.is_none() {
                    all = Some((&**content, devices));
                } else if !devices.is_empty() {
                    own.extend(devices.iter().copied());
                    of_user.push((content, devices));
                }
            }
            if let Some((content, mut devices)) = all {
                devices.retain(|device| !own.contains(device));
                of_user.push((content, devices));
            }
            of_user.retain(|(_, devices)| !devices.is_empty());
            if !of_user.is_empty() {
                addressed.push((user, of_user));
            }
        }
        Ok(addressed)
    }
}

fn named(name: &str) -> Option<&DeviceId> {
    (name != ALL).then(|| name.into())
}

fn check(request: &ToDeviceRequest) -> Result<(), E2eeError> {
    if request.event_type.len() > limits::TO_DEVICE_TYPE_BYTES {
        return Err(E2eeError::InvalidParam("An event type has at most 255 bytes."));
    }
    if request.txn_id.len() > limits::TO_DEVICE_TRANSACTION_BYTES {
        return Err(E2eeError::InvalidParam("A transaction id has at most 255 bytes."));
    }
    let recipients: usize = request.messages.values().map(Recipients::len).sum();
    if request.messages.len() > limits::TO_DEVICE_USERS || recipients > limits::TO_DEVICE_NAMED_DEVICES {
        return Err(too_large());
    }
    let contents = || request.messages.values().flat_map(Recipients::values);
    if contents().any(|content| content.get().len() > limits::TO_DEVICE_BYTES) {
        return Err(E2eeError::TooLarge("A message to a device has at most 64 KiB."));
    }
    if contents().any(|content| !content.get().starts_with('{')) {
        return Err(E2eeError::BadJson("The content of a message is an object."));
    }
    Ok(())
}

fn too_large() -> E2eeError {
    E2eeError::TooLarge("These are too many recipients for one request: send to fewer at a time.")
}
