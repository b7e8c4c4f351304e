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
    own::{OwnRoomNews, room_events},
    response::{EphemeralEvents, Events, InvitedRoom, JoinedRoom, KnockedRoom, LeftRoom, Rooms, Sections},
    room::{Section, State, Stretch, Wanted},
    wait::Range,
};

/// How one room appears.
enum Shown {
    Joined(JoinedRoom),
    Invited(InvitedRoom),
    Knocked(KnockedRoom),
    Left(LeftRoom),
    Nothing,
}

/// What all rooms of an answer have in common.
#[derive(Clone, Copy)]
struct Answer<'a> {
    by: &'a Session,
    filter: &'a Filter,
    limit: usize,
    /// Receipts of one room.
    receipts: usize,
    upto: Position,
}

impl Syncer {
    /// All rooms of `by` as of `upto`, and what else concerns the user.
    pub(crate) async fn initial(&self, by: &Session, upto: Position, filter: &Filter) -> Result<Sections, SyncError> {
        let range = Range { since: Position::ZERO, upto };
        let mut own = self.own_news(by.user, range, filter).await?;
        let mut rooms = self.rooms.user_rooms_at(by.user, upto).await?;
        rooms.retain(|room| {
            let shown = match room.membership {
                Membership::Join => true,
                // One that has been answered since then is for the next sync, which tells the answer.
                Membership::Invite | Membership::Knock => !room.stripped.is_empty(),
                Membership::Leave | Membership::Ban => {
                    filter.include_leave() && room.left > Position::ZERO && !room.forgotten
                }
            };
            shown && filter.room(&room.room_id)
        });
        let (limit, receipts) = (filter.timeline_limit(rooms.len()), Filter::receipts_limit(rooms.len()));
        let answer = Answer { by, filter, limit, receipts, upto };
        let named = self.named(&rooms).await?;
        let moved = self.receipts_ever(&rooms, filter).await?;
        let account_data = own.of_no_room(filter)?;
        let rooms = rooms.into_iter().map(|room| (own.room(room.room), room)).zip(named).zip(moved);
        let shown = stream::iter(rooms).map(|(((own, user_room), room), moved)| async move {
            let room_id = user_room.room_id.clone();
            Ok((room_id, self.initial_room(answer, user_room, room, moved, own).await?))
        });
        let rooms = shown.buffered(limits::ROOMS_AT_ONCE).try_fold(Rooms::default(), add).await?;
        Ok(Sections { rooms, account_data })
    }

    /// For each of `rooms`, whether a receipt ever moved there. At most one read.
    async fn receipts_ever(&self, rooms: &[UserRoom], filter: &Filter) -> Result<Vec<bool>, SyncError> {
        if !filter.receipts() || rooms.is_empty() {
            return Ok(vec![false; rooms.len()]);
        }
        let ids: Vec<u64> = rooms.iter().map(|room| room.room).collect();
        let cells = self.rooms.receipt_cells(&ids).await?;
        Ok(cells.into_iter().map(|cell| cell > Position::ZERO).collect())
    }

    /// What happened in the rooms of `by` and for them alone in `range`; with `full_state` all state of all joined rooms.
    pub(crate) async fn incremental(
        &self,
        by: &Session,
        range: Range,
        filter: &Filter,
        full_state: bool,
    ) -> Result<Sections, SyncError> {
        let mut own = self.own_news(by.user, range, filter).await?;
        let mut changed = if full_state {
            self.all_rooms(by.user, range).await?
        } else if range.since < range.upto {
            self.changed_rooms(by.user, range, &own.rooms(), filter.receipts()).await?
        } else {
            Vec::new()
        };
        changed.retain(|changed| filter.room(&changed.room.room_id));
        let (limit, receipts) = (filter.timeline_limit(changed.len()), Filter::receipts_limit(changed.len()));
        let answer = Answer { by, filter, limit, receipts, upto: range.upto };
        let user_rooms: Vec<UserRoom> = changed.iter().map(|changed| changed.room.clone()).collect();
        let named = self.named(&user_rooms).await?;
        let account_data = own.of_no_room(filter)?;
        let changed = changed.into_iter().map(|changed| (own.room(changed.room.room), changed)).zip(named);
        let shown = stream::iter(changed).map(|((own, changed), room)| async move {
            let room_id = changed.room.room_id.clone();
            Ok((room_id, self.changed_room(answer, range.since, full_state, changed, room, own).await?))
        });
        let rooms = shown.buffered(limits::ROOMS_AT_ONCE).try_fold(Rooms::default(), add).await?;
        Ok(Sections { rooms, account_data })
    }

    async fn named(&self, rooms: &[UserRoom]) -> Result<Vec<Arc<Room>>, SyncError> {
        let ids: Vec<u64> = rooms.iter().map(|room| room.room).collect();
        let mut named = Vec::with_capacity(ids.len());
        for ids in ids.chunks(GET_KEYS) {
            named.extend(self.rooms.rooms_by_short_id(ids).await?);
        }
        Ok(named)
    }

    async fn initial_room(
        &self,
        answer: Answer<'_>,
        user_room: UserRoom,
        room: Arc<Room>,
        receipts_moved: bool,
        own: OwnRoomNews,
    ) -> Result<Shown, SyncError> {
        let Answer { by, filter, limit, upto, .. } = answer;
        let joined = user_room.membership == Membership::Join;
        let upto = if joined { upto } else { user_room.left };
        let (since, timeline, state) = (Position::ZERO, Stretch::Tail, State::All);
        let left = user_room.left;
        let receipts = receipts_moved.then_some(Position::ZERO);
        let wanted = Wanted { by, filter, room, limit, since, upto, timeline, state, joined, left, receipts };
        match user_room.membership {
            Membership::Join => {
                let section = self.section(&wanted).await?;
                self.joined(answer, &wanted, Some(section), own, true).await
            }
            Membership::Invite => Ok(invited(user_room)),
            Membership::Leave | Membership::Ban => self.left(&wanted, own).await,
            Membership::Knock => Ok(knocked(user_room)),
        }
    }

    async fn changed_room(
        &self,
        answer: Answer<'_>,
        since: Position,
        full_state: bool,
        changed: ChangedRoom,
        room: Arc<Room>,
        mut own: OwnRoomNews,
    ) -> Result<Shown, SyncError> {
        let Answer { by, filter, limit, upto, .. } = answer;
        let ChangedRoom { room: user_room, stay, news } = changed;
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
        // Who came has no receipts of the room, or was told none of those that moved meanwhile.
        let receipts_since = if stay.throughout { since } else { Position::ZERO };
        let receipts = (news.receipts && filter.receipts()).then_some(receipts_since);
        let wanted = Wanted { by, filter, room, limit, since, upto, timeline, state, joined, left, receipts };
        match user_room.membership {
            Membership::Join => {
                if !stay.throughout {
                    own = self.own_of_room(by, wanted.room.short, upto, filter).await?;
                }
                let section = if news.events { Some(self.section(&wanted).await?) } else { None };
                self.joined(answer, &wanted, section, own, full_state).await
            }
            Membership::Invite => Ok(invited(user_room)),
            Membership::Leave | Membership::Ban => self.left(&wanted, own).await,
            Membership::Knock => Ok(knocked(user_room)),
        }
    }

    async fn joined(
        &self,
        answer: Answer<'_>,
        wanted: &Wanted<'_>,
        section: Option<Section>,
        own: OwnRoomNews,
        even_empty: bool,
    ) -> Result<Shown, SyncError> {
        let Wanted { by, filter, room, upto, .. } = wanted;
        let mut receipts = own.receipts;
        if let Some(since) = wanted.receipts {
            let range = Range { since, upto: *upto };
            receipts = self.receipt_news(by, room.short, range, answer.receipts, receipts).await?;
        }
        let mut ephemeral = EphemeralEvents::default();
        if filter.ephemeral_in(&room.room_id) {
            ephemeral.receipts(receipts);
        }
        let account_data = room_events(own.account_data, &room.room_id, filter)?;
        let section = section.filter(|section| even_empty || !section.is_empty());
        if section.is_none() && ephemeral.is_empty() && account_data.is_empty() {
            return Ok(Shown::Nothing);
        }
        let members_changed = section.as_ref().is_some_and(|section| section.members_changed);
        let summary = if members_changed { Some(self.summary(wanted).await?) } else { None };
        let (timeline, state) = section.map(|section| (section.timeline, section.state)).unzip();
        Ok(Shown::Joined(JoinedRoom { timeline, state, summary, ephemeral, account_data }))
    }

    async fn left(&self, wanted: &Wanted<'_>, own: OwnRoomNews) -> Result<Shown, SyncError> {
        let Section { timeline, state, .. } = self.section(wanted).await?;
        let account_data = room_events(own.account_data, &wanted.room.room_id, wanted.filter)?;
        Ok(Shown::Left(LeftRoom { timeline, state, account_data }))
    }
}

fn invited(room: UserRoom) -> Shown {
    Shown::Invited(InvitedRoom { invite_state: Events { events: room.stripped } })
}

fn knocked(room: UserRoom) -> Shown {
    Shown::Knocked(KnockedRoom { knock_state: Events { events: room.stripped } })
}

async fn add(mut rooms: Rooms, (room_id, shown): (OwnedRoomId, Shown)) -> Result<Rooms, SyncError> {
    match shown {
        Shown::Joined(room) => drop(rooms.join.insert(room_id, room)),
        Shown::Invited(room) => drop(rooms.invite.insert(room_id, room)),
        Shown::Knocked(room) => drop(rooms.knock.insert(room_id, room)),
        Shown::Left(room) => drop(rooms.leave.insert(room_id, room)),
        Shown::Nothing => {}
    }
    Ok(rooms)
}
