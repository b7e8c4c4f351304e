//! Events as an answer writes them.

use serde_json::value::RawValue;
use wardstead_rooms::{Membership, Seen};

use crate::{SyncError, Syncer, room::Wanted};

type Written = Vec<Box<RawValue>>;

impl Syncer {
    /// The events of `state`, and those of a timeline, the newest of which is first here and last in the answer.
    pub(crate) async fn shown(
        &self,
        wanted: &Wanted<'_>,
        state: &[Seen],
        timeline: &[(Seen, Membership)],
    ) -> Result<(Written, Written), SyncError> {
        let state = state.iter().map(|event| (event, None));
        let timeline = timeline.iter().rev().map(|(event, membership)| (event, Some(*membership)));
        let (split, all): (_, Vec<_>) = (state.len(), state.chain(timeline).collect());
        let shape = wanted.filter.shape();
        let pdus = if shape.is_federation() {
            let events: Vec<&Seen> = all.iter().map(|(event, _)| *event).collect();
            self.rooms.federation_json(&wanted.room, &events).await?
        } else {
            Vec::new()
        };
        let json = |(at, (event, membership)): (usize, &(&Seen, Option<Membership>))| {
            let client = self.rooms.client_json(event, wanted.by, *membership).to_json();
            shape.of(client, pdus.get(at).map(|pdu| &**pdu))
        };
        let mut written: Written = all.iter().enumerate().map(json).collect::<Result<_, _>>()?;
        let timeline = written.split_off(split);
        Ok((written, timeline))
    }
}
