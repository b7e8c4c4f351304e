//! Members that are told because their events are shown (Client-Server API, Lazy-loading room members).

use std::sync::{Mutex, PoisonError};

use ruma::{UserId, events::TimelineEventType};
use wardstead_engine::Position;
use wardstead_rooms::{Seen, Sight, Slice};

use crate::{
    SyncError, Syncer,
    members::Members,
    merged::Ends,
    response::Summary,
    room::{StateTold, Wanted, snapshot_before},
};

/// What one answer tells of members to a client that loads them lazily.
#[derive(Debug, Default)]
pub(crate) struct Lazy {
    /// What it has and need not be told again.
    has: Members,
    /// Short ids of the member events that this answer tells.
    told: Mutex<Vec<u64>>,
}

impl Lazy {
    /// For a client that has these member events.
    pub(crate) fn new(has: Members) -> Self {
        Self { has, told: Mutex::default() }
    }

    /// Notes the member events among `events`.
    pub(crate) fn tell<'a>(&self, events: impl Iterator<Item = &'a Seen>) {
        let members = events.filter(|event| is_member(event)).map(|event| event.short);
        self.told.lock().unwrap_or_else(PoisonError::into_inner).extend(members);
    }

    /// Everything that it told.
    pub(crate) fn into_told(self) -> Vec<u64> {
        self.told.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Syncer {
    /// Adds to `state` the members whose events the timeline shows, those that the room is called by, and the user where all state is
    /// told; without those that the client has.
    pub(crate) async fn add_members(
        &self,
        wanted: &Wanted<'_>,
        lazy: &Lazy,
        sight: &mut Sight,
        (slice, ends): (&Slice, &Ends),
        summary: Option<&Summary>,
        state: &mut Vec<Seen>,
    ) -> Result<(), SyncError> {
        if wanted.state == StateTold::Nothing {
            return Ok(());
        }
        let after = wanted.state_name.is_after();
        let snapshot = if after { ends.upto.snapshot } else { snapshot_before(wanted, slice, ends) };
        // Of what came after the user had left nothing else is told.
        let shown = slice.events.iter().filter(|(event, _)| !wanted.is_after_leaving(event));
        let senders = shown.clone().map(|(event, _)| &*event.sender);
        // Where the timeline is not part of the state, whoever came, went or was invited in it is told there.
        let moved = shown.filter(|(event, _)| after && is_member(event));
        let moved = moved.filter_map(|(event, _)| <&UserId>::try_from(event.state_key.as_deref()?).ok());
        let heroes = summary.iter().flat_map(|summary| &summary.heroes).map(|hero| &**hero);
        let own = (wanted.state == StateTold::All).then_some(&*wanted.by.user_id);
        let told =
            |user: &&UserId| !state.iter().any(|event| event.is_state(&TimelineEventType::RoomMember, user.as_str()));
        let named = if wanted.state == StateTold::All { wanted.filter.named_members() } else { Vec::new() };
        let named = named.iter().map(|user| &**user);
        let users: Vec<&UserId> = senders.chain(moved).chain(heroes).chain(own).chain(named).filter(told).collect();
        let has = |short| wanted.state == StateTold::SinceToken && lazy.has.contains(&short);
        state.extend(self.rooms.members_among(sight, snapshot, users.into_iter(), has).await?);
        Ok(())
    }

    /// The memberships that changed up to `snapshot` since the client was last told such changes, for a user who came back: it may show
    /// members who have left meanwhile.
    pub(crate) async fn members_changed(
        &self,
        wanted: &Wanted<'_>,
        sight: &mut Sight,
        snapshot: u64,
    ) -> Result<Vec<Seen>, SyncError> {
        if wanted.members_since == Position::ZERO {
            return Ok(Vec::new());
        }
        let before = self.rooms.snapshot_at(wanted.room.short, wanted.members_since).await?;
        let mut changed = self.rooms.state_between(sight, before.snapshot, snapshot).await?;
        changed.retain(is_member);
        Ok(changed)
    }
}

fn is_member(event: &Seen) -> bool {
    event.event_type == TimelineEventType::RoomMember && event.state_key.is_some()
}
