//! Looking accounts up.

use std::fmt;

use ruma::{OwnedUserId, UserId};
use wardstead_engine::{Batch, EngineError, Expect, Key, KeyReader, Losing, PageLimit, ScanRange};
use wardstead_limits::{accounts as limits, engine::GET_KEYS};
use wardstead_store::{Found, StoreError};

use crate::{
    Accounts, AccountsError,
    tables::{NAMES, USERS, UserRow, name_key, user_key},
};

/// A local account as it was when it was read.
#[derive(Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts")]
pub struct Account {
    /// Short id.
    pub user: u64,
    /// Full id.
    pub user_id: OwnedUserId,
    /// Whether the user administers the server.
    pub admin: bool,
    /// Whether the account is deactivated: it has no sessions and gets none.
    pub deactivated: bool,
    /// Whether nobody who comes later is to see what the user wrote.
    pub erased: bool,
    /// Whether it is a guest's (Matrix specification, Client-Server API, Guest Access).
    pub guest: bool,
    /// To which documents the user agreed when registering: each with its version.
    pub agreed: Vec<(String, String)>,
    /// The password's hash as a PHC string; `None` where the user signs in another way.
    pub password_hash: Option<String>,
    /// When the account was made, in milliseconds since 1970.
    pub created_ms: u64,
    /// Version of the row that was read: a login asserts that it is still that one.
    pub(crate) version: u64,
    /// The user's session number.
    pub(crate) session: u64,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("user", &self.user)
            .field("user_id", &self.user_id)
            .field("admin", &self.admin)
            .field("deactivated", &self.deactivated)
            .finish_non_exhaustive()
    }
}

impl Account {
    /// Adds to `batch` that the account is still as it was read, `losing` it otherwise: what was decided by it stands.
    pub fn still(&self, batch: &mut Batch, losing: Losing) {
        batch.expect(user_key(self.user), Expect::Version(self.version), losing);
    }

    pub(crate) fn of(user: u64, found: Found<UserRow>) -> Result<Self, AccountsError> {
        let user_id = parse_user_id(&found.key, &found.row.user_id)?;
        let UserRow { password_hash, admin, deactivated, erased, guest, agreed, created_ms, session, .. } = found.row;
        let version = found.version;
        Ok(Self {
            user,
            user_id,
            admin,
            deactivated,
            erased,
            guest,
            agreed,
            password_hash,
            created_ms,
            version,
            session,
        })
    }
}

impl Accounts {
    /// The account of `user_id`. `None` when there is none, and for users of other servers.
    ///
    /// # Errors
    /// The store's; `Corrupt` when the name leads to no account.
    pub async fn find(&self, user_id: &UserId) -> Result<Option<Account>, AccountsError> {
        let Some(user) = self.user_short_id(user_id).await? else { return Ok(None) };
        self.read_user(user).await.map(Some)
    }

    /// The short id of `user_id`. `None` when it has none here.
    ///
    /// # Errors
    /// The store's.
    pub async fn user_short_id(&self, user_id: &UserId) -> Result<Option<u64>, AccountsError> {
        let key = name_key(user_id.server_name().as_str(), user_id.localpart());
        Ok(self.store.get(&NAMES, &key).await?.map(|found| found.row.user))
    }

    /// The short ids of `users`, in their order; `None` for those who have none here. One read per 10,000.
    ///
    /// # Errors
    /// The store's.
    pub async fn user_short_ids(&self, users: &[&UserId]) -> Result<Vec<Option<u64>>, AccountsError> {
        let key = |user_id: &&UserId| name_key(user_id.server_name().as_str(), user_id.localpart());
        let keys: Vec<Key> = users.iter().map(key).collect();
        let mut ids = Vec::with_capacity(keys.len());
        for keys in keys.chunks(GET_KEYS) {
            let rows = self.store.get_many(&NAMES, keys).await?;
            ids.extend(rows.into_iter().map(|row| row.map(|found| found.row.user)));
        }
        Ok(ids)
    }

    /// The user ids behind short ids, in their order; `None` where there is no such user. One read.
    ///
    /// # Errors
    /// The store's.
    pub async fn user_ids(&self, users: &[u64]) -> Result<Vec<Option<OwnedUserId>>, AccountsError> {
        let keys: Vec<Key> = users.iter().map(|user| user_key(*user)).collect();
        let rows = self.store.get_many(&USERS, &keys).await?;
        let user_id = |found: Found<UserRow>| parse_user_id(&found.key, &found.row.user_id);
        Ok(rows.into_iter().map(|row| row.map(user_id).transpose()).collect::<Result<_, _>>()?)
    }

    /// The user id behind a short id that a row names. One read.
    ///
    /// # Errors
    /// The store's; `Corrupt` when there is no such user: rows of users are never removed.
    pub async fn user_id(&self, user: u64) -> Result<OwnedUserId, AccountsError> {
        Ok(self.read_user(user).await?.user_id)
    }

    /// The users of this server in the order of their names, those above `after`, at most `most` and at most
    /// [`limits::USERS_PAGE`]. The last one of a page is `after` of the next; an empty page is the end.
    ///
    /// # Errors
    /// The store's.
    pub async fn local_users(
        &self,
        after: Option<&UserId>,
        most: usize,
    ) -> Result<Vec<(OwnedUserId, u64)>, AccountsError> {
        let server_name = self.server_name.as_str();
        let mut range = ScanRange::prefix(NAMES.key(0).text(server_name).key());
        if let Some(after) = after {
            range.from = range.from.max(name_key(server_name, after.localpart()).successor());
        }
        let page = PageLimit::rows(most.min(limits::USERS_PAGE));
        let (rows, _) = self.store.scan(&NAMES, &range, page).await?;
        rows.into_iter()
            .map(|found| {
                let mut reader = KeyReader::new(&found.key);
                let name = reader.text().zip(reader.text()).map(|(server, localpart)| format!("@{localpart}:{server}"));
                let name = name.ok_or_else(|| corrupt(&found.key, "not a user name"))?;
                Ok((parse_user_id(&found.key, &name)?, found.row.user))
            })
            .collect()
    }

    /// Lets `batch` win only while the account of `user` is as it is now, if it is not deactivated; else it loses with
    /// [`Losing::Rebuild`]. Whether it is not: where it is, nothing is added.
    ///
    /// # Errors
    /// The store's; `Corrupt` when there is no such account.
    pub async fn expect_active(&self, batch: &mut Batch, user: u64) -> Result<bool, AccountsError> {
        let account = self.read_user(user).await?;
        if !account.deactivated {
            batch.expect(user_key(user), Expect::Version(account.version), Losing::Rebuild);
        }
        Ok(!account.deactivated)
    }

    /// Whether no account was ever made here.
    ///
    /// # Errors
    /// The store's.
    pub async fn is_empty(&self) -> Result<bool, AccountsError> {
        Ok(self.local_users(None, 1).await?.is_empty())
    }

    pub(crate) async fn read_user(&self, user: u64) -> Result<Account, AccountsError> {
        let key = user_key(user);
        match self.store.get(&USERS, &key).await? {
            Some(found) => Account::of(user, found),
            None => Err(corrupt(&key, "a user that something leads to is missing").into()),
        }
    }
}

pub(crate) fn parse_user_id(key: &Key, user_id: &str) -> Result<OwnedUserId, StoreError> {
    UserId::parse(user_id).map_err(|_| corrupt(key, "not a user id"))
}

pub(crate) fn corrupt(key: &Key, what: &str) -> StoreError {
    StoreError::Engine(EngineError::corrupt(key, what))
}
