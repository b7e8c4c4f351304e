//! Setting and removing account data, within bounds.

use serde_json::value::RawValue;
use wardstead_engine::{Batch, Losing, Position};
use wardstead_limits::{own_data as limits, store::REBUILDS};
use wardstead_store::StoreError;

use super::AccountData;
use crate::{
    AccountChange, Accounts, AccountsError, IgnoredChanged,
    ignored::{IGNORED_USER_LIST, listed},
    tables::{TOMBSTONES, TombstoneRow},
};

/// Types that the server keeps itself (Client-Server API, Client Config, Server Behaviour).
const MANAGED: [&str; 2] = ["m.fully_read", "m.push_rules"];

/// What becomes of a piece of account data.
#[derive(Clone, Debug)]
pub enum Change {
    /// It stays as it is, and nobody is told anything.
    Keep,
    /// This JSON object stands there. An empty one is the same as [`Change::Remove`]
    /// ([MSC3391](https://github.com/matrix-org/matrix-spec-proposals/pull/3391)).
    Set(Box<RawValue>),
    /// It is not there any more, which the user's devices are told for [`limits::TOMBSTONE_MS`].
    Remove,
}

impl Accounts {
    /// Has a client of `user` make of the account data for `room` (0: no room) of type `event_type` what `change` says, which is told
    /// what stands there, and called again when another device was quicker. Returns when it is durable. Removing what is not there
    /// does nothing.
    ///
    /// # Errors
    /// `InvalidAccountDataType`, `ManagedByServer`, `TooLarge` beyond [`limits::ACCOUNT_DATA_BYTES`] and its neighbours,
    /// `Contended`, what `change` returns, and the store's.
    pub async fn change_account_data<F>(
        &self,
        user: u64,
        room: u64,
        event_type: &str,
        change: F,
    ) -> Result<(), AccountsError>
    where
        F: Fn(Option<&RawValue>) -> Result<Change, AccountsError> + Send + Sync,
    {
        if !(1..=limits::ACCOUNT_DATA_TYPE_BYTES).contains(&event_type.len()) {
            return Err(AccountsError::InvalidAccountDataType);
        }
        if MANAGED.contains(&event_type) {
            return Err(AccountsError::ManagedByServer);
        }
        for _ in 0..=REBUILDS {
            let all = self.account_data_of_room(user, room, Position(u64::MAX)).await?;
            let before = all.iter().find(|data| data.event_type == event_type);
            let stands = before.and_then(|before| before.content.as_deref());
            let content = match change(stands)? {
                Change::Set(content) if !is_empty(&content) => Some(content),
                Change::Set(_) | Change::Remove if stands.is_some() => None,
                Change::Set(_) | Change::Remove | Change::Keep => return Ok(()),
            };
            if let Some(content) = &content {
                check_bounds(&all, event_type, content)?;
            }
            let mut batch = Batch::new();
            let entry = Self::put_account_data(&mut batch, user, room, event_type, content.as_deref(), before);
            if event_type == IGNORED_USER_LIST && room == 0 {
                let ignored = listed(content.as_deref()).collect();
                let change = AccountChange::IgnoredChanged(IgnoredChanged { user, ignored });
                self.follow(&mut batch, &change, entry).await?;
            }
            if content.is_none() {
                self.forget_later(&mut batch, user, room, event_type, before).await?;
            }
            match self.store.commit(batch).await {
                Ok(_) => return Ok(()),
                // Another device was quicker.
                Err(StoreError::Lost(Losing::Rebuild)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(AccountsError::Contended)
    }

    /// Adds to `batch` that `before`, account data of `user` for `room` (0: no room), is removed, as if a client did it.
    pub(crate) async fn put_removal(
        &self,
        batch: &mut Batch,
        user: u64,
        room: u64,
        before: &AccountData,
    ) -> Result<(), StoreError> {
        Self::put_account_data(batch, user, room, &before.event_type, None, Some(before));
        self.forget_later(batch, user, room, &before.event_type, Some(before)).await
    }

    async fn forget_later(
        &self,
        batch: &mut Batch,
        user: u64,
        room: u64,
        event_type: &str,
        before: Option<&AccountData>,
    ) -> Result<(), StoreError> {
        let version = before.map_or(0, |before| before.version) + 1;
        let row = TombstoneRow { user, room, event_type: event_type.to_owned(), version };
        let due_ms = self.store.clock().now_ms() + limits::TOMBSTONE_MS;
        TOMBSTONES.schedule(batch, due_ms, self.store.next_id().await?, &row);
        Ok(())
    }

    /// Has a client of `user` set account data; as [`Self::change_account_data`].
    ///
    /// # Errors
    /// As there.
    pub async fn set_account_data(
        &self,
        user: u64,
        room: u64,
        event_type: &str,
        content: &RawValue,
    ) -> Result<(), AccountsError> {
        self.change_account_data(user, room, event_type, |_| Ok(Change::Set(content.to_owned()))).await
    }

    /// Has a client of `user` remove account data; as [`Self::change_account_data`].
    ///
    /// # Errors
    /// As there.
    pub async fn remove_account_data(&self, user: u64, room: u64, event_type: &str) -> Result<(), AccountsError> {
        self.change_account_data(user, room, event_type, |_| Ok(Change::Remove)).await
    }
}

/// `all` is what is kept for the same room. Two devices at once may each find room for the last piece: a bound of this kind need
/// not be exact.
fn check_bounds(all: &[AccountData], event_type: &str, content: &RawValue) -> Result<(), AccountsError> {
    let bytes = |content: &RawValue| content.get().len();
    if bytes(content) > limits::ACCOUNT_DATA_BYTES {
        return Err(AccountsError::TooLarge("one piece of account data"));
    }
    let others = all.iter().filter(|data| data.event_type != event_type);
    if others.clone().count() >= limits::ACCOUNT_DATA_ROWS {
        return Err(AccountsError::TooLarge("types of account data"));
    }
    let total: usize = others.filter_map(|data| data.content.as_deref()).map(bytes).sum();
    if total + bytes(content) > limits::ACCOUNT_DATA_TOTAL_BYTES {
        return Err(AccountsError::TooLarge("all account data of one room, or of none"));
    }
    Ok(())
}

/// Whether it is `{}`.
fn is_empty(content: &RawValue) -> bool {
    let inside = content.get().strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    inside.is_some_and(|inside| inside.trim().is_empty())
}
