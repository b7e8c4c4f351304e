//! Acts of administration that are no events.

use wardstead_engine::{Batch, JournalEntry};
use wardstead_store::Overlay;

use crate::{AdministrativeAct, RoomChange, RoomError, Rooms};

impl Rooms {
    /// Adds `news`, a journal entry about `act`, to `batch`, and what those who follow the rooms' changes have to add to it.
    ///
    /// # Errors
    /// The store's.
    pub async fn contribute_act(
        &self,
        batch: &mut Batch,
        news: JournalEntry,
        act: AdministrativeAct,
    ) -> Result<(), RoomError> {
        let entry = batch.journal(news);
        let overlay = Overlay::new(&self.inner.store, Vec::new());
        let contributors = &self.inner.hooks.contributors;
        contributors.contribute(&RoomChange::Act(act), &overlay, batch, entry).await?;
        Ok(())
    }
}
