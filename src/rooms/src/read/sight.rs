//! Which events a user sees (Matrix specification, Client-Server API, Room History Visibility, Server behaviour).

use std::{collections::HashMap, sync::Arc};

use ruma::{OwnedUserId, events::TimelineEventType};
use wardstead_accounts::Session;
use wardstead_engine::Position;

use crate::{
    Access, HistoryVisibility, Membership, Room, RoomError, Rooms, StoredEvent,
    event::content::{self, history_visibility},
    state::{key, store::Committed},
};

/// One user looking at one room's events. Remembers what it found for each snapshot, so that a page of messages costs one
/// look at the state.
#[derive(Debug)]
pub struct Sight {
    room: Arc<Room>,
    user: u64,
    user_id: OwnedUserId,
    joined: bool,
    left: Position,
    /// The user was in the room at every event that will be looked at.
    throughout: bool,
    known: HashMap<u64, At>,
}

/// The two things that decide, at one moment.
#[derive(Clone, Copy, Debug)]
struct At {
    visibility: HistoryVisibility,
    membership: Membership,
}

impl Sight {
    /// The sight of `by`, who has `access`.
    #[must_use]
    pub fn new(by: &Session, access: &Access) -> Self {
        let joined = access.membership == Some(Membership::Join);
        Self::of(Arc::clone(&access.room), by, joined, access.left)
    }

    /// The sight of `by`, who is `joined` now or stopped being so at `left` (zero: never was).
    #[must_use]
    pub fn of(room: Arc<Room>, by: &Session, joined: bool, left: Position) -> Self {
        let known = HashMap::new();
        Self { room, user: by.user, user_id: by.user_id.clone(), joined, left, throughout: false, known }
    }

    /// The sight of `by` on a stretch of time during all of which they were in the room: nothing of it is hidden from them, and no
    /// state has to be read to know that.
    #[must_use]
    pub fn throughout(room: Arc<Room>, by: &Session) -> Self {
        Self { throughout: true, ..Self::of(room, by, true, Position::ZERO) }
    }

    /// What the user was when `event` had happened, if the user may see it.
    ///
    /// # Errors
    /// The store's.
    pub async fn look(&mut self, rooms: &Rooms, event: &StoredEvent) -> Result<Option<Membership>, RoomError> {
        if self.throughout {
            return Ok(Some(Membership::Join));
        }
        let before = self.at(rooms, event.state_before).await?;
        let mut after = before;
        if event.is_state(&TimelineEventType::RoomHistoryVisibility, "") {
            after.visibility = history_visibility(Some(&event.event));
        } else if event.is_state(&TimelineEventType::RoomMember, self.user_id.as_str()) {
            after.membership = content::membership(&event.event).unwrap_or(Membership::Leave);
        }
        let joined_later = self.joined || event.position < self.left;
        // What is done to somebody's own membership is always told to them: an invitation taken back, a ban.
        let own = event.is_state(&TimelineEventType::RoomMember, self.user_id.as_str());
        let seen = own || sees(before, joined_later) || sees(after, joined_later);
        Ok(seen.then_some(after.membership))
    }

    async fn at(&mut self, rooms: &Rooms, snapshot: u64) -> Result<At, RoomError> {
        if let Some(at) = self.known.get(&snapshot) {
            return Ok(*at);
        }
        let inner = &rooms.inner;
        let loaded = inner.state.snapshot(&Committed, self.room.short, snapshot).await?;
        let keys = [key::HISTORY_VISIBILITY, key::member(self.user)];
        let events = inner.state_of(&self.room, &loaded, &keys).await?;
        let event = |at: usize| events.get(at).and_then(Option::as_ref).map(|event| &*event.event);
        let at = At {
            visibility: history_visibility(event(0)),
            membership: event(1).and_then(content::membership).unwrap_or(Membership::Leave),
        };
        self.known.insert(snapshot, at);
        Ok(at)
    }
}

/// The five rules, in their order.
fn sees(at: At, joined_later: bool) -> bool {
    match (at.visibility, at.membership) {
        (HistoryVisibility::WorldReadable, _) | (_, Membership::Join) => true,
        (HistoryVisibility::Shared, _) => joined_later,
        (HistoryVisibility::Invited, membership) => membership == Membership::Invite,
        (HistoryVisibility::Joined, _) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Visibility, membership when it happened, joined later: who sees it.
    #[test]
    fn the_table_of_the_specification() {
        use HistoryVisibility::{Invited, Joined, Shared, WorldReadable};
        let memberships = [Membership::Join, Membership::Invite, Membership::Leave, Membership::Ban, Membership::Knock];
        for (visibility, later, expected) in [
            (WorldReadable, false, [true, true, true, true, true]),
            (Shared, true, [true, true, true, true, true]),
            (Shared, false, [true, false, false, false, false]),
            (Invited, true, [true, true, false, false, false]),
            (Invited, false, [true, true, false, false, false]),
            (Joined, true, [true, false, false, false, false]),
            (Joined, false, [true, false, false, false, false]),
        ] {
            let seen = memberships.map(|membership| sees(At { visibility, membership }, later));
            assert_eq!(seen, expected, "{visibility:?}, joined later: {later}");
        }
    }
}
