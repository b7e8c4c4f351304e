//! Whom a user ignores (Client-Server API, Ignoring Users).

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use ruma::{OwnedUserId, UserId};
use serde::Deserialize;
use serde_json::value::RawValue;
use wardstead_engine::Position;

use crate::{AccountData, Accounts, AccountsError};

/// The account data that says whom its user ignores.
pub(crate) const IGNORED_USER_LIST: &str = "m.ignored_user_list";

/// Whom one user ignores: never the user. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ignored(Option<Arc<HashSet<OwnedUserId>>>);

impl Ignored {
    /// Whether `user_id` is ignored.
    #[must_use]
    pub fn contains(&self, user_id: &UserId) -> bool {
        self.0.as_ref().is_some_and(|users| users.contains(user_id))
    }

    /// Whether nobody is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// How many are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |users| users.len())
    }

    fn of(content: Option<&RawValue>, user_id: &UserId) -> Self {
        listed(content).filter(|user| user != user_id).collect()
    }
}

/// The users that account data says are ignored; of what is no list, as of an empty one.
pub(crate) fn listed(content: Option<&RawValue>) -> impl Iterator<Item = OwnedUserId> {
    #[derive(Deserialize)]
    struct List {
        ignored_users: BTreeMap<String, Box<RawValue>>,
    }
    let list = content.and_then(|content| serde_json::from_str::<List>(content.get()).ok());
    let users = list.into_iter().flat_map(|list| list.ignored_users.into_keys());
    users.filter_map(|user| UserId::parse(user).ok())
}

impl FromIterator<OwnedUserId> for Ignored {
    fn from_iter<I: IntoIterator<Item = OwnedUserId>>(users: I) -> Self {
        let users: HashSet<OwnedUserId> = users.into_iter().collect();
        Self((!users.is_empty()).then(|| Arc::new(users)))
    }
}

impl Accounts {
    /// Whom the user with this short id and user id ignores now. One read.
    ///
    /// # Errors
    /// The store's.
    pub async fn ignored_by(&self, user: u64, user_id: &UserId) -> Result<Ignored, AccountsError> {
        self.ignored_by_at(user, user_id, Position(u64::MAX)).await
    }

    /// The same as of `at`, a position that was the newest when the request began: of a list that changed twice since then, the
    /// one before the last. One read.
    ///
    /// # Errors
    /// The store's.
    pub async fn ignored_by_at(&self, user: u64, user_id: &UserId, at: Position) -> Result<Ignored, AccountsError> {
        Ok(ignored_as_of(self.account_data(user, 0, IGNORED_USER_LIST).await?, user_id, at))
    }
}

/// Whom the list in `data` had the user `user_id` ignore at `at`.
pub(crate) fn ignored_as_of(data: Option<AccountData>, user_id: &UserId, at: Position) -> Ignored {
    Ignored::of(data.and_then(|data| data.content_at(at)).as_deref(), user_id)
}

#[cfg(test)]
mod tests {
    use ruma::user_id;

    use super::*;

    fn of(json: &str) -> Ignored {
        let content: Box<RawValue> = serde_json::from_str(json).unwrap();
        Ignored::of(Some(&content), user_id!("@anna:x"))
    }

    #[test]
    fn names_others_and_never_oneself() {
        let ignored = of(r#"{"ignored_users":{"@bert:x":{},"@anna:x":{},"no user":{},"@carl:y":7}}"#);
        assert!(ignored.contains(user_id!("@bert:x")) && ignored.contains(user_id!("@carl:y")));
        assert!(!ignored.contains(user_id!("@anna:x")));
        assert_eq!(ignored.len(), 2);
    }

    #[test]
    fn what_is_no_list_ignores_nobody() {
        for json in ["{}", r#"{"ignored_users":[]}"#, r#"{"ignored_users":{}}"#, r#"{"ignored_users":{"@anna:x":{}}}"#]
        {
            assert!(of(json).is_empty(), "{json}");
        }
        assert!(Ignored::of(None, user_id!("@anna:x")).is_empty());
    }
}
