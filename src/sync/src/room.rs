//! One room's timeline and state.

use std::sync::Arc;

use ruma::events::TimelineEventType;
use wardstead_accounts::Session;
use wardstead_engine::Position;
use wardstead_rooms::{Membership, Room, Seen, Sight, Slice, StoredEvent};

use crate::{
    SyncError, Syncer,
    filter::Filter,
    lazy::Lazy,
    merged::Ends,
    response::{Arrived, State, StateName, Summary, Timeline},
};

/// What is asked of a room.
pub(crate) struct Wanted<'a> {
    pub(crate) by: &'a Session,
    pub(crate) filter: &'a Filter,
    pub(crate) room: Arc<Room>,
    /// Events of the timeline.
    pub(crate) limit: usize,
    /// Rows to look at for them.
    pub(crate) scan: usize,
    /// What the client has.
    pub(crate) since: Position,
    pub(crate) upto: Position,
    pub(crate) timeline: Stretch,
    pub(crate) state: StateTold,
    /// Where the state is told.
    pub(crate) state_name: StateName,
    /// How members are told; `None`: all of them.
    pub(crate) lazy: Option<&'a Lazy>,
    /// Up to when the client was told each change of a membership, where that is not `since`.
    pub(crate) members_since: Position,
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
    /// The same, for a client that was in the room all the time and had fewer events of it.
    Longer,
    /// The user's own member event alone: the user was never in the room.
    Own,
}

/// Which state is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StateTold {
    /// All of it.
    All,
    /// What changed after the client's token.
    SinceToken,
    /// None: the user never was in the room.
    Nothing,
}

/// A room's timeline and its state: that before the timeline, or that at its end.
pub(crate) struct Section {
    pub(crate) timeline: Timeline,
    pub(crate) state: State,
    /// When something that it is made of is news.
    pub(crate) summary: Option<Summary>,
}

impl Section {
    pub(crate) fn is_empty(&self) -> bool {
        // The summary is news even where the filter hides what it is made of.
        let told = !self.timeline.events.is_empty() || !self.state.is_empty() || self.summary.is_some();
        !told && !self.timeline.limited
    }
}

impl Syncer {
    pub(crate) async fn section(&self, wanted: &Wanted<'_>) -> Result<Section, SyncError> {
        let mut sight = sight(wanted);
        let mut slice = self.slice(wanted, &mut sight).await?;
        let ends = self.ends(wanted, &slice).await?;
        let mut state = if wanted.state_name.is_after() {
            self.state_after(wanted, &mut sight, &slice, &ends).await?
        } else {
            let unsaid = self.reconcile(wanted, &mut sight, &mut slice, &ends).await?;
            let mut state = self.state_before(wanted, &mut sight, &slice, &ends).await?;
            unsaid.add_to(&mut state);
            state
        };
        if slice.more || slice.filtered {
            // Of what the gap or the filter hides the client is told what it needs to show these (Aggregations of child events).
            self.rooms.bundle(wanted.by, &mut sight, &mut slice.events, false).await?;
        }
        let mut told = state.iter().chain(slice.events.iter().map(|(event, _)| event));
        let summed_up =
            wanted.state == StateTold::All || told.any(names) || self.lost_name(wanted, &slice, &ends).await?;
        let summed_up = wanted.joined && summed_up;
        let summary = if summed_up { Some(self.summary(wanted, &ends).await?) } else { None };
        if let Some(lazy) = wanted.lazy {
            self.add_members(wanted, lazy, &mut sight, (&slice, &ends), summary.as_ref(), &mut state).await?;
        }
        state.retain(|event| wanted.filter.state(event));
        if let Some(lazy) = wanted.lazy {
            lazy.tell(state.iter().chain(slice.events.iter().map(|(event, _)| event)));
        }
        let oldest = slice.oldest.map(|key| self.rooms.prev_batch(wanted.room.short, key));
        let (state, events) = self.shown(wanted, &state, &slice.events).await?;
        let arrived = slice.events.iter().rev().map(|(event, _)| Arrived::of(event)).collect();
        let timeline = Timeline { events, limited: slice.more, prev_batch: oldest, arrived };
        Ok(Section { timeline, state: State::new(wanted.state_name, state), summary })
    }

    async fn slice(&self, wanted: &Wanted<'_>, sight: &mut Sight) -> Result<Slice, SyncError> {
        let Wanted { room, filter, limit, since, upto, .. } = wanted;
        if filter.no_timeline(&room.room_id) {
            return Ok(Slice::default());
        }
        let asked = filter.asked(*limit, wanted.scan);
        Ok(match wanted.timeline {
            Stretch::Throughout | Stretch::Since => {
                self.rooms.timeline_range(room, *since, *upto, asked, sight).await?
            }
            Stretch::Tail | Stretch::Longer => {
                let mut slice = if wanted.joined {
                    self.rooms.timeline_tail(room, *upto, asked, sight).await?
                } else {
                    // A left room's end is found by position: how much happened there since then does not matter.
                    self.rooms.timeline_range(room, Position::ZERO, *upto, asked, sight).await?
                };
                // Who came back is shown events again. `limited` says that they do not follow what the client has.
                let sent_before =
                    |(event, then): &(Seen, Membership)| event.position <= *since && *then == Membership::Join;
                slice.more |= wanted.timeline == Stretch::Tail && slice.events.iter().any(sent_before);
                // Who came has not seen the room without this filter: the timeline does not begin at the room's beginning.
                slice.more |= slice.filtered && *since > Position::ZERO;
                slice
            }
            Stretch::Own => {
                let just_before = Position(upto.0.saturating_sub(1));
                let asked = filter.asked(1, wanted.scan);
                let slice = self.rooms.timeline_range(room, just_before, *upto, asked, sight).await?;
                // There is nothing that the user could page back to.
                Slice { more: false, oldest: None, ..slice }
            }
        })
    }

    /// The state that the client needs to understand the first event of the timeline, beyond what it has.
    async fn state_before(
        &self,
        wanted: &Wanted<'_>,
        sight: &mut Sight,
        slice: &Slice,
        ends: &Ends,
    ) -> Result<Vec<Seen>, SyncError> {
        match wanted.state {
            // The user is told at least what they are now, when no event of the timeline says so.
            StateTold::Nothing if slice.events.is_empty() => self.own_member(wanted, sight).await,
            StateTold::Nothing => Ok(Vec::new()),
            StateTold::All | StateTold::SinceToken => {
                self.state_at(wanted, sight, ends, snapshot_before(wanted, slice, ends)).await
            }
        }
    }

    /// The state at the end of the timeline, beyond what the client has (`use_state_after`).
    async fn state_after(
        &self,
        wanted: &Wanted<'_>,
        sight: &mut Sight,
        slice: &Slice,
        ends: &Ends,
    ) -> Result<Vec<Seen>, SyncError> {
        if wanted.state == StateTold::Nothing {
            return self.own_member(wanted, sight).await;
        }
        let mut state = self.state_at(wanted, sight, ends, ends.upto.snapshot).await?;
        // What was done to the user after they had left is state that the timeline alone tells.
        let own = |event: &Seen| event.is_state(&TimelineEventType::RoomMember, wanted.by.user_id.as_str());
        let later = slice.events.iter().find(|(event, _)| wanted.is_after_leaving(event) && own(event));
        if let Some((event, _)) = later {
            state.retain(|other| !own(other));
            state.push(event.clone());
        }
        Ok(state)
    }

    /// What of the state in `snapshot` is told.
    async fn state_at(
        &self,
        wanted: &Wanted<'_>,
        sight: &mut Sight,
        ends: &Ends,
        snapshot: u64,
    ) -> Result<Vec<Seen>, SyncError> {
        Ok(match (wanted.state, wanted.lazy) {
            // Each change of a membership is told, whoever is shown.
            (StateTold::SinceToken, _) => self.rooms.state_between(sight, ends.since.snapshot, snapshot).await?,
            (StateTold::All, None) => self.rooms.state_events(sight, snapshot).await?,
            (StateTold::All, Some(_)) => {
                let mut state = self.rooms.state_without_members(sight, snapshot).await?;
                state.extend(self.members_changed(wanted, sight, snapshot).await?);
                state
            }
            (StateTold::Nothing, _) => Vec::new(),
        })
    }

    async fn own_member(&self, wanted: &Wanted<'_>, sight: &mut Sight) -> Result<Vec<Seen>, SyncError> {
        Ok(self.rooms.member_at(sight, wanted.by.user, wanted.upto).await?.into_iter().collect())
    }

    /// Whether a redaction took the room's name or alias after the token: no event under those keys says so. Looked at only where there
    /// may be a redaction.
    async fn lost_name(&self, wanted: &Wanted<'_>, slice: &Slice, ends: &Ends) -> Result<bool, SyncError> {
        let hidden = slice.more || !wanted.filter.is_whole();
        let redaction = |(event, _): &(Seen, Membership)| event.event_type == TimelineEventType::RoomRedaction;
        if !wanted.joined || !(hidden || slice.events.iter().any(redaction)) {
            return Ok(false);
        }
        Ok(self.rooms.name_redacted_after(&wanted.room, &ends.upto, wanted.since).await?)
    }

    /// Whom the room is called by.
    async fn summary(&self, wanted: &Wanted<'_>, ends: &Ends) -> Result<Summary, SyncError> {
        let summary = self.rooms.summary(&wanted.room, &ends.upto, wanted.by.user, wanted.upto).await?;
        Ok(Summary { heroes: summary.heroes, joined: summary.joined, invited: summary.invited })
    }
}

/// The snapshot of the state before the timeline.
pub(crate) fn snapshot_before(wanted: &Wanted<'_>, slice: &Slice, ends: &Ends) -> u64 {
    match slice.events.last() {
        // A ban that came after the user had left is shown; the state of that time is none of theirs.
        Some((first, _)) if wanted.is_after_leaving(first) => ends.upto.snapshot,
        Some((first, _)) => first.state_before,
        None => ends.upto.snapshot,
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

/// Whether the summary is made of it.
fn names(event: &Seen) -> bool {
    let of_members = event.event_type == TimelineEventType::RoomMember;
    let names = [TimelineEventType::RoomName, TimelineEventType::RoomCanonicalAlias];
    event.state_key.is_some() && (of_members || names.contains(&event.event_type))
}
