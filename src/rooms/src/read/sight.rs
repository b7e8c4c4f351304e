//! Which events a user sees (Matrix specification, Client-Server API, Room History Visibility, Server behaviour).
//!
//! The one way from an event to a client: only what is [`Seen`] can be written for one, and only a [`Sight`] makes that.

use std::{collections::HashMap, ops::Deref, sync::Arc};

use ruma::{OwnedUserId, UserId, events::TimelineEventType};
use wardstead_accounts::Session;
use wardstead_engine::Position;

use crate::{
    Access, HistoryVisibility, Membership, Room, RoomError, Rooms, StoredEvent,
    event::content::{self, history_visibility},
    state::{key, store::Committed},
};

use super::erased::Erased;

/// An event that somebody may see. Dereferences to the [`StoredEvent`].
#[derive(Clone, Debug)]
pub struct Seen {
    event: Arc<StoredEvent>,
    /// What is shown with it of the events that relate to it: members of a JSON object.
    relations: Option<Arc<str>>,
}

impl Seen {
    /// The event.
    #[must_use]
    pub fn event(&self) -> &Arc<StoredEvent> {
        &self.event
    }

    /// Without what relates to it.
    pub(super) fn plain(event: Arc<StoredEvent>) -> Self {
        Self { event, relations: None }
    }

    pub(crate) fn relations(&self) -> Option<&str> {
        self.relations.as_deref()
    }

    pub(super) fn show_with(&mut self, relations: String) {
        self.relations = Some(relations.into());
    }
}

impl Deref for Seen {
    type Target = StoredEvent;

    fn deref(&self) -> &StoredEvent {
        &self.event
    }
}

/// One user looking at one room's events. Remembers what it found for each snapshot, so that a page of messages costs one
/// look at the state.
#[derive(Debug)]
pub struct Sight {
    room: Arc<Room>,
    user: u64,
    user_id: OwnedUserId,
    joined: bool,
    left: Position,
    /// Positions after the first up to the second at which the user was in the room.
    throughout: Option<(Position, Position)>,
    /// What is done to the user while they are not in the room is told although the rules hide it.
    tells_own: bool,
    /// What came later is not shown.
    upto: Option<Position>,
    known: HashMap<u64, At>,
    pub(super) erased: Erased,
}

/// The two things that decide, at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct At {
    visibility: HistoryVisibility,
    membership: Membership,
}

impl Sight {
    /// The sight of `by`, who has `access`.
    #[must_use]
    pub fn new(by: &Session, access: &Access) -> Self {
        let joined = access.membership == Some(Membership::Join);
        Self { tells_own: false, ..Self::of(Arc::clone(&access.room), by, joined, access.left) }
    }

    /// The sight of `by`, who is `joined` now or stopped being so at `left` (zero: never was), for a sync: it tells in any case what
    /// is done to the user's own membership, an invitation taken back, a ban.
    #[must_use]
    pub fn of(room: Arc<Room>, by: &Session, joined: bool, left: Position) -> Self {
        Self {
            room,
            user: by.user,
            user_id: by.user_id.clone(),
            joined,
            left,
            throughout: None,
            tells_own: true,
            upto: None,
            known: HashMap::new(),
            erased: Erased::default(),
        }
    }

    /// The sight of `by`, who was in the room at all positions after `since` up to `upto`: nothing of those is hidden from them, and
    /// no state has to be read to know that. Whatever else it is made to look at is looked at as by [`Self::of`].
    #[must_use]
    pub fn throughout(room: Arc<Room>, by: &Session, since: Position, upto: Position) -> Self {
        Self { throughout: Some((since, upto)), ..Self::of(room, by, true, Position::ZERO) }
    }

    /// The same, for an answer that shows nothing later than `upto`.
    #[must_use]
    pub fn up_to(self, upto: Position) -> Self {
        Self { upto: Some(upto), ..self }
    }

    /// The room.
    #[must_use]
    pub fn room(&self) -> &Arc<Room> {
        &self.room
    }

    /// Whether the user is in the room now, so that nothing is hidden from them that everybody could see who was in it.
    pub(super) fn is_joined(&self) -> bool {
        self.joined
    }

    /// Whether an event at `position` (zero: not live) is too late for the answer.
    pub(super) fn is_later(&self, position: Position) -> bool {
        self.upto.is_some_and(|upto| position > upto)
    }

    /// `event` and what the user was when it had happened, if the user may see it.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn look(
        &mut self,
        rooms: &Rooms,
        event: Arc<StoredEvent>,
    ) -> Result<Option<(Seen, Membership)>, RoomError> {
        if !event.is_shown() || event.room != self.room.short || self.is_later(event.position) {
            return Ok(None);
        }
        if self.was_there(&event) {
            return Ok(Some((Seen { event, relations: None }, Membership::Join)));
        }
        let before = self.at(rooms, event.state_before).await?;
        let mut after = before;
        let own = event.is_state(&TimelineEventType::RoomMember, self.user_id.as_str());
        if event.is_state(&TimelineEventType::RoomHistoryVisibility, "") {
            after.visibility = history_visibility(Some(&event.event));
        } else if own {
            after.membership = content::membership(&event.event).unwrap_or(Membership::Leave);
        }
        let joined_later = self.joined_after(event.position);
        // What is done to the user while they are not in the room, only a sync tells.
        let told = own && self.tells_own && !joined_later;
        let seen = told || sees(before, joined_later) || sees(after, joined_later);
        if !seen {
            return Ok(None);
        }
        let event = if own || saw(before) || saw(after) { event } else { self.unless_erased(rooms, event).await? };
        Ok(Some((Seen { event, relations: None }, after.membership)))
    }

    /// Whether the user sees an event, which is neither state nor later than the answer, by the snapshot before it and its position.
    pub(super) async fn sees(
        &mut self,
        rooms: &Rooms,
        state_before: u64,
        position: Position,
    ) -> Result<bool, RoomError> {
        let joined_later = self.joined_after(position);
        Ok(!self.is_later(position) && sees(self.at(rooms, state_before).await?, joined_later))
    }

    /// Whether it is known without a look at any state that the user was in the room when `event` happened.
    pub(super) fn was_there(&self, event: &StoredEvent) -> bool {
        self.throughout.is_some_and(|(since, upto)| since < event.position && event.position <= upto)
    }

    /// Short id of the user.
    pub(super) fn user(&self) -> u64 {
        self.user
    }

    /// The user.
    pub(super) fn user_id(&self) -> &UserId {
        &self.user_id
    }

    /// The moments whose state the user is shown as the room's: the newest, or that of their leaving, and both where everybody may read.
    /// `None`: now.
    pub(super) fn state_shown(&self) -> Vec<Option<Position>> {
        let left = (!self.joined && self.left > Position::ZERO).then_some(self.left);
        let left = left.map(|left| Some(self.upto.map_or(left, |upto| upto.min(left))));
        std::iter::once(self.upto).chain(left).collect()
    }

    fn joined_after(&self, position: Position) -> bool {
        self.joined || position < self.left
    }

    pub(super) async fn at(&mut self, rooms: &Rooms, snapshot: u64) -> Result<At, RoomError> {
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

/// Whether the user saw the event when it happened, whatever came later.
pub(super) fn saw(at: At) -> bool {
    matches!((at.visibility, at.membership), (_, Membership::Join) | (HistoryVisibility::Invited, Membership::Invite))
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
