//! The rooms section, of an initial and of an incremental answer.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use ruma::OwnedRoomId;
use wardstead_accounts::Session;
use wardstead_engine::Position;
use wardstead_limits::{engine::GET_KEYS, sync as limits};
use wardstead_rooms::{Membership, Room, UserRoom};

use crate::{
    SyncError, Syncer,
    changes::{ChangedRoom, Stay},
    filter::Filter,
    response::{Events, InvitedRoom, JoinedRoom, LeftRoom, Rooms},
    room::{State, Stretch, Wanted},
    wait::Range,
};

/// How one room appears.
enum Shown {
    Joined(JoinedRoom),
    Invited(InvitedRoom),
    Left(LeftRoom),
    Nothing,
}

/// What all rooms of an answer have in common.
#[derive(Clone, Copy)]
struct Answer<'a> {
    by: &'a Session,
    filter: &'a Filter,
    limit: usize,
    upto: Position,
}

impl Syncer {
    /// All rooms of `by` as of `upto`.
    pub(crate) async fn initial(&self, by: &Session, upto: Position, filter: &Filter) -> Result<Rooms, SyncError> {
        let mut rooms = self.rooms.user_rooms_at(by.user, upto).await?;
        rooms.retain(|room| {
            let shown = match room.membership {
                Membership::Join => true,
                // One that has been answered since then is for the next sync, which tells the answer.
                Membership::Invite => !room.invite_state.is_empty(),
                Membership::Leave | Membership::Ban => filter.include_leave() && room.left > Position::ZERO,
                Membership::Knock => false,
            };
            shown && filter.room(&room.room_id)
        });
        let answer = Answer { by, filter, limit: filter.timeline_limit(rooms.len()), upto };
        let named = self.named(&rooms).await?;
        let shown = stream::iter(rooms.into_iter().zip(named)).map(|(user_room, room)| async move {
            let room_id = user_room.room_id.clone();
            Ok((room_id, self.initial_room(answer, user_room, room).await?))
        });
        shown.buffered(limits::ROOMS_AT_ONCE).try_fold(Rooms::default(), add).await
    }

    /// What happened in the rooms of `by` in `range`; with `full_state` all state of all joined rooms.
    pub(crate) async fn incremental(
        &self,
        by: &Session,
        range: Range,
        filter: &Filter,
        full_state: bool,
    ) -> Result<Rooms, SyncError> {
        let mut changed = if full_state {
            self.all_rooms(by.user, range).await?
        } else if range.since < range.upto {
            self.changed_rooms(by.user, range).await?
        } else {
            Vec::new()
        };
        changed.retain(|changed| filter.room(&changed.room.room_id));
        let answer = Answer { by, filter, limit: filter.timeline_limit(changed.len()), upto: range.upto };
        let user_rooms: Vec<UserRoom> = changed.iter().map(|changed| changed.room.clone()).collect();
        let named = self.named(&user_rooms).await?;
        let shown = stream::iter(changed.into_iter().zip(named)).map(|(changed, room)| async move {
            let room_id = changed.room.room_id.clone();
            Ok((room_id, self.changed_room(answer, range.since, full_state, changed, room).await?))
        });
        shown.buffered(limits::ROOMS_AT_ONCE).try_fold(Rooms::default(), add).await
    }

    async fn named(&self, rooms: &[UserRoom]) -> Result<Vec<Arc<Room>>, SyncError> {
        let ids: Vec<u64> = rooms.iter().map(|room| room.room).collect();
        let mut named = Vec::with_capacity(ids.len());
        for ids in ids.chunks(GET_KEYS) {
            named.extend(self.rooms.rooms_by_short_id(ids).await?);
        }
        Ok(named)
    }

    async fn initial_room(&self, answer: Answer<'_>, user_room: UserRoom, room: Arc<Room>) -> Result<Shown, SyncError> {
        let Answer { by, filter, limit, upto } = answer;
        let joined = user_room.membership == Membership::Join;
        let upto = if joined { upto } else { user_room.left };
        let (since, timeline, state) = (Position::ZERO, Stretch::Tail, State::All);
        let left = user_room.left;
        let wanted = Wanted { by, filter, room, limit, since, upto, timeline, state, joined, left };
        match user_room.membership {
            Membership::Join => self.joined(&wanted, true).await,
            Membership::Invite => Ok(invited(user_room)),
            Membership::Leave | Membership::Ban => self.left(&wanted).await,
            Membership::Knock => Ok(Shown::Nothing),
        }
    }

    async fn changed_room(
        &self,
        answer: Answer<'_>,
        since: Position,
        full_state: bool,
        changed: ChangedRoom,
        room: Arc<Room>,
    ) -> Result<Shown, SyncError> {
        let Answer { by, filter, limit, upto } = answer;
        let ChangedRoom { room: user_room, stay } = changed;
        let joined = user_room.membership == Membership::Join;
        let left = stay.left.unwrap_or_default();
        let (timeline, state) = match (joined, stay) {
            (true, Stay { throughout: true, .. }) if full_state => (Stretch::Throughout, State::All),
            (true, Stay { throughout: true, .. }) => (Stretch::Throughout, State::SinceToken),
            // Who went and came back may not see what happened meanwhile, and the state may have changed in that.
            (true, Stay { began_inside: true, .. }) => (Stretch::Since, State::All),
            (false, Stay { began_inside: true, .. }) => (Stretch::Since, State::SinceToken),
            // Came, or came and went.
            (true, _) | (false, Stay { left: Some(_), .. }) => (Stretch::Tail, State::All),
            (false, _) => (Stretch::Own, State::Nothing),
        };
        // Of what happened after leaving, only the user's own membership (a ban) is shown.
        let upto = if joined { upto } else { user_room.position };
        let wanted = Wanted { by, filter, room, limit, since, upto, timeline, state, joined, left };
        match user_room.membership {
            Membership::Join => self.joined(&wanted, full_state).await,
            Membership::Invite => Ok(invited(user_room)),
            Membership::Leave | Membership::Ban => self.left(&wanted).await,
            Membership::Knock => Ok(Shown::Nothing),
        }
    }

    async fn joined(&self, wanted: &Wanted<'_>, even_empty: bool) -> Result<Shown, SyncError> {
        let section = self.section(wanted).await?;
        if section.is_empty() && !even_empty {
            return Ok(Shown::Nothing);
        }
        let summary = if section.members_changed { Some(self.summary(wanted).await?) } else { None };
        let (timeline, state) = (Some(section.timeline), Some(section.state));
        Ok(Shown::Joined(JoinedRoom { timeline, state, summary, ephemeral: None }))
    }

    async fn left(&self, wanted: &Wanted<'_>) -> Result<Shown, SyncError> {
        let section = self.section(wanted).await?;
        Ok(Shown::Left(LeftRoom { timeline: section.timeline, state: section.state }))
    }
}

fn invited(room: UserRoom) -> Shown {
    Shown::Invited(InvitedRoom { invite_state: Events { events: room.invite_state } })
}

async fn add(mut rooms: Rooms, (room_id, shown): (OwnedRoomId, Shown)) -> Result<Rooms, SyncError> {
    match shown {
        Shown::Joined(room) => drop(rooms.join.insert(room_id, room)),
        Shown::Invited(room) => drop(rooms.invite.insert(room_id, room)),
        Shown::Left(room) => drop(rooms.leave.insert(room_id, room)),
        Shown::Nothing => {}
    }
    Ok(rooms)
}
