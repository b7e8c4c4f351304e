//! A new account.

use std::fmt;

use ruma::{OwnedDeviceId, OwnedUserId};
use wardstead_engine::{Batch, Expect, Losing};
use wardstead_limits::{accounts as limits, store as store_limits};
use wardstead_store::StoreError;

use crate::{
    Account, AccountChange, Accounts, AccountsError, Client, Created, Login, account_changed,
    floor::Floor,
    profile::{add_first_name, first_name},
    tables::{NAMES, NameRow, USERS, UserRow, floor_key, name_key, user_key},
    tokens::Opening,
};

/// What losing the race for a user name means.
const USER_IN_USE: &str = "M_USER_IN_USE";

/// The account to make.
#[derive(Clone, Default)]
pub struct NewAccount {
    /// The user name; `None`: one is generated.
    pub username: Option<String>,
    /// The password's hash as a PHC string; `None` where the user signs in another way.
    pub password_hash: Option<String>,
    /// Whether the user administers the server.
    pub admin: bool,
    /// Whether it is a guest's.
    pub guest: bool,
    /// To which documents the user agreed: each with its version.
    pub agreed: Vec<(String, String)>,
    /// The profile's display name, bounded as profiles are; empty: none.
    pub displayname: Option<String>,
    /// The first device.
    pub device: NewDevice,
}

/// The device of a new session.
#[derive(Clone, Debug, Default)]
pub struct NewDevice {
    /// Its id; `None`: one is generated.
    pub device_id: Option<OwnedDeviceId>,
    /// What the user calls it. Ignored when the device exists.
    pub display_name: Option<String>,
    /// Whether the client takes refresh tokens.
    pub refresh: bool,
    /// From where it is; `None`: nobody knows.
    pub client: Option<Client>,
}

impl fmt::Debug for NewAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewAccount")
            .field("username", &self.username)
            .field("admin", &self.admin)
            .field("device", &self.device)
            .finish_non_exhaustive()
    }
}

impl NewDevice {
    /// # Errors
    /// `InvalidDeviceId`, `InvalidDisplayName`.
    pub(crate) fn check(&self) -> Result<(), AccountsError> {
        let id_bytes = self.device_id.as_ref().map_or(1, |id| id.as_str().len());
        if !(1..=limits::DEVICE_ID_BYTES).contains(&id_bytes) {
            return Err(AccountsError::InvalidDeviceId);
        }
        let name_bytes = self.display_name.as_ref().map_or(0, String::len);
        if name_bytes > limits::DEVICE_ID_BYTES { Err(AccountsError::InvalidDisplayName) } else { Ok(()) }
    }
}

impl Accounts {
    /// Makes an account with its first device and session, in one batch that `extra` joins: its assertions decide with
    /// ours, its writes stand or fall with the account.
    ///
    /// # Errors
    /// `InvalidUsername`, `InvalidDeviceId`, `InvalidDisplayName`, `ProfileValueTooLong`, `UserInUse`; `Lost` with what losing an
    /// assertion of `extra` means; the store's.
    pub async fn register(&self, new: NewAccount, extra: Batch) -> Result<Login, AccountsError> {
        let device = new.device.clone();
        device.check()?;
        let name = first_name(new.displayname.as_deref())?;
        let (user, device_short_id) = (self.store.next_id().await?, self.store.next_id().await?);
        let floor = self.store.cells(&[floor_key()]).await?;
        let floor = Floor::read(floor.first().and_then(Option::as_ref)).map_err(StoreError::from)?;
        self.make(&new, (user, extra.journal.len()), |user_id| {
            let mut batch = extra.clone();
            let account = self.add_account(&mut batch, &new, user, user_id);
            add_first_name(&mut batch, user, name.as_deref());
            let opening = Opening {
                account: &account,
                device: device_short_id,
                device_id: device.device_id.clone().unwrap_or_else(|| self.generate_device_id()),
                generation: floor.generation,
                rank: 0,
                refresh: device.refresh,
            };
            let login = self.add_device(&mut batch, &opening, &device);
            (batch, login)
        })
        .await
    }

    /// Makes an account without a session, otherwise as [`Self::register`]; the new account's device is not looked at.
    ///
    /// # Errors
    /// As [`Self::register`].
    pub async fn create(&self, new: NewAccount, extra: Batch) -> Result<Account, AccountsError> {
        let name = first_name(new.displayname.as_deref())?;
        let user = self.store.next_id().await?;
        self.make(&new, (user, extra.journal.len()), |user_id| {
            let mut batch = extra.clone();
            let account = self.add_account(&mut batch, &new, user, user_id);
            add_first_name(&mut batch, user, name.as_deref());
            (batch, account)
        })
        .await
    }

    /// Commits what `build` returns for the user id; for a generated name again with another one while it is taken.
    /// `entry` is the number of the account's journal entry in those batches.
    async fn make<T>(
        &self,
        new: &NewAccount,
        (user, entry): (u64, usize),
        build: impl Fn(OwnedUserId) -> (Batch, T),
    ) -> Result<T, AccountsError> {
        for _ in 0..store_limits::REBUILDS {
            let user_id = match &new.username {
                Some(username) => self.local_user_id(username)?,
                None => self.local_user_id(&self.store.rng().alphanumeric(limits::GENERATED_USERNAME_CHARS))?,
            };
            let displayname = new.displayname.clone().filter(|name| !name.is_empty());
            let created = AccountChange::Created(Created { user, user_id: user_id.clone(), displayname });
            let (mut batch, made) = build(user_id);
            self.follow(&mut batch, &created, entry).await?;
            match self.store.commit(batch).await.map_err(AccountsError::from) {
                Ok(_) => return Ok(made),
                Err(AccountsError::Lost(Losing::Fail(USER_IN_USE))) if new.username.is_none() => {}
                Err(AccountsError::Lost(Losing::Fail(USER_IN_USE))) => return Err(AccountsError::UserInUse),
                Err(error) => return Err(error),
            }
        }
        Err(AccountsError::Contended)
    }

    fn add_account(&self, batch: &mut Batch, new: &NewAccount, user: u64, user_id: OwnedUserId) -> Account {
        const FIRST_VERSION: u64 = 1;
        let name = name_key(user_id.server_name().as_str(), user_id.localpart());
        let row = UserRow {
            user_id: user_id.to_string(),
            password_hash: new.password_hash.clone(),
            admin: new.admin,
            deactivated: false,
            erased: false,
            guest: new.guest,
            agreed: new.agreed.clone(),
            created_ms: self.store.clock().now_ms(),
            session: 0,
        };
        // First of all assertions: who asks for a taken name is told so, whatever else does not hold.
        let taken = Losing::Fail(USER_IN_USE);
        batch
            .assertions
            .insert(0, wardstead_engine::Assertion { key: name.clone(), expect: Expect::Absent, losing: taken });
        NAMES.put(batch, name, &NameRow { user });
        USERS.put_with(batch, user_key(user), FIRST_VERSION, &[], &row);
        batch.journal(account_changed(user));
        Account {
            user,
            user_id,
            admin: row.admin,
            deactivated: false,
            erased: false,
            guest: row.guest,
            agreed: row.agreed,
            password_hash: row.password_hash,
            created_ms: row.created_ms,
            version: FIRST_VERSION,
            session: row.session,
        }
    }
}
