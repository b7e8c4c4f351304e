//! Tokens of an earlier epoch: after a restore or a failover (see the store's `Epochs`). And tokens of another user, who was sent
//! other things up to the same position.

use wardstead_engine::Position;
use wardstead_store::Reach;

use crate::{
    SyncError, Syncer,
    response::Sections,
    wait::{Question, Range},
};

impl Syncer {
    /// Where an incremental answer to a token of `epoch` and `position` starts; `Err`: up to where the client's knowledge is
    /// true, beyond which it may have been told what is lost.
    pub(crate) fn reach(&self, epoch: u64, position: Position) -> Result<Position, Position> {
        let epochs = self.store.epochs();
        match epochs.readable(epoch, position) {
            Reach::Incremental => Ok(position),
            Reach::Gappy => {
                let last = epochs.ended().iter().map(|ended| ended.last).filter(|last| *last < position).max();
                Err(last.unwrap_or(Position::ZERO))
            }
        }
    }

    /// Everything as to a new client, each timeline `limited`, so that none is joined to what the client has; and what the user
    /// left since `true_upto`.
    pub(crate) async fn gappy(
        &self,
        question: &Question<'_>,
        true_upto: Position,
        upto: Position,
    ) -> Result<Sections, SyncError> {
        let mut sections = self.initial(question, upto, true_upto.min(upto)).await?;
        for room in sections.rooms.join.values_mut() {
            if let Some(timeline) = &mut room.timeline {
                timeline.limited = true;
            }
        }
        let range = Range { since: true_upto.min(upto), upto };
        // Of what was left before, all that is asked for is there already.
        let left = self.incremental(question, range, false).await?.rooms.leave;
        sections.rooms.leave.extend(left.into_iter().filter(|(_, left)| left.timeline.is_some()));
        let Question { by, filter, .. } = *question;
        sections.account_data.events.extend(self.removed_account_data(by.user, range, filter).await?.events);
        sections.device_lists = self.all_device_lists(by, range).await?;
        Ok(sections)
    }
}
