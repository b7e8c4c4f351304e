//! Whose devices changed (Client-Server API, End-to-end encryption, Extensions to /sync).
//!
//! What else encryption adds to an answer (`device_one_time_keys_count`, `device_unused_fallback_key_types`) stands beside this
//! section, in a file of its own.

use std::collections::BTreeSet;

use async_trait::async_trait;
use ruma::OwnedUserId;
use serde::Serialize;
use wardstead_accounts::Session;
use wardstead_engine::Position;
use wardstead_store::StoreError;

use crate::{SyncError, Syncer, wait::Range};

/// Users whose devices somebody has to look at again, or need not look at any more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DeviceLists {
    /// Users who share an encrypted room with whoever asks, and whose devices changed, or who came to share one.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub changed: BTreeSet<OwnedUserId>,
    /// Users who share none any more.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub left: BTreeSet<OwnedUserId>,
}

impl DeviceLists {
    /// Whether there is nothing to tell.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changed.is_empty() && self.left.is_empty()
    }
}

/// Where it is known whose devices changed. A change's commit has a journal entry of kind
/// [`wardstead_store::kind::DEVICE_LIST`] for each user who is to be told without waiting for something else.
#[async_trait]
pub trait DeviceListSource: Send + Sync + 'static {
    /// What changed for `user` after `since` and not after `upto`.
    ///
    /// # Errors
    /// The store's: the sync fails.
    async fn device_lists(&self, user: u64, since: Position, upto: Position) -> Result<DeviceLists, StoreError>;
}

/// Nobody's devices change.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoDeviceLists;

#[async_trait]
impl DeviceListSource for NoDeviceLists {
    async fn device_lists(&self, _: u64, _: Position, _: Position) -> Result<DeviceLists, StoreError> {
        Ok(DeviceLists::default())
    }
}

impl Syncer {
    /// Whose devices changed for `by` in `range`. Initial answers tell nothing of it: a new client asks about everybody.
    pub(crate) async fn device_lists(&self, by: &Session, range: Range) -> Result<DeviceLists, SyncError> {
        if range.since >= range.upto {
            return Ok(DeviceLists::default());
        }
        Ok(self.device_lists.device_lists(by.user, range.since, range.upto).await?)
    }
}
