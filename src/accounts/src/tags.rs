//! Tags of rooms: one piece of account data for each room (Client-Server API, Room Tagging).

use serde_json::{Map, Value, value::RawValue};
use wardstead_limits::own_data as limits;

use crate::{Accounts, AccountsError, Change};

/// The account data that holds a room's tags.
const TAG: &str = "m.tag";

impl Accounts {
    /// The tags that `user` has given to `room`, by name. One read.
    ///
    /// # Errors
    /// The store's.
    pub async fn tags(&self, user: u64, room: u64) -> Result<Map<String, Value>, AccountsError> {
        let data = self.account_data(user, room, TAG).await?;
        Ok(tags_in(&content_of(data.and_then(|data| data.content).as_deref())))
    }

    /// Has `user` give `room` the tag `name`, which holds `info`. What else the account data has stays.
    ///
    /// # Errors
    /// `InvalidAccountDataType` for a name that is empty or longer than [`limits::ACCOUNT_DATA_TYPE_BYTES`]; as
    /// [`Self::change_account_data`].
    pub async fn set_tag(
        &self,
        user: u64,
        room: u64,
        name: &str,
        info: &Map<String, Value>,
    ) -> Result<(), AccountsError> {
        if !(1..=limits::ACCOUNT_DATA_TYPE_BYTES).contains(&name.len()) {
            return Err(AccountsError::InvalidAccountDataType);
        }
        self.change_account_data(user, room, TAG, |stands| {
            let mut content = content_of(stands);
            let mut tags = tags_in(&content);
            tags.insert(name.to_owned(), Value::Object(info.clone()));
            content.insert("tags".to_owned(), Value::Object(tags));
            Ok(Change::Set(written(&content)?))
        })
        .await
    }

    /// Has `user` take the tag `name` from `room`; nothing happens where it has none.
    ///
    /// # Errors
    /// As [`Self::change_account_data`].
    pub async fn remove_tag(&self, user: u64, room: u64, name: &str) -> Result<(), AccountsError> {
        self.change_account_data(user, room, TAG, |stands| {
            let mut content = content_of(stands);
            let mut tags = tags_in(&content);
            if tags.remove(name).is_none() {
                return Ok(Change::Keep);
            }
            // The last one leaves an empty list behind: that is what clients are used to.
            content.insert("tags".to_owned(), Value::Object(tags));
            Ok(Change::Set(written(&content)?))
        })
        .await
    }
}

/// Clients may also have written the account data themselves: what is no object counts as an empty one.
fn content_of(stands: Option<&RawValue>) -> Map<String, Value> {
    stands.and_then(|content| serde_json::from_str(content.get()).ok()).unwrap_or_default()
}

fn tags_in(content: &Map<String, Value>) -> Map<String, Value> {
    content.get("tags").and_then(Value::as_object).cloned().unwrap_or_default()
}

fn written(content: &Map<String, Value>) -> Result<Box<RawValue>, AccountsError> {
    serde_json::value::to_raw_value(content).map_err(|_| AccountsError::TooLarge("one piece of account data"))
}
