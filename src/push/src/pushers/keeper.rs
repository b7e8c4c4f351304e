//! Pushers go with the device that set them.

use async_trait::async_trait;
use wardstead_accounts::AccountChange;
use wardstead_store::{CommitContributor, Contribution, Overlay, StoreError};

use crate::{pushers::edit::Edit, rules};

/// Takes part in the commits of accounts: pushers, and what waits for them, are removed with their devices; that is also how a new
/// password and the end of an account remove them. Wired by the binary.
#[derive(Clone, Copy, Debug, Default)]
pub struct PusherKeeper;

#[async_trait]
impl CommitContributor<AccountChange> for PusherKeeper {
    async fn prepare(&self, change: &AccountChange, queued: &Overlay<'_>) -> Result<Contribution, StoreError> {
        let AccountChange::DevicesRemoved(removed) = change else { return Ok(Contribution::nothing()) };
        let store = queued.store();
        let mut edit = Edit::new(store);
        // One that is set meanwhile asserts its device.
        let goes = |device: u64| removed.devices.iter().any(|removed| removed.device == device);
        if !edit.remove(removed.user, |pusher| goes(pusher.device)).await? {
            return Ok(Contribution::nothing());
        }
        let version = rules::version(store);
        Ok(Contribution::new(move |batch, _| edit.add_to(batch, version)))
    }
}
