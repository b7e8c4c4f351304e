//! The rooms section, of an initial and of an incremental answer.

use std::{collections::BTreeSet, sync::Arc};

use futures::{StreamExt, TryStreamExt, stream};
use ruma::OwnedRoomId;
use wardstead_accounts::Session;
use wardstead_engine::Position;
use wardstead_limits::{engine::GET_KEYS, sync as limits};
use wardstead_rooms::{Membership, Room, UserRoom};

use crate::{
    SyncError, Syncer,
    changes::{ChangedRoom, OwnRooms, Stay},
    filter::Filter,
    ignored::is_unwelcome,
    lazy::Lazy,
    own::{OwnRoomNews, room_events},
    response::{
        EphemeralEvents, Events, InvitedRoom, JoinedRoom, KnockedRoom, LeftRoom, Rooms, Sections, State, StateName,
    },
    room::{Section, StateTold, Stretch, Wanted},
    unread::Unread,
    wait::{Question, Range},
};

/// How one room appears.
pub(crate) enum Shown {
    Joined(JoinedRoom),
    Invited(InvitedRoom),
    Knocked(KnockedRoom),
    Left(LeftRoom),
    Nothing,
}

/// What all rooms of an answer have in common.
#[derive(Clone, Copy)]
pub(crate) struct Answer<'a> {
    pub(crate) by: &'a Session,
    pub(crate) filter: &'a Filter,
    /// Events of one timeline, and rows to look at for them.
    pub(crate) limit: usize,
    pub(crate) scan: usize,
    /// Receipts of one room.
    pub(crate) receipts: usize,
    pub(crate) upto: Position,
    pub(crate) state_name: StateName,
    pub(crate) lazy: Option<&'a Lazy>,
}

/// What is told of a room once more, whether something happened in it or not.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Again {
    /// All of its state.
    pub(crate) state: bool,
    /// The end of its timeline.
    pub(crate) timeline: bool,
}

impl<'a> Answer<'a> {
    /// One that shows `rooms` rooms.
    fn new(question: &Question<'a>, lazy: Option<&'a Lazy>, upto: Position, rooms: usize) -> Self {
        let Question { by, filter, state_name, .. } = *question;
        let (limit, scan) = (filter.timeline_limit(rooms), Filter::timeline_scan(rooms));
        Self { by, filter, limit, scan, receipts: Filter::receipts_limit(rooms), upto, state_name, lazy }
    }
}

impl Syncer {
    /// All rooms of the user as of `upto`, and what else concerns them. `members_since`: up to when the client was told changes of
    /// memberships; zero: it is new.
    pub(crate) async fn initial(
        &self,
        question: &Question<'_>,
        upto: Position,
        members_since: Position,
    ) -> Result<Sections, SyncError> {
        let Question { by, filter, .. } = *question;
        let range = Range { since: Position::ZERO, upto };
        let mut own = self.own_news(by, range).await?;
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
            shown && filter.room(&room.room_id) && !is_unwelcome(room, by, filter)
        });
        let lazy = question.lazy();
        let answer = Answer::new(question, lazy.as_ref(), upto, rooms.len());
        let named = self.named(&rooms).await?;
        let moved = self.receipts_ever(&rooms, filter).await?;
        let account_data = own.of_no_room(filter)?;
        let rooms = rooms.into_iter().map(|room| (own.room(room.room), room)).zip(named).zip(moved);
        let shown = stream::iter(rooms).map(|(((own, user_room), room), moved)| async move {
            let room_id = user_room.room_id.clone();
            Ok((room_id, self.initial_room(answer, members_since, user_room, room, moved, own).await?))
        });
        let rooms = shown.buffered(limits::ROOMS_AT_ONCE).try_fold(Rooms::default(), add).await?;
        let members = lazy.map(Lazy::into_told).unwrap_or_default();
        Ok(Sections { rooms, account_data, members, ..Sections::default() })
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

    /// What happened in the rooms of the user and for them alone in `range`; with `full_state` all state of all joined rooms.
    pub(crate) async fn incremental(
        &self,
        question: &Question<'_>,
        range: Range,
        full_state: bool,
    ) -> Result<Sections, SyncError> {
        let Question { by, filter, .. } = *question;
        let mut own = self.own_news(by, range).await?;
        // Who asks for the rooms that were left is told what becomes of their account data; who does not has none of them.
        let archived = if filter.include_leave() { own.rooms_with_account_data() } else { BTreeSet::new() };
        let own_rooms = OwnRooms { all: own.rooms(), archived };
        let mut changed = if full_state {
            self.all_rooms(by.user, range, &own_rooms).await?
        } else if range.since < range.upto {
            self.changed_rooms(by.user, range, &own_rooms, true).await?
        } else {
            Vec::new()
        };
        changed.retain(|changed| filter.room(&changed.room.room_id) && !is_unwelcome(&changed.room, by, filter));
        let lazy = question.lazy();
        let answer = Answer::new(question, lazy.as_ref(), range.upto, changed.len());
        let user_rooms: Vec<UserRoom> = changed.iter().map(|changed| changed.room.clone()).collect();
        let named = self.named(&user_rooms).await?;
        let account_data = own.of_no_room(filter)?;
        let changed = changed.into_iter().map(|changed| (own.room(changed.room.room), changed)).zip(named);
        let shown = stream::iter(changed).map(|((own, changed), room)| async move {
            let room_id = changed.room.room_id.clone();
            let again = Again { state: full_state, timeline: false };
            Ok((room_id, self.changed_room(answer, range.since, again, changed, room, own).await?))
        });
        let rooms = shown.buffered(limits::ROOMS_AT_ONCE).try_fold(Rooms::default(), add).await?;
        let members = lazy.map(Lazy::into_told).unwrap_or_default();
        Ok(Sections { rooms, account_data, members, ..Sections::default() })
    }

    pub(crate) async fn named(&self, rooms: &[UserRoom]) -> Result<Vec<Arc<Room>>, SyncError> {
        let ids: Vec<u64> = rooms.iter().map(|room| room.room).collect();
        let mut named = Vec::with_capacity(ids.len());
        for ids in ids.chunks(GET_KEYS) {
            named.extend(self.rooms.rooms_by_short_id(ids).await?);
        }
        Ok(named)
    }

    pub(crate) async fn initial_room(
        &self,
        answer: Answer<'_>,
        members_since: Position,
        user_room: UserRoom,
        room: Arc<Room>,
        receipts_moved: bool,
        own: OwnRoomNews,
    ) -> Result<Shown, SyncError> {
        let Answer { by, filter, limit, scan, upto, state_name, lazy, .. } = answer;
        let joined = user_room.membership == Membership::Join;
        let upto = if joined { upto } else { user_room.left };
        let (since, timeline, state) = (Position::ZERO, Stretch::Tail, StateTold::All);
        let left = user_room.left;
        let receipts = receipts_moved.then_some(Position::ZERO);
        let wanted = Wanted {
            by,
            filter,
            room,
            limit,
            scan,
            since,
            upto,
            timeline,
            state,
            state_name,
            lazy,
            members_since,
            joined,
            left,
            receipts,
        };
        match user_room.membership {
            Membership::Join => {
                let section = self.section(&wanted).await?;
                self.joined(answer, &wanted, Some(section), own, true).await
            }
            Membership::Invite | Membership::Knock => self.asked_in(&wanted.room, user_room).await,
            Membership::Leave | Membership::Ban => self.left(&wanted, own).await,
        }
    }

    pub(crate) async fn changed_room(
        &self,
        answer: Answer<'_>,
        since: Position,
        again: Again,
        changed: ChangedRoom,
        room: Arc<Room>,
        mut own: OwnRoomNews,
    ) -> Result<Shown, SyncError> {
        let Answer { by, filter, limit, scan, upto, state_name, lazy, .. } = answer;
        let ChangedRoom { room: user_room, stay, news, archived } = changed;
        if archived {
            return Ok(archived_room(own, &room, answer)?);
        }
        let joined = user_room.membership == Membership::Join;
        let left = stay.left.unwrap_or_default();
        let (timeline, state) = match (joined, stay) {
            (true, Stay { throughout: true, .. }) => {
                let timeline = if again.timeline { Stretch::Longer } else { Stretch::Throughout };
                (timeline, if again.state { StateTold::All } else { StateTold::SinceToken })
            }
            // Who went and came back may not see what happened meanwhile, and the state may have changed in that.
            (true, Stay { began_inside: true, .. }) => (Stretch::Since, StateTold::All),
            (false, Stay { began_inside: true, .. }) => (Stretch::Since, StateTold::SinceToken),
            // Came, or came and went.
            (true, _) | (false, Stay { left: Some(_), .. }) => (Stretch::Tail, StateTold::All),
            (false, _) => (Stretch::Own, StateTold::Nothing),
        };
        // Of what happened after leaving, only the user's own membership (a ban) is shown.
        let upto = if joined { upto } else { user_room.position };
        // Who came has no receipts of the room, or was told none of those that moved meanwhile.
        let receipts_since = if stay.throughout { since } else { Position::ZERO };
        let receipts = (news.receipts && filter.receipts()).then_some(receipts_since);
        let members_since = match (state, lazy) {
            (StateTold::All, Some(_)) if stay.began_inside => since,
            // It may show who was there in earlier stays.
            (StateTold::All, Some(_)) if user_room.left > Position::ZERO => {
                self.rooms.first_joined(by.user, room.short).await?
            }
            _ => Position::ZERO,
        };
        let wanted = Wanted {
            by,
            filter,
            room,
            limit,
            scan,
            since,
            upto,
            timeline,
            state,
            state_name,
            lazy,
            members_since,
            joined,
            left,
            receipts,
        };
        match user_room.membership {
            Membership::Join => {
                if !stay.throughout {
                    own = self.own_of_room(by, wanted.room.short, upto, filter).await?;
                }
                let section = if news.events { Some(self.section(&wanted).await?) } else { None };
                self.joined(answer, &wanted, section, own, again.state || again.timeline).await
            }
            Membership::Invite | Membership::Knock => self.asked_in(&wanted.room, user_room).await,
            Membership::Leave | Membership::Ban => self.left(&wanted, own).await,
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
        let mut recounted = own.recounted || !own.receipts.is_empty();
        let mut receipts = if filter.receipts() { own.receipts } else { Vec::new() };
        if let Some(since) = wanted.receipts {
            let range = Range { since, upto: *upto };
            receipts = self.receipt_news(by, room.short, range, answer.receipts, receipts).await?;
            recounted |= receipts.iter().any(|receipt| receipt.user == by.user);
        }
        receipts.retain(|receipt| filter.ephemeral_of(&receipt.user_id));
        let mut ephemeral = EphemeralEvents::default();
        if filter.ephemeral_in(&room.room_id) {
            ephemeral.receipts(receipts);
        }
        let mut account_data = room_events(own.account_data, &room.room_id, filter)?;
        account_data.whole = wanted.since == Position::ZERO;
        let looked = section.is_some();
        let section = section.filter(|section| even_empty || !section.is_empty());
        let hidden = looked && section.is_none();
        let mut unread = Unread::default();
        if looked || recounted || !filter.receipts() || filter.unread_threads() {
            (unread, recounted) = self.unread(wanted, hidden).await?;
        }
        if section.is_none() && ephemeral.is_empty() && account_data.is_empty() && !recounted {
            return Ok(Shown::Nothing);
        }
        let nothing = || State::new(wanted.state_name, Vec::new());
        let (timeline, state, summary) = match section {
            Some(Section { timeline, state, summary }) => (Some(timeline), Some(state), summary),
            None => (None, wanted.state_name.is_after().then(nothing), None),
        };
        Ok(Shown::Joined(JoinedRoom { timeline, state, summary, unread, ephemeral, account_data }))
    }

    /// An invitation or a knock.
    async fn asked_in(&self, room: &Room, user_room: UserRoom) -> Result<Shown, SyncError> {
        let events = self.rooms.stripped_state(room, &user_room).await?;
        let stripped = Events { events, whole: false };
        Ok(if user_room.membership == Membership::Invite {
            Shown::Invited(InvitedRoom { invite_state: stripped })
        } else {
            Shown::Knocked(KnockedRoom { knock_state: stripped })
        })
    }

    async fn left(&self, wanted: &Wanted<'_>, own: OwnRoomNews) -> Result<Shown, SyncError> {
        let Section { timeline, state, .. } = self.section(wanted).await?;
        let account_data = room_events(own.account_data, &wanted.room.room_id, wanted.filter)?;
        Ok(Shown::Left(LeftRoom { timeline: Some(timeline), state: Some(state), account_data }))
    }
}

/// A room that was left before: its account data.
fn archived_room(own: OwnRoomNews, room: &Room, answer: Answer<'_>) -> Result<Shown, serde_json::Error> {
    let account_data = room_events(own.account_data, &room.room_id, answer.filter)?;
    if account_data.is_empty() {
        return Ok(Shown::Nothing);
    }
    let state = answer.state_name.is_after().then(|| State::new(answer.state_name, Vec::new()));
    Ok(Shown::Left(LeftRoom { timeline: None, state, account_data }))
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
