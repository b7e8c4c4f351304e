//! Removed account data is forgotten when no token needs it any more: a timer each, fired by one node, a page at a time.

use std::sync::Arc;

use async_trait::async_trait;
use wardstead_engine::{Batch, Expect, Losing};
use wardstead_store::{Claim, Fired, Found, Store, StoreError, TimerHandler};

use crate::{
    Accounts,
    tables::{ACCOUNT_DATA, TOMBSTONES, TombstoneRow, account_data_key, account_data_log_key},
};

struct Forgetting(Store);

#[async_trait]
impl TimerHandler<TombstoneRow> for Forgetting {
    /// Set again since then, or removed again: a later timer's business.
    async fn fire(&self, timer: &Found<TombstoneRow>, _: &Claim) -> Result<Fired, StoreError> {
        let TombstoneRow { user, room, event_type, version } = &timer.row;
        let key = account_data_key(*user, *room, event_type);
        let mut batch = Batch::new();
        if let Some(found) = self.0.get(&ACCOUNT_DATA, &key).await?
            && found.version == *version
            && found.row.content.is_none()
        {
            batch.expect(key.clone(), Expect::Version(*version), Losing::Rebuild);
            batch.delete(key);
            batch.delete(account_data_log_key(*user, found.position()));
        }
        Ok(Fired::Done(batch))
    }
}

impl Accounts {
    /// Has this node take its part in forgetting what was removed, until the store is closed. Called once, when the parts are wired.
    pub fn run_sweeps(&self) {
        self.store.run_timers(&TOMBSTONES, Arc::new(Forgetting(self.store.clone())));
    }
}
