//! What a commit of an account tells those who take part in it.

use std::{fmt, sync::Arc};

use ruma::{OwnedDeviceId, OwnedUserId};
use wardstead_engine::Batch;
use wardstead_limits::accounts::ACCESS_TOKEN_LIFETIME_MS;
use wardstead_store::{Contributors, Overlay, StoreError};

use crate::{Accounts, account_changed};

/// A change that a [`wardstead_store::CommitContributor`] follows. What it adds is part of the change's own commit.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AccountChange {
    /// An account was made.
    Created(Created),
    /// Devices are removed: everything that is kept for them goes with them.
    DevicesRemoved(DevicesRemoved),
    /// A device has another display name.
    DeviceRenamed(DeviceRenamed),
    /// The account is deactivated, and its profile emptied. Its devices are removed in the same commit, or follow where they are many.
    Deactivated(Deactivated),
    /// A field of the user's profile changed.
    ProfileChanged(ProfileChanged),
    /// The user ignores others than before.
    IgnoredChanged(IgnoredChanged),
}

/// A new account. Of its profile there is at most the display name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created {
    /// Short id of the user.
    pub user: u64,
    /// The user.
    pub user_id: OwnedUserId,
    /// What the account was given as its display name.
    pub displayname: Option<String>,
}

/// Devices of one user are removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DevicesRemoved {
    /// Short id of the user.
    pub user: u64,
    /// The user.
    pub user_id: OwnedUserId,
    /// The devices: at least one, at most [`wardstead_limits::accounts::DEVICES_PER_BATCH`]. More are told commit by commit.
    pub devices: Vec<RemovedDevice>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemovedDevice {
    /// Short id; it is never given again.
    pub device: u64,
    /// The id, which another device may have later.
    pub device_id: OwnedDeviceId,
}

/// A device has another display name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceRenamed {
    /// Short id of the user.
    pub user: u64,
    /// The user.
    pub user_id: OwnedUserId,
    /// Short id of the device.
    pub device: u64,
    /// The device.
    pub device_id: OwnedDeviceId,
    /// What it is called now.
    pub display_name: Option<String>,
}

/// An account is deactivated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deactivated {
    /// Short id of the user.
    pub user: u64,
    /// The user.
    pub user_id: OwnedUserId,
    /// Whether nobody who comes later is to see what the user wrote.
    pub erase: bool,
}

/// A field of a profile changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileChanged {
    /// Short id of the user.
    pub user: u64,
    /// The user.
    pub user_id: OwnedUserId,
    /// The field: `displayname`, say.
    pub field: String,
    /// The display name, which this field may be, as it is from now on.
    pub displayname: Option<String>,
}

/// A user ignores others than before (Client-Server API, Ignoring Users).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IgnoredChanged {
    /// Short id of the user.
    pub user: u64,
    /// Whom the user ignores from now on, as the list says it.
    pub ignored: Vec<OwnedUserId>,
}

/// What the binary wires into the commits of accounts.
#[derive(Clone, Default)]
pub struct AccountHooks {
    /// Those who follow changes, in their order.
    pub contributors: Arc<Contributors<AccountChange>>,
    /// How long tokens live.
    pub lifetimes: Lifetimes,
}

/// How long access tokens live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// Milliseconds, of sessions whose client takes refresh tokens.
    pub refreshable_ms: u64,
    /// Milliseconds, of all others; `None`: until the session ends.
    pub plain_ms: Option<u64>,
}

impl Default for Lifetimes {
    fn default() -> Self {
        Self { refreshable_ms: ACCESS_TOKEN_LIFETIME_MS, plain_ms: None }
    }
}

impl fmt::Debug for AccountHooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccountHooks")
            .field("contributors", &self.contributors)
            .field("lifetimes", &self.lifetimes)
            .finish()
    }
}

impl Accounts {
    /// Adds to `batch` the news that `user` changed; its number is for [`Self::follow`].
    pub(crate) fn tell(batch: &mut Batch, user: u64) -> usize {
        batch.journal(account_changed(user))
    }

    /// Adds to `batch` what those who follow `change`, the batch's journal entry number `entry`, have to add.
    pub(crate) async fn follow(
        &self,
        batch: &mut Batch,
        change: &AccountChange,
        entry: usize,
    ) -> Result<(), StoreError> {
        if self.hooks.contributors.is_empty() {
            return Ok(());
        }
        let overlay = Overlay::new(&self.store, Vec::new());
        self.hooks.contributors.contribute(change, &overlay, batch, entry).await?;
        Ok(())
    }
}
