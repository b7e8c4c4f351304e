//! One room's timeline and state.

use std::sync::Arc;

use ruma::events::TimelineEventType;
use serde_json::value::RawValue;
use wardstead_accounts::Session;
use wardstead_engine::Position;
use wardstead_rooms::{Membership, Room, Sight, Slice, StoredEvent};

use crate::{
    SyncError, Syncer,
    filter::Filter,
    response::{Events, Summary, Timeline},
};

/// What is asked of a room.
pub(crate) struct Wanted<'a> {
    pub(crate) by: &'a Session,
    pub(crate) filter: &'a Filter,
    pub(crate) room: Arc<Room>,
    /// Events of the timeline.
    pub(crate) limit: usize,
    /// Arrivals after this position; `None`: the end of the timeline, whenever it arrived.
    pub(crate) since: Option<Position>,
    pub(crate) upto: Position,
    pub(crate) state: State,
    /// The user was in the room at `upto`.
    pub(crate) joined: bool,
    /// Otherwise, when the user stopped being in it; zero: never was.
    pub(crate) left: Position,
}

/// Which state comes before the timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// All of it.
    All,
    /// What changed after a position.
    Since(Position),
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
        let Wanted { by, room, limit, upto, .. } = wanted;
        let mut sight = Sight::of(Arc::clone(room), by, wanted.joined, wanted.left);
        let slice = match wanted.since {
            Some(since) => self.rooms.timeline_range(room, since, *upto, *limit, &mut sight).await?,
            None => self.rooms.timeline_tail(room, *upto, *limit, &mut sight).await?,
        };
        let state = self.state_before(wanted, &slice).await?;
        let members_changed = state.iter().chain(slice.events.iter().map(|(event, _)| event)).any(is_member);
        let room_id = &room.room_id;
        let state =
            state.iter().filter(|event| wanted.filter.state(room_id, &event.sender, &event.event_type.to_string()));
        let state = state.map(|event| self.json(event, by, None)).collect::<Result<_, _>>()?;
        let timeline = self.timeline(wanted, &slice)?;
        Ok(Section { timeline, state: Events { events: state }, members_changed })
    }

    /// The state that the client needs to understand the first event of the timeline, beyond what it has.
    async fn state_before(&self, wanted: &Wanted<'_>, slice: &Slice) -> Result<Vec<Arc<StoredEvent>>, SyncError> {
        if wanted.state == State::Nothing {
            return Ok(Vec::new());
        }
        let room = &wanted.room;
        let first = slice.events.last().map(|(event, _)| event.state_before);
        let after = match first {
            Some(snapshot) => snapshot,
            None => self.rooms.snapshot_at(room.short, wanted.upto).await?.snapshot,
        };
        Ok(match wanted.state {
            State::Since(since) => {
                let before = self.rooms.snapshot_at(room.short, since).await?.snapshot;
                self.rooms.state_between(room, before, after).await?
            }
            State::All | State::Nothing => self.rooms.state_events(room, after).await?,
        })
    }

    fn timeline(&self, wanted: &Wanted<'_>, slice: &Slice) -> Result<Timeline, SyncError> {
        let room_id = &wanted.room.room_id;
        let shown = slice
            .events
            .iter()
            .rev()
            .filter(|(event, _)| wanted.filter.timeline(room_id, &event.sender, &event.event_type.to_string()));
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
        event: &StoredEvent,
        by: &Session,
        membership: Option<Membership>,
    ) -> Result<Box<RawValue>, serde_json::Error> {
        RawValue::from_string(self.rooms.client_json(event, by, membership).to_json())
    }
}

fn is_member(event: &Arc<StoredEvent>) -> bool {
    event.event_type == TimelineEventType::RoomMember && event.state_key.is_some()
}
