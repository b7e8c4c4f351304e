//! Account data: what a user's clients keep on the server, for all rooms or for one
//! (Client-Server API, Client Config). Formats: `docs/design/14-receipts.md`.

mod change;
mod tombstones;

use serde_json::value::RawValue;
use wardstead_engine::{Batch, Expect, JournalEntry, Key, KeyReader, Losing, Position, PositionSlot, ScanRange};
use wardstead_limits::engine::GET_KEYS;
use wardstead_store::{Envelope, Found, StoreError, kind};

pub use change::Change;

use crate::{
    Accounts, AccountsError,
    ignored::IGNORED_USER_LIST,
    invitations::INVITE_PERMISSION,
    tables::{
        ACCOUNT_DATA, ACCOUNT_DATA_LOG, AccountDataLogRow, AccountDataRow, BeforeRow, account_data_key,
        account_data_log_key as log_key,
    },
    users::corrupt,
};

/// One piece of account data as it was when it was read.
#[derive(Clone, Debug)]
pub struct AccountData {
    /// Short id of the room that it is about; 0: none.
    pub room: u64,
    /// Its type.
    pub event_type: String,
    /// A JSON object; `None`: it was removed.
    pub content: Option<Box<RawValue>>,
    /// When it last changed.
    pub position: Position,
    version: u64,
    /// What stood there before and since when, of types of which that is kept.
    pub(crate) before: Option<(Position, Option<Box<RawValue>>)>,
}

impl Accounts {
    /// The account data of `user` for `room` (0: no room) of type `event_type`. One read. `None`: there never was any.
    ///
    /// # Errors
    /// The store's.
    pub async fn account_data(
        &self,
        user: u64,
        room: u64,
        event_type: &str,
    ) -> Result<Option<AccountData>, AccountsError> {
        let key = account_data_key(user, room, event_type);
        let found = self.store.get(&ACCOUNT_DATA, &key).await?;
        Ok(found.as_ref().map(opened).transpose()?)
    }

    /// The account data of `user` for `room` (0: no room) of each of `types`, in their order. One read.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn account_data_named(
        &self,
        user: u64,
        room: u64,
        types: &[&str],
    ) -> Result<Vec<Option<AccountData>>, AccountsError> {
        let keys: Vec<Key> = types.iter().map(|event_type| account_data_key(user, room, event_type)).collect();
        let found = self.store.get_many(&ACCOUNT_DATA, &keys).await?;
        let opened = found.iter().map(|found| found.as_ref().map(opened).transpose());
        Ok(opened.collect::<Result<_, StoreError>>()?)
    }

    /// The account data of `user` whose last change lies after `since` and not after `upto`, in the order of the changes. What
    /// has changed again after `upto` is left out: the answer for that later position tells it. Two reads where there is some.
    ///
    /// # Errors
    /// The store's.
    pub async fn account_data_changes(
        &self,
        user: u64,
        since: Position,
        upto: Position,
    ) -> Result<Vec<AccountData>, AccountsError> {
        let range = ScanRange::new(log_key(user, since.next()), log_key(user, upto.next()));
        if range.from >= range.to {
            return Ok(Vec::new());
        }
        let log = self.store.scan_all(&ACCOUNT_DATA_LOG, range).await?;
        let key = |found: &Found<AccountDataLogRow>| account_data_key(user, found.row.room, &found.row.event_type);
        let keys: Vec<Key> = log.iter().map(key).collect();
        let mut changes = Vec::with_capacity(keys.len());
        for (keys, log) in keys.chunks(GET_KEYS).zip(log.chunks(GET_KEYS)) {
            for ((key, found), log) in keys.iter().zip(self.store.get_many(&ACCOUNT_DATA, keys).await?).zip(log) {
                match found {
                    Some(found) => changes.push(opened(&found)?),
                    // Removed long ago, and forgotten between the two reads, both rows in one commit.
                    None if self.store.get(&ACCOUNT_DATA_LOG, &log.key).await?.is_none() => {}
                    None => return Err(corrupt(key, "account data that changed is missing").into()),
                }
            }
        }
        changes.retain(|data| data.position <= upto);
        Ok(changes)
    }

    /// The account data of `user` for `room` (0: no room) as of `upto`; what has changed since then is left out. One read.
    ///
    /// # Errors
    /// The store's.
    pub async fn account_data_of_room(
        &self,
        user: u64,
        room: u64,
        upto: Position,
    ) -> Result<Vec<AccountData>, AccountsError> {
        let range = ScanRange::prefix(ACCOUNT_DATA.key(user).u64(room).key());
        let found = self.store.scan_all(&ACCOUNT_DATA, range).await?;
        let mut all = found.iter().map(opened).collect::<Result<Vec<_>, _>>()?;
        all.retain(|data| data.position <= upto);
        Ok(all)
    }

    /// Adds to `batch` that `user`'s account data for `room` (0: no room) of type `event_type` is `content` from now on (`None`: is
    /// removed; who removes it for a client calls [`Self::change_account_data`], which forgets it in time). `before` is what
    /// [`Self::account_data`] gave; a batch with something older loses with [`Losing::Rebuild`]. Returns the number of the journal
    /// entry that tells it.
    pub fn put_account_data(
        batch: &mut Batch,
        user: u64,
        room: u64,
        event_type: &str,
        content: Option<&RawValue>,
        before: Option<&AccountData>,
    ) -> usize {
        let key = account_data_key(user, room, event_type);
        let version = before.map_or(0, |before| before.version);
        let expect = if version == 0 { Expect::Absent } else { Expect::Version(version) };
        batch.expect(key.clone(), expect, Losing::Rebuild);
        let room_key = room.to_be_bytes().to_vec().into();
        let entry = batch.journal(JournalEntry { kind: kind::ACCOUNT_DATA, scope: user, key: room_key });
        let at = [PositionSlot::Entry(entry)];
        let kept = before.filter(|_| [IGNORED_USER_LIST, INVITE_PERMISSION].contains(&event_type) && room == 0);
        let kept = kept
            .map(|before| BeforeRow { position: before.position.0, content: before.content.as_deref().map(sealed) });
        let row = AccountDataRow { content: content.map(sealed), before: kept };
        ACCOUNT_DATA.put_with(batch, key, version + 1, &at, &row);
        if let Some(before) = before {
            batch.delete(log_key(user, before.position));
        }
        let row = AccountDataLogRow { room, event_type: event_type.to_owned() };
        ACCOUNT_DATA_LOG.put(batch, ACCOUNT_DATA_LOG.key(user).slot(entry).template(), &row);
        entry
    }
}

fn sealed(content: &RawValue) -> Vec<u8> {
    Envelope::plain(content.get().as_bytes().to_vec()).encode().to_vec()
}

fn unsealed(key: &Key, stored: Option<&Vec<u8>>) -> Result<Option<Box<RawValue>>, StoreError> {
    let Some(stored) = stored else { return Ok(None) };
    let envelope = Envelope::decode(&stored.clone().into()).ok();
    let content = envelope.and_then(|envelope| serde_json::from_slice(&envelope.0).ok());
    content.map(Some).ok_or_else(|| corrupt(key, "not account data"))
}

fn opened(found: &Found<AccountDataRow>) -> Result<AccountData, StoreError> {
    let mut key = KeyReader::new(&found.key);
    let (room, event_type) =
        key.u64().zip(key.text()).ok_or_else(|| corrupt(&found.key, "not the key of account data"))?;
    let content = unsealed(&found.key, found.row.content.as_ref())?;
    let before = match &found.row.before {
        None => None,
        Some(before) => Some((Position(before.position), unsealed(&found.key, before.content.as_ref())?)),
    };
    Ok(AccountData { room, event_type, content, position: found.position(), version: found.version, before })
}
