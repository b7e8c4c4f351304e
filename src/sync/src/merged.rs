//! Where forks of a room were merged: state that changed without an event of the timeline that says so.
//!
//! A client takes the state before the timeline and applies its events. Where the state at the end is another one (a ban that
//! a merge brought back, a topic that lost, an event that the filter of the timeline leaves out), what no event of the timeline says is
//! told in `state`. What an event of the
//! timeline says and is not so cannot be taken back: the timeline then begins after it, and is `limited`.

use std::collections::HashSet;

use wardstead_engine::Position;
use wardstead_rooms::{Seen, Sight, Slice, StateAt, TimelineKey};

use crate::{
    SyncError, Syncer,
    room::{StateTold, Wanted},
};

/// The room's state at the ends of what is told.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ends {
    pub(crate) since: StateAt,
    pub(crate) upto: StateAt,
}

/// State at the end that neither the state before the timeline nor the timeline says.
#[derive(Debug, Default)]
pub(crate) struct Unsaid {
    events: Vec<Seen>,
    /// Short ids of those that the client has all the same.
    known: HashSet<u64>,
}

impl Syncer {
    pub(crate) async fn ends(&self, wanted: &Wanted<'_>, slice: &Slice) -> Result<Ends, SyncError> {
        let room = wanted.room.short;
        // Who came after the token is told no difference to it.
        let since = if wanted.state == StateTold::SinceToken { wanted.since } else { Position::ZERO };
        if wanted.state == StateTold::Nothing && !slice.events.is_empty() {
            return Ok(Ends::default());
        }
        let (since, upto) = self.rooms.snapshots_at(room, since.min(wanted.state_upto()), wanted.state_upto()).await?;
        Ok(Ends { since, upto })
    }

    /// What no event of the timeline says. Cuts the timeline where an event says what is not so at the end.
    pub(crate) async fn reconcile(
        &self,
        wanted: &Wanted<'_>,
        sight: &mut Sight,
        slice: &mut Slice,
        ends: &Ends,
    ) -> Result<Unsaid, SyncError> {
        if wanted.state == StateTold::Nothing {
            return Ok(Unsaid::default());
        }
        loop {
            let Some((first, _)) = slice.events.last() else { return Ok(Unsaid::default()) };
            if wanted.is_after_leaving(first) {
                return Ok(Unsaid::default());
            }
            let newest = newest_state(wanted, slice);
            if newest.is_empty() && first.state_before == ends.upto.snapshot {
                return Ok(Unsaid::default());
            }
            let changed = self.rooms.state_between(sight, first.state_before, ends.upto.snapshot).await?;
            let so: HashSet<u64> = changed.iter().map(|event| event.short).collect();
            if let Some((number, _)) = newest.iter().find(|(_, event)| !so.contains(&event.short)) {
                cut(slice, *number);
                continue;
            }
            let said: HashSet<u64> = newest.iter().map(|(_, event)| event.short).collect();
            let events: Vec<_> = changed.into_iter().filter(|event| !said.contains(&event.short)).collect();
            let known = match wanted.state {
                // What the client had at its token, and has at the end, was only hidden by the fork in between.
                StateTold::SinceToken if !events.is_empty() => {
                    let (since, upto) = (ends.since.snapshot, ends.upto.snapshot);
                    let news = self.rooms.state_between(sight, since, upto).await?;
                    let news: HashSet<u64> = news.iter().map(|event| event.short).collect();
                    events.iter().map(|event| event.short).filter(|short| !news.contains(short)).collect()
                }
                _ => HashSet::new(),
            };
            return Ok(Unsaid { events, known });
        }
    }
}

/// The newest event of each state key in the timeline, with their numbers, the newest first.
fn newest_state(wanted: &Wanted<'_>, slice: &Slice) -> Vec<(usize, Seen)> {
    let mut keys = HashSet::new();
    // A ban after the leaving is told beside the state of that time.
    let events = slice.events.iter().enumerate().filter(|(_, (event, _))| !wanted.is_after_leaving(event));
    let state = events.filter_map(|(number, (event, _))| Some((number, event, event.state_key.clone()?)));
    let newest = state.filter(|(_, event, key)| keys.insert((event.event_type.clone(), key.clone())));
    newest.map(|(number, event, _)| (number, event.clone())).collect()
}

/// Leaves out the event with this number and all before it. Going back from there gives them.
fn cut(slice: &mut Slice, number: usize) {
    let deepest =
        slice.events.iter().map(|(event, _)| event.timeline_key.depth).chain(slice.oldest.map(|key| key.depth));
    slice.oldest = deepest.max().map(|depth| TimelineKey { depth, order: i64::MAX });
    slice.events.truncate(number);
    slice.more = true;
}

impl Unsaid {
    /// Puts it into `state`, in the place of what that says under the same keys.
    pub(crate) fn add_to(self, state: &mut Vec<Seen>) {
        for event in self.events {
            if let Some(state_key) = &event.state_key {
                state.retain(|other| !other.is_state(&event.event_type, state_key));
            }
            if !self.known.contains(&event.short) {
                state.push(event);
            }
        }
    }
}
