//! One room's timeline and state.

use std::{collections::HashSet, sync::Arc};

use ruma::events::TimelineEventType;
use serde_json::value::RawValue;
use wardstead_accounts::Session;
use wardstead_engine::Position;
use wardstead_rooms::{Membership, Room, Seen, Sight, Slice, StoredEvent};

use crate::{
    SyncError, Syncer,
    filter::Filter,
    merged::Ends,
    response::{Events, Summary, Timeline},
};

/// What is asked of a room.
pub(crate) struct Wanted<'a> {
    pub(crate) by: &'a Session,
    pub(crate) filter: &'a Filter,
    pub(crate) room: Arc<Room>,
    /// Events of the timeline.
    pub(crate) limit: usize,
    /// What the client has.
    pub(crate) since: Position,
    pub(crate) upto: Position,
    pub(crate) timeline: Stretch,
    pub(crate) state: State,
    /// The user was in the room at `upto`.
    pub(crate) joined: bool,
    /// Otherwise, when the user stopped being in it; zero: never was.
    pub(crate) left: Position,
    /// After which position receipts may have moved that the client has not; `None`: none have.
    pub(crate) receipts: Option<Position>,
}

impl Wanted<'_> {
    /// Up to when the state is shown.
    pub(crate) fn state_upto(&self) -> Position {
        if self.joined || self.left == Position::ZERO { self.upto } else { self.upto.min(self.left) }
    }

    pub(crate) fn is_after_leaving(&self, event: &StoredEvent) -> bool {
        !self.joined && event.position > self.left
    }
}

/// Which part of the timeline is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stretch {
    /// What arrived after the client's token, during all of which the user was in the room.
    Throughout,
    /// What arrived after the client's token, as far as the user may see it.
    Since,
    /// Its end, whenever it arrived.
    Tail,
    /// The user's own member event alone: the user was never in the room.
    Own,
}

/// Which state comes before the timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// All of it.
    All,
    /// What changed after the client's token.
    SinceToken,
    /// None: the user never was in the room.
    Nothing,
}

/// A room's timeline, the state before it, and who is in it.
pub(crate) struct Section {
    pub(crate) timeline: Timeline,
    pub(crate) state: Events,
    /// Some event of the section is about a member.
    pub(crate) members_changed: bool,
}

impl Section {
    pub(crate) fn is_empty(&self) -> bool {
        self.timeline.events.is_empty() && !self.timeline.limited && self.state.events.is_empty()
    }
}

impl Syncer {
    pub(crate) async fn section(&self, wanted: &Wanted<'_>) -> Result<Section, SyncError> {
        let mut sight = sight(wanted);
        let mut slice = self.slice(wanted, &mut sight).await?;
        let ends = self.ends(wanted, &slice).await?;
        let unsaid = self.reconcile(wanted, &sight, &mut slice, &ends).await?;
        if slice.more {
            // Of what the gap hides the client is told what it needs to show these (Aggregations of child events).
            self.rooms.bundle(wanted.by, &mut sight, &mut slice.events, false).await?;
        }
        let mut state = self.state_before(wanted, &sight, &slice, &ends).await?;
        unsaid.add_to(&mut state);
        let members_changed = state.iter().chain(slice.events.iter().map(|(event, _)| event)).any(is_member);
        if wanted.state != State::Nothing {
            add_untold(&mut state, wanted.filter, &slice);
        }
        let state = state.iter().filter(|event| wanted.filter.state(event));
        let state = state.map(|event| self.json(event, wanted.by, None)).collect::<Result<_, _>>()?;
        let timeline = self.timeline(wanted, &slice)?;
        Ok(Section { timeline, state: Events { events: state }, members_changed })
    }

    async fn slice(&self, wanted: &Wanted<'_>, sight: &mut Sight) -> Result<Slice, SyncError> {
        let Wanted { room, limit, since, upto, .. } = wanted;
        Ok(match wanted.timeline {
            Stretch::Throughout | Stretch::Since => {
                self.rooms.timeline_range(room, *since, *upto, *limit, sight).await?
            }
            Stretch::Tail => {
                let mut slice = if wanted.joined {
                    self.rooms.timeline_tail(room, *upto, *limit, sight).await?
                } else {
                    // A left room's end is found by position: how much happened there since then does not matter.
                    self.rooms.timeline_range(room, Position::ZERO, *upto, *limit, sight).await?
                };
                // Who came back is shown events again. `limited` says that they do not follow what the client has.
                let sent_before =
                    |(event, then): &(Seen, Membership)| event.position <= *since && *then == Membership::Join;
                slice.more |= slice.events.iter().any(sent_before);
                slice
            }
            Stretch::Own => {
                let just_before = Position(upto.0.saturating_sub(1));
                let slice = self.rooms.timeline_range(room, just_before, *upto, 1, sight).await?;
                // There is nothing that the user could page back to.
                Slice { more: false, oldest: None, ..slice }
            }
        })
    }

    /// The state that the client needs to understand the first event of the timeline, beyond what it has.
    async fn state_before(
        &self,
        wanted: &Wanted<'_>,
        sight: &Sight,
        slice: &Slice,
        ends: &Ends,
    ) -> Result<Vec<Seen>, SyncError> {
        let after = match slice.events.last() {
            // A ban that came after the user had left is shown; the state of that time is none of theirs.
            Some((first, _)) if wanted.is_after_leaving(first) => ends.upto.snapshot,
            Some((first, _)) => first.state_before,
            None => ends.upto.snapshot,
        };
        Ok(match wanted.state {
            State::SinceToken => self.rooms.state_between(sight, ends.since.snapshot, after).await?,
            State::All => self.rooms.state_events(sight, after).await?,
            // The user is told at least what they are now, when no event of the timeline says so.
            State::Nothing if slice.events.is_empty() => {
                self.rooms.member_at(sight, wanted.by.user, wanted.upto).await?.into_iter().collect()
            }
            State::Nothing => Vec::new(),
        })
    }

    fn timeline(&self, wanted: &Wanted<'_>, slice: &Slice) -> Result<Timeline, SyncError> {
        let shown = slice.events.iter().rev().filter(|(event, _)| wanted.filter.timeline(event));
        let events = shown.map(|(event, membership)| self.json(event, wanted.by, Some(*membership)));
        let prev_batch = slice.oldest.map(|key| self.rooms.prev_batch(wanted.room.short, key));
        Ok(Timeline { events: events.collect::<Result<_, _>>()?, limited: slice.more, prev_batch })
    }

    /// Whom the room is called by, when who is in it is news.
    pub(crate) async fn summary(&self, wanted: &Wanted<'_>) -> Result<Summary, SyncError> {
        let state = self.rooms.snapshot_at(wanted.room.short, wanted.upto).await?;
        let summary = self.rooms.summary(&wanted.room, &state, wanted.by.user, wanted.upto).await?;
        Ok(Summary { heroes: summary.heroes, joined: summary.joined, invited: summary.invited })
    }

    fn json(
        &self,
        event: &Seen,
        by: &Session,
        membership: Option<Membership>,
    ) -> Result<Box<RawValue>, serde_json::Error> {
        RawValue::from_string(self.rooms.client_json(event, by, membership).to_json())
    }
}

/// What the user may see of the room.
fn sight(wanted: &Wanted<'_>) -> Sight {
    let room = Arc::clone(&wanted.room);
    let sight = match wanted.timeline {
        Stretch::Throughout => Sight::throughout(room, wanted.by, wanted.since, wanted.upto),
        _ => Sight::of(room, wanted.by, wanted.joined, wanted.left),
    };
    sight.up_to(wanted.upto)
}

fn is_member(event: &Seen) -> bool {
    event.event_type == TimelineEventType::RoomMember && event.state_key.is_some()
}

/// State that changed within the timeline, but in events that the timeline's filter hides: the client would never be told.
fn add_untold(state: &mut Vec<Seen>, filter: &Filter, slice: &Slice) {
    if slice.events.iter().all(|(event, _)| filter.timeline(event)) {
        return;
    }
    let mut newest = HashSet::new();
    for (event, _) in &slice.events {
        let Some(state_key) = &event.state_key else { continue };
        if newest.insert((&event.event_type, state_key)) && !filter.timeline(event) {
            state.retain(|other| !other.is_state(&event.event_type, state_key));
            state.push(event.clone());
        }
    }
}
