//! How many one-time keys a device has, and which fallback keys nobody was given (Client-Server API, End-to-end encryption, Extensions to
//! /sync).
//!
//! Each answer tells it, as the specification has it: a client that is not told takes it that there are none, and makes new ones. What a node
//! has read holds until the journal says that the device's keys changed.

use std::{collections::BTreeMap, sync::Arc};

use serde::Serialize;
use wardstead_accounts::Session;
use wardstead_e2ee::KeyCounts;

use crate::{SyncError, Syncer, wait::Range};

/// The properties of an answer.
#[derive(Debug, Serialize)]
pub(crate) struct KeyCountsTold<'a> {
    device_one_time_keys_count: &'a BTreeMap<String, u64>,
    device_unused_fallback_key_types: &'a [String],
}

impl<'a> KeyCountsTold<'a> {
    pub(crate) fn new(counts: &'a KeyCounts) -> Self {
        let KeyCounts { one_time, unused_fallback, .. } = counts;
        Self { device_one_time_keys_count: one_time, device_unused_fallback_key_types: unused_fallback }
    }
}

impl Syncer {
    /// The counts of the device of `by`. No read where memory knows that its keys have not changed since they were counted.
    pub(crate) async fn key_counts(&self, by: &Session) -> Result<Arc<KeyCounts>, SyncError> {
        Ok(self.keys.counts_told(by.device).await?)
    }

    /// The same, if the device's keys changed in `range`: then there is something to tell.
    pub(crate) async fn key_counts_news(
        &self,
        by: &Session,
        range: Range,
    ) -> Result<Option<Arc<KeyCounts>>, SyncError> {
        if self.store.waits_since(by.device, range.since) == Some(false) {
            return Ok(None);
        }
        let counts = self.key_counts(by).await?;
        Ok((counts.changed > range.since).then_some(counts))
    }
}
