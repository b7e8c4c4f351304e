//! Changes of pushers: each is one batch with all rows that follow from it.

use std::collections::BTreeMap;

use bytes::Bytes;
use wardstead_accounts::Session;
use wardstead_engine::{Batch, JournalEntry, Key};
use wardstead_limits::pushers as limits;
use wardstead_store::{Store, StoreError, kind};

use crate::{
    PushError,
    pushers::{
        Pusher,
        tables::{
            PUSHERS, PUSHKEYS, PusherRow, PushersRow, PushkeyRow, STATES, StateRow, pushers_key, pushkey_key, state_key,
        },
    },
    work::expect,
};

impl Pusher {
    /// What `row` says, of the pushers of `user`.
    pub(crate) fn of(user: u64, row: PusherRow) -> Result<Self, StoreError> {
        let data = row.data(user)?;
        let PusherRow { app_id, pushkey, app_display_name, device_display_name, profile_tag, lang, url, .. } = row;
        Ok(Self { app_id, pushkey, app_display_name, device_display_name, profile_tag, lang, url, data })
    }
}

/// The pushers of `user`, and the version of their row.
pub(crate) async fn pushers(store: &Store, user: u64) -> Result<(PushersRow, u64), StoreError> {
    let found = store.get(&PUSHERS, &pushers_key(user)).await?;
    Ok(found.map(|found| (found.row, found.version)).unwrap_or_default())
}

/// Rows as they were read and as they are to be; what is not changed is written nowhere, and asserted all the same.
pub(crate) struct Edit {
    store: Store,
    pub(crate) batch: Batch,
    users: BTreeMap<u64, (PushersRow, u64, bool)>,
    keys: BTreeMap<Key, (PushkeyRow, u64, bool)>,
}

impl Edit {
    pub(crate) fn new(store: &Store) -> Self {
        Self { store: store.clone(), batch: Batch::new(), users: BTreeMap::new(), keys: BTreeMap::new() }
    }

    async fn user(&mut self, user: u64) -> Result<&mut (PushersRow, u64, bool), StoreError> {
        if !self.users.contains_key(&user) {
            let (row, version) = pushers(&self.store, user).await?;
            self.users.insert(user, (row, version, false));
        }
        Ok(self.users.entry(user).or_default())
    }

    async fn key(&mut self, key: &Key) -> Result<&mut (PushkeyRow, u64, bool), StoreError> {
        if !self.keys.contains_key(key) {
            let found = self.store.get(&PUSHKEYS, key).await?;
            let (row, version) = found.map(|found| (found.row, found.version)).unwrap_or_default();
            self.keys.insert(key.clone(), (row, version, false));
        }
        Ok(self.keys.entry(key.clone()).or_default())
    }

    /// Sets a pusher; `fresh` is its number if it is a new one.
    pub(crate) async fn set(
        &mut self,
        by: &Session,
        pusher: &Pusher,
        append: bool,
        fresh: u64,
    ) -> Result<(), PushError> {
        let key = pushkey_key(&pusher.app_id, &pusher.pushkey);
        if !append {
            let others = self.key(&key).await?.0.users.clone();
            for other in others.into_iter().filter(|other| *other != by.user) {
                self.remove(other, |other| other.is(&pusher.app_id, &pusher.pushkey)).await?;
            }
        }
        let (users, _, changed) = self.key(&key).await?;
        if !users.users.contains(&by.user) {
            users.users.push(by.user);
            *changed = true;
        }
        if users.users.len() > limits::PUSHKEY_USERS {
            return Err(PushError::TooLarge("more users of one push key than there may be"));
        }
        let set_ms = self.store.clock().now_ms();
        let (row, _, changed) = self.user(by.user).await?;
        *changed = true;
        let Pusher { app_id, pushkey, app_display_name, device_display_name, profile_tag, lang, url, data } =
            pusher.clone();
        let before = row.pushers.iter().position(|before| before.is(&app_id, &pushkey));
        let number = before.map_or(fresh, |at| row.pushers[at].number);
        let data = serde_json::Value::Object(data).to_string();
        let device = by.device;
        let set = PusherRow {
            number,
            device,
            app_id,
            pushkey,
            app_display_name,
            device_display_name,
            profile_tag,
            lang,
            url,
            data,
            set_ms,
        };
        match before {
            Some(at) => row.pushers[at] = set,
            None => row.pushers.push(set),
        }
        if row.pushers.len() > limits::USER_PUSHER_ENTRIES {
            return Err(PushError::TooLarge("more pushers than a user may have"));
        }
        if before.is_none() {
            self.batch.journal(JournalEntry { kind: kind::PUSHER_SET, scope: by.user, key: Bytes::new() });
            let version = crate::rules::version(&self.store);
            STATES.put_with(&mut self.batch, state_key(by.user, number), version, &[], &StateRow::default());
        }
        Ok(())
    }

    /// Removes those pushers of `user`. Whether there were any.
    pub(crate) async fn remove(&mut self, user: u64, which: impl Fn(&PusherRow) -> bool) -> Result<bool, StoreError> {
        let (row, _, changed) = self.user(user).await?;
        let (gone, kept): (Vec<_>, Vec<_>) = std::mem::take(&mut row.pushers).into_iter().partition(which);
        row.pushers = kept;
        *changed |= !gone.is_empty();
        for pusher in &gone {
            // A timer that is left finds no pusher, and goes.
            self.batch.delete(state_key(user, pusher.number));
            let (users, _, changed) = self.key(&pushkey_key(&pusher.app_id, &pusher.pushkey)).await?;
            users.users.retain(|of| *of != user);
            *changed = true;
        }
        Ok(!gone.is_empty())
    }

    /// The batch.
    pub(crate) fn finish(self, version: u64) -> Batch {
        let mut batch = self.batch.clone();
        self.put(&mut batch, version);
        batch
    }

    /// As [`Self::finish`], into the batch of somebody else.
    pub(crate) fn add_to(self, batch: &mut Batch, version: u64) {
        batch.writes.extend(self.batch.writes.iter().cloned());
        self.put(batch, version);
    }

    fn put(self, batch: &mut Batch, version: u64) {
        for (user, (row, before, changed)) in self.users {
            let key = pushers_key(user);
            expect(batch, key.clone(), before);
            match changed {
                true if row.pushers.is_empty() => drop(batch.delete(key)),
                true => PUSHERS.put_with(batch, key, version, &[], &row),
                false => {}
            }
        }
        for (key, (row, before, changed)) in self.keys {
            expect(batch, key.clone(), before);
            match changed {
                true if row.users.is_empty() => drop(batch.delete(key)),
                true => PUSHKEYS.put_with(batch, key, version, &[], &row),
                false => {}
            }
        }
    }
}
