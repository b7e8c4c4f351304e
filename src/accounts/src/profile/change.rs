//! Changing a profile. One change is one batch: the field, the size of the whole, the journal, and the news for the rooms.

use ruma::UserId;
use serde_json::Value;
use wardstead_engine::{Batch, Expect, JournalEntry, Key, Losing, Position, PositionSlot};
use wardstead_limits::store::REBUILDS;
use wardstead_store::{Found, StoreError, kind};

use super::{
    NamesChanged,
    field::{AVATAR_URL, DISPLAYNAME, check_key, field_bytes, fits, stored_value},
    tables::{
        PROFILE_FIELDS, PROFILE_NEWS, PROFILES, ProfileFieldRow, ProfileNewsRow, ProfileRow, profile_field_key,
        profile_key, sealed, unsealed,
    },
};
use crate::{
    AccountChange, Accounts, AccountsError, ProfileChanged,
    tables::{USERS, UserRow, user_key},
    users::corrupt,
};

/// What a change starts from.
struct Before {
    user: Found<UserRow>,
    profile: ProfileRow,
    /// 0: there is no row.
    version: u64,
    /// When its name and its picture last changed.
    changed: NamesChanged,
    /// The field's value, as JSON.
    json: Option<String>,
}

impl Accounts {
    /// Sets the field `key` of `user_id`'s profile.
    ///
    /// # Errors
    /// `ProfileKeyTooLarge`, `InvalidProfileKey`, `InvalidProfileValue`, `InvalidAvatarUrl`, `ProfileValueTooLong`, `ProfileTooLarge`; `NoAccount`,
    /// `Deactivated`; `Contended`; the store's.
    pub async fn set_profile_field(&self, user_id: &UserId, key: &str, value: &Value) -> Result<(), AccountsError> {
        check_key(key)?;
        let json = stored_value(key, value)?;
        self.change_profile(user_id, key, json.as_deref()).await
    }

    /// Removes the field `key` of `user_id`'s profile. One that is not there is removed already.
    ///
    /// # Errors
    /// As [`Self::set_profile_field`].
    pub async fn remove_profile_field(&self, user_id: &UserId, key: &str) -> Result<(), AccountsError> {
        check_key(key)?;
        self.change_profile(user_id, key, None).await
    }

    /// Adds to `batch`, which deactivates `user`, that nothing is left of their profile. The batch loses with [`Losing::Rebuild`] when the
    /// profile changes meanwhile. Rooms are not told: who is deactivated leaves them.
    ///
    /// # Errors
    /// The store's.
    pub async fn empty_profile(&self, batch: &mut Batch, user: u64) -> Result<(), AccountsError> {
        let key = profile_key(user);
        let Some(found) = self.store.get(&PROFILES, &key).await? else {
            // A first field that is being set at this moment loses.
            batch.expect(key, Expect::Absent, Losing::Rebuild);
            return Ok(());
        };
        batch.expect(key.clone(), Expect::Version(found.version), Losing::Rebuild);
        let entry = batch.journal(news(user, ""));
        // The row stays, so that no version is ever stated twice.
        PROFILES.put_with(batch, key, found.version + 1, &[PositionSlot::Entry(entry); 2], &ProfileRow::default());
        let fields = PROFILE_FIELDS.key(user).key();
        batch.delete_range(fields.clone(), fields.after_prefix());
        Ok(())
    }

    async fn change_profile(&self, user_id: &UserId, key: &str, json: Option<&str>) -> Result<(), AccountsError> {
        let user = self.user_short_id(user_id).await?.ok_or(AccountsError::NoAccount)?;
        let now = json.filter(|_| key == DISPLAYNAME).map(serde_json::from_str::<String>).transpose();
        let now = now.map_err(|_| AccountsError::InvalidProfileValue)?;
        for _ in 0..=REBUILDS {
            let before = self.before(user, key).await?;
            if before.user.row.deactivated {
                return Err(AccountsError::Deactivated);
            }
            if before.json.as_deref() == json {
                return Ok(());
            }
            let was = before.profile.displayname.as_deref().map(|stored| name_in(user, stored)).transpose()?;
            let mut batch = build_change(user, key, json, before)?;
            let displayname = if key == DISPLAYNAME { now.clone() } else { was };
            let (user_id, field) = (user_id.to_owned(), key.to_owned());
            let change = AccountChange::ProfileChanged(ProfileChanged { user, user_id, field, displayname });
            // Its news are the batch's only entry.
            self.follow(&mut batch, &change, 0).await?;
            match self.store.commit(batch).await {
                Ok(_) => return Ok(()),
                Err(StoreError::Lost(Losing::Rebuild)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(AccountsError::Contended)
    }

    /// Three rows in one read. They need not be of one moment: the batch asserts the versions of the first two, and the third
    /// changes only together with the second.
    async fn before(&self, user: u64, key: &str) -> Result<Before, AccountsError> {
        let keys = [user_key(user), profile_key(user), profile_field_key(user, key)];
        let [user_at, profile_at, field_at] = keys.clone();
        let mut cells = self.store.cells(&keys).await?.into_iter();
        let mut next = || cells.next().flatten();
        let account = next().ok_or_else(|| corrupt(&user_at, "a user that something leads to is missing"))?;
        let account = USERS.found(user_at, account).map_err(StoreError::from)?;
        let profile =
            next().map(|cell| PROFILES.found(profile_at.clone(), cell)).transpose().map_err(StoreError::from)?;
        let changed = profile.as_ref().map(NamesChanged::of).transpose()?.unwrap_or_default();
        let (profile, version) = profile.map_or_else(Default::default, |found| (found.row, found.version));
        let field = next().map(|cell| PROFILE_FIELDS.decode(&field_at, &cell)).transpose().map_err(StoreError::from)?;
        let (stored, at) = match key {
            DISPLAYNAME => (profile.displayname.as_deref(), profile_at),
            AVATAR_URL => (profile.avatar_url.as_deref(), profile_at),
            _ => (field.as_ref().map(|row| &*row.value), field_at),
        };
        let json = stored.map(|stored| json_in(&at, stored)).transpose()?;
        Ok(Before { user: account, profile, version, changed, json })
    }
}

/// The batch that makes the field `key` what `json` says; `None`: none.
fn build_change(user: u64, key: &str, json: Option<&str>, before: Before) -> Result<Batch, AccountsError> {
    let Before { user: account, mut profile, version, changed, json: was } = before;
    let bytes = |json: &str| field_bytes(key, json.len());
    let total = usize::try_from(profile.bytes).unwrap_or(usize::MAX);
    let total = total.saturating_sub(was.as_deref().map_or(0, bytes)) + json.map_or(0, bytes);
    // What is removed may always be.
    if json.is_some() && !fits(total) {
        return Err(AccountsError::ProfileTooLarge);
    }
    profile.bytes = u32::try_from(total).map_err(|_| AccountsError::ProfileTooLarge)?;
    let mut batch = Batch::new();
    batch.expect(account.key, Expect::Version(account.version), Losing::Rebuild);
    let expect = if version == 0 { Expect::Absent } else { Expect::Version(version) };
    batch.expect(profile_key(user), expect, Losing::Rebuild);
    let entry = batch.journal(news(user, key));
    let mut at = [changed.displayname, changed.avatar_url].map(PositionSlot::Known);
    if key == DISPLAYNAME {
        at[0] = PositionSlot::Entry(entry);
        profile.displayname = json.map(sealed);
    } else if key == AVATAR_URL {
        at[1] = PositionSlot::Entry(entry);
        profile.avatar_url = json.map(sealed);
    } else if let Some(json) = json {
        let row = ProfileFieldRow { value: sealed(json) };
        PROFILE_FIELDS.put(&mut batch, profile_field_key(user, key), &row);
    } else {
        batch.delete(profile_field_key(user, key));
    }
    if [DISPLAYNAME, AVATAR_URL].contains(&key) {
        PROFILE_NEWS.push(&mut batch, user, entry, &ProfileNewsRow);
    }
    PROFILES.put_with(&mut batch, profile_key(user), version + 1, &at, &profile);
    Ok(batch)
}

/// The display name that a new account is given, as it is stored; `None`: none.
///
/// # Errors
/// `ProfileValueTooLong`.
pub(crate) fn first_name(name: Option<&str>) -> Result<Option<String>, AccountsError> {
    let stored = name.map(|name| stored_value(DISPLAYNAME, &Value::String(name.to_owned()))).transpose()?.flatten();
    match stored {
        Some(json) if !fits(field_bytes(DISPLAYNAME, json.len())) => Err(AccountsError::ProfileTooLarge),
        stored => Ok(stored),
    }
}

/// Adds the profile of `user`, whose account `batch` makes. There is no room yet that would have to be told.
pub(crate) fn add_first_name(batch: &mut Batch, user: u64, json: Option<&str>) {
    let Some(json) = json else { return };
    let entry = batch.journal(news(user, DISPLAYNAME));
    // The picture never changed.
    let at = [PositionSlot::Entry(entry), PositionSlot::Known(Position::ZERO)];
    // It fits, so it has few bytes.
    let bytes = u32::try_from(field_bytes(DISPLAYNAME, json.len())).unwrap_or(u32::MAX);
    let profile = ProfileRow { displayname: Some(sealed(json)), bytes, ..ProfileRow::default() };
    PROFILES.put_with(batch, profile_key(user), 1, &at, &profile);
}

fn name_in(user: u64, stored: &[u8]) -> Result<String, StoreError> {
    let key = profile_key(user);
    let json = json_in(&key, stored)?;
    serde_json::from_str(&json).map_err(|_| corrupt(&key, "not a name"))
}

fn json_in(key: &Key, stored: &[u8]) -> Result<String, StoreError> {
    let json = unsealed(stored).and_then(|json| String::from_utf8(json.to_vec()).ok());
    json.ok_or_else(|| corrupt(key, "not a profile field"))
}

/// The news that the field `key` of a profile changed; empty: all of it.
fn news(user: u64, key: &str) -> JournalEntry {
    JournalEntry { kind: kind::PROFILE, scope: user, key: key.as_bytes().to_vec().into() }
}
