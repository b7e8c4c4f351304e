//! What is kept for a device's connections goes with it.

use async_trait::async_trait;
use wardstead_accounts::AccountChange;
use wardstead_engine::ScanRange;
use wardstead_store::{CommitContributor, Contribution, Overlay, StoreError};

use super::tables::{CONNECTIONS, ROOMS};

/// Removes, in the commit that removes a device, the connections of its sliding syncs.
#[derive(Clone, Copy, Debug, Default)]
pub struct ConnectionKeeper;

#[async_trait]
impl CommitContributor<AccountChange> for ConnectionKeeper {
    async fn prepare(&self, change: &AccountChange, _: &Overlay<'_>) -> Result<Contribution, StoreError> {
        let AccountChange::DevicesRemoved(removed) = change else { return Ok(Contribution::nothing()) };
        let devices: Vec<u64> = removed.devices.iter().map(|removed| removed.device).collect();
        Ok(Contribution::new(move |batch, _| {
            for device in devices {
                for table in [CONNECTIONS.id(), ROOMS.id()] {
                    let all = ScanRange::scope(table, device);
                    batch.delete_range(all.from, all.to);
                }
            }
        }))
    }
}
