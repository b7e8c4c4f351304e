//! What becomes of a dehydrated device when it is removed as a device.

use async_trait::async_trait;
use wardstead_accounts::AccountChange;
use wardstead_engine::{Expect, Losing};
use wardstead_store::{CommitContributor, Contribution, Overlay, StoreError};

use super::tables::{DEHYDRATED, row_key};

/// Takes part in the commits of accounts: a device that is removed is no dehydrated one any more. Wired by the binary.
#[derive(Clone, Copy, Debug, Default)]
pub struct DehydratedKeeper;

#[async_trait]
impl CommitContributor<AccountChange> for DehydratedKeeper {
    async fn prepare(&self, change: &AccountChange, queued: &Overlay<'_>) -> Result<Contribution, StoreError> {
        let AccountChange::DevicesRemoved(removed) = change else { return Ok(Contribution::nothing()) };
        let key = row_key(removed.user);
        let found = queued.store().get(&DEHYDRATED, &key).await?;
        let Some(found) = found.filter(|found| removed.devices.iter().any(|device| device.device == found.row.device))
        else {
            return Ok(Contribution::nothing());
        };
        Ok(Contribution::new(move |batch, _| {
            // One that takes its place meanwhile stays.
            batch.expect(key.clone(), Expect::Version(found.version), Losing::Rebuild);
            batch.delete(key);
        }))
    }
}
