//! Profiles: what people say of themselves to everybody (Matrix specification, Client-Server API, Profiles). Formats and reasons:
//! `docs/design/19-profiles.md`.

mod change;
mod field;
mod news;
pub(crate) mod tables;

use ruma::UserId;
use serde_json::{Map, Value};
use wardstead_engine::{Batch, Expect, Key, KeyReader, Losing, Position, ScanRange};
use wardstead_limits::engine::GET_KEYS;
use wardstead_store::{Found, StoreError};

use crate::{Accounts, AccountsError, users::corrupt};

pub(crate) use change::{add_first_name, first_name};
pub use news::NamesFollower;

use field::{AVATAR_URL, DISPLAYNAME};
use tables::{PROFILE_FIELDS, PROFILES, ProfileRow, profile_field_key, profile_key, unsealed};

/// A user's name and picture as they were when they were read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// Short id of the user.
    pub user: u64,
    /// Display name.
    pub displayname: Option<String>,
    /// Address of the picture.
    pub avatar_url: Option<String>,
    /// When each of the two last changed.
    pub changed: NamesChanged,
    version: u64,
}

/// When name and picture last changed; zero: never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NamesChanged {
    /// The display name.
    pub displayname: Position,
    /// The picture.
    pub avatar_url: Position,
}

impl NamesChanged {
    /// What the row of a profile says. A position that is missing is not one of long ago: whoever showed something else since would never
    /// be told.
    fn of(found: &Found<ProfileRow>) -> Result<Self, StoreError> {
        let [displayname, avatar_url] = found.positions[..] else {
            return Err(corrupt(&found.key, "not the positions of a name and a picture"));
        };
        Ok(Self { displayname, avatar_url })
    }
}

impl Names {
    fn of(user: u64, found: Option<&Found<ProfileRow>>) -> Result<Self, StoreError> {
        let Some(found) = found else {
            return Ok(Self {
                user,
                displayname: None,
                avatar_url: None,
                changed: NamesChanged::default(),
                version: 0,
            });
        };
        let text = |stored: &Option<Vec<u8>>| match stored {
            None => Ok(None),
            Some(stored) => {
                let json = unsealed(stored).ok_or_else(|| corrupt(&found.key, "not an envelope"))?;
                serde_json::from_slice(&json).map(Some).map_err(|_| corrupt(&found.key, "not a name"))
            }
        };
        let (displayname, avatar_url) = (text(&found.row.displayname)?, text(&found.row.avatar_url)?);
        Ok(Self { user, displayname, avatar_url, changed: NamesChanged::of(found)?, version: found.version })
    }

    /// Lets `batch` win only while these are the user's name and picture; else it loses with [`Losing::Rebuild`].
    pub fn assert(&self, batch: &mut Batch) {
        let expect = if self.version == 0 { Expect::Absent } else { Expect::Version(self.version) };
        batch.expect(profile_key(self.user), expect, Losing::Rebuild);
    }
}

impl Accounts {
    /// Name and picture of `users`, in their order. One read per 10,000 users.
    ///
    /// # Errors
    /// The store's.
    pub async fn names(&self, users: &[u64]) -> Result<Vec<Names>, AccountsError> {
        let keys: Vec<Key> = users.iter().map(|user| profile_key(*user)).collect();
        let mut names = Vec::with_capacity(users.len());
        for (users, keys) in users.chunks(GET_KEYS).zip(keys.chunks(GET_KEYS)) {
            for (user, found) in users.iter().zip(self.store.get_many(&PROFILES, keys).await?) {
                names.push(Names::of(*user, found.as_ref())?);
            }
        }
        Ok(names)
    }

    /// The whole profile of `user_id`. `None` where there is no such user here, or none any more.
    ///
    /// # Errors
    /// The store's.
    pub async fn profile(&self, user_id: &UserId) -> Result<Option<Map<String, Value>>, AccountsError> {
        let Some(account) = self.find(user_id).await?.filter(|account| !account.deactivated) else { return Ok(None) };
        let mut profile = Map::new();
        for Names { displayname, avatar_url, .. } in self.names(&[account.user]).await? {
            for (key, text) in [(DISPLAYNAME, displayname), (AVATAR_URL, avatar_url)] {
                profile.extend(text.map(|text| (key.to_owned(), Value::String(text))));
            }
        }
        let range = ScanRange::scope(PROFILE_FIELDS.id(), account.user);
        for found in self.store.scan_all(&PROFILE_FIELDS, range).await? {
            let key = KeyReader::new(&found.key).text().ok_or_else(|| corrupt(&found.key, "not a profile field"))?;
            profile.insert(key, value_in(&found.key, &found.row.value)?);
        }
        Ok(Some(profile))
    }

    /// One field of the profile of `user_id`. `None` where there is no such field, or no such user.
    ///
    /// # Errors
    /// The store's.
    pub async fn profile_field(&self, user_id: &UserId, key: &str) -> Result<Option<Value>, AccountsError> {
        let Some(account) = self.find(user_id).await?.filter(|account| !account.deactivated) else { return Ok(None) };
        if [DISPLAYNAME, AVATAR_URL].contains(&key) {
            let names = self.names(&[account.user]).await?.pop();
            let text = names.and_then(|names| if key == DISPLAYNAME { names.displayname } else { names.avatar_url });
            return Ok(text.map(Value::String));
        }
        if field::check_key(key).is_err() {
            return Ok(None);
        }
        let key = profile_field_key(account.user, key);
        let found = self.store.get(&PROFILE_FIELDS, &key).await?;
        Ok(found.map(|found| value_in(&key, &found.row.value)).transpose()?)
    }
}

fn value_in(key: &Key, stored: &[u8]) -> Result<Value, StoreError> {
    let value = unsealed(stored).and_then(|json| serde_json::from_slice(&json).ok());
    value.ok_or_else(|| corrupt(key, "not the value of a profile field"))
}

#[cfg(test)]
mod tests {
    use wardstead_engine::EngineError;

    use super::*;

    #[test]
    fn a_name_of_which_nobody_knows_when_it_changed_is_corrupt() {
        let of = |positions: &[u64]| {
            let positions = positions.iter().map(|at| Position(*at)).collect();
            Names::of(7, Some(&Found { key: profile_key(7), row: ProfileRow::default(), version: 1, positions }))
        };
        let changed = NamesChanged { displayname: Position(3), avatar_url: Position(0) };
        assert_eq!(of(&[3, 0]).map(|names| names.changed), Ok(changed));
        for positions in [&[][..], &[3]] {
            let refused = of(positions);
            assert!(matches!(refused, Err(StoreError::Engine(EngineError::Corrupt { .. }))), "{refused:?}");
        }
    }
}
