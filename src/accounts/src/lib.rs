//! Users, devices and access tokens.
//!
//! Every row that an access decision needs is read from the engine in the request itself ([`Accounts::authenticate`]); no
//! decision is cached. Each act is one batch: an account comes into being together with its device and its
//! token, a device goes together with its tokens. See `docs/design/04-accounts.md`.

mod account_data;
mod authenticate;
mod change;
mod client;
mod devices;
mod erasure;
mod error;
mod filters;
pub mod floor;
mod guests;
mod ignored;
mod invitations;
mod last_seen;
mod login;
mod logout;
mod names;
mod presence;
mod profile;
mod refresh;
mod register;
mod removal;
mod successor;
mod tables;
mod tags;
#[cfg(test)]
mod tests;
mod tokens;
mod unattended;
mod users;

use std::{fmt, sync::Arc};

use bytes::Bytes;
use ruma::{OwnedDeviceId, OwnedServerName, OwnedUserId};
use wardstead_engine::JournalEntry;
use wardstead_store::{Store, kind};

pub use account_data::{AccountData, Change};
pub use change::{
    AccountChange, AccountHooks, Created, Deactivated, DeviceRenamed, DevicesRemoved, IgnoredChanged, Lifetimes,
    ProfileChanged, RemovedDevice,
};
pub use client::{Client, Network};
pub use devices::Device;
pub use error::{AccountsError, AuthError};
pub use guests::{Special, Upgrade};
pub use ignored::Ignored;
pub use invitations::Unwelcome;
pub use last_seen::LastSeen;
pub use logout::Keep;
pub use presence::{Presence, PresenceOf, PresenceState, Present, settled_ms};
pub use profile::{Names, NamesChanged, NamesFollower};
pub use register::{NewAccount, NewDevice};
pub use users::Account;

/// Users, devices and access tokens of this server. Cheap to clone.
#[derive(Clone)]
pub struct Accounts {
    store: Store,
    server_name: OwnedServerName,
    seen: Arc<authenticate::Seen>,
    noted: Arc<last_seen::Noted>,
    hooks: AccountHooks,
}

/// Who makes a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The user.
    pub user_id: OwnedUserId,
    /// The user's short id.
    pub user: u64,
    /// The device.
    pub device_id: OwnedDeviceId,
    /// The device's short id.
    pub device: u64,
    /// Whether the user administers the server.
    pub admin: bool,
    /// Whether it is a guest, who may do only what the specification lists.
    pub guest: bool,
    /// SHA-256 of the access token: whether the session is still good can be asked again while a request waits.
    pub token: [u8; 32],
    /// When the access token expires, in Unix milliseconds; `None`: never.
    pub expires_ms: Option<u64>,
}

impl Session {
    /// What the server does in the name of a local user without a request of theirs: no device, no token that anybody could present.
    #[must_use]
    pub fn without_device(user: u64, user_id: OwnedUserId) -> Self {
        let (device_id, token) = ("".into(), [0; 32]);
        Self { user_id, user, device_id, device: 0, admin: false, guest: false, token, expires_ms: None }
    }
}

/// A session that was just opened. Its token is stored only as a hash: this is the only moment at which it can be told.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// Whose and on which device.
    pub session: Session,
    /// What the client presents from now on.
    pub access_token: String,
    /// With what the client gets another access token; `None` where it takes none.
    pub refresh_token: Option<String>,
    /// Milliseconds that the access token lives; `None`: until its session ends.
    pub expires_in_ms: Option<u64>,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("session", &self.session).finish_non_exhaustive()
    }
}

impl Accounts {
    /// The accounts of `server_name` in `store`.
    #[must_use]
    pub fn new(store: Store, server_name: OwnedServerName) -> Self {
        Self::with_hooks(store, server_name, AccountHooks::default())
    }

    /// As [`Self::new`], with those who follow changes of accounts, and with what the operator chose.
    #[must_use]
    pub fn with_hooks(store: Store, server_name: OwnedServerName, hooks: AccountHooks) -> Self {
        Self { store, server_name, seen: authenticate::nothing_seen(), noted: last_seen::nothing_noted(), hooks }
    }
}

impl fmt::Debug for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accounts").field("server_name", &self.server_name).finish_non_exhaustive()
    }
}

/// The news that the account, its devices or its tokens changed: who waits on its behalf looks again.
fn account_changed(user: u64) -> JournalEntry {
    JournalEntry { kind: kind::ACCOUNT, scope: user, key: Bytes::new() }
}
