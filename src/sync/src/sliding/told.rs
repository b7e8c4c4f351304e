//! One room of an answer: what a sync tells of it, in the form of a sliding sync.

use std::sync::Arc;

use ruma::OwnedRoomId;
use serde::Deserialize;
use serde_json::value::RawValue;
use wardstead_accounts::Session;
use wardstead_engine::Position;
use wardstead_limits::{sliding as limits, sync};
use wardstead_rooms::{Asked, EventFilter, Membership, Room, Sight, StateAt, UserRoom};

use super::{
    answer::{Hero, Named, RoomTold, SlidingForm},
    lists::InView,
};
use crate::{
    SyncError, Syncer,
    changes::ChangedRoom,
    filter::Filter,
    lazy::Lazy,
    own::OwnRoomNews,
    response::{BUMPING, JoinedRoom, LeftRoom, State, StateName, Summary, Timeline},
    rooms::{Again, Answer, Shown},
};

/// Why a room is told.
pub(super) enum Why {
    /// The client does not have it, or is told it from the start.
    New(UserRoom),
    /// Something happened in it after the position, or more is wanted of it.
    Changed { changed: ChangedRoom, since: Position, again: Again, own: Option<OwnRoomNews> },
    /// Only what else is told of it.
    Beside,
}

/// A room that is to be told.
pub(super) struct Plan {
    pub(super) view: InView,
    pub(super) why: Why,
    /// Whether it is a direct room, where that is told.
    pub(super) direct: Option<bool>,
}

/// What was told.
pub(super) struct Told {
    pub(super) room_id: OwnedRoomId,
    /// `None`: nothing, but for extensions.
    pub(super) room: Option<RoomTold>,
    pub(super) account_data: Vec<Box<RawValue>>,
    pub(super) receipts: Option<Box<RawValue>>,
    /// The client's timeline begins anew.
    pub(super) limited: bool,
    pub(super) membership: Membership,
}

/// What all rooms of an answer have in common.
#[derive(Clone, Copy)]
pub(super) struct Common<'a> {
    pub(super) by: &'a Session,
    pub(super) filter: &'a Filter,
    pub(super) lazy: &'a Lazy,
    pub(super) upto: Position,
    /// What came later is live.
    pub(super) since: Position,
    pub(super) form: SlidingForm,
    /// Rooms of the answer.
    pub(super) rooms: usize,
}

/// How it is told.
struct How<'a> {
    common: Common<'a>,
    room: Arc<Room>,
    initial: bool,
    expanded: bool,
    /// What the client has of it.
    since: Position,
    /// Up to when it is shown.
    until: Position,
    member: Position,
}

impl Syncer {
    pub(super) async fn told(&self, common: Common<'_>, plan: Plan, room: Arc<Room>) -> Result<Told, SyncError> {
        let Plan { view, why, direct } = plan;
        let InView { placed, limit, wants, lists, .. } = view;
        let Common { by, lazy, upto, form, rooms, .. } = common;
        let all_members = wants.all_members();
        let filter = common.filter.wanting(wants);
        let fair = (sync::TIMELINE_TOTAL / rooms.max(1)).max(1);
        let answer = Answer {
            by,
            filter: &filter,
            limit: usize::try_from(limit).unwrap_or(usize::MAX).min(fair),
            scan: Filter::timeline_scan(rooms),
            receipts: Filter::receipts_limit(rooms),
            upto,
            state_name: StateName::After,
            lazy: (!all_members).then_some(lazy),
        };
        let room_id = placed.room_id.clone();
        let mut how = How {
            common,
            room: Arc::clone(&room),
            initial: false,
            expanded: false,
            since: Position::ZERO,
            until: upto,
            member: placed.position,
        };
        let mut membership = placed.membership;
        let mut told = match why {
            Why::New(user_room) => {
                how.initial = true;
                if user_room.membership != Membership::Join {
                    how.until = user_room.left;
                }
                let own = self.own_of_room(by, room.short, upto, &filter).await?;
                let shown = self.initial_room(answer, Position::ZERO, user_room, room, true, own).await?;
                self.shown_told(&how, shown).await?
            }
            Why::Changed { changed, since, again, own } => {
                (how.since, how.expanded) = (since, again.timeline);
                membership = changed.room.membership;
                // Who came is told the room from the start.
                how.initial = !changed.stay.began_inside && membership == Membership::Join
                    || matches!(membership, Membership::Invite | Membership::Knock);
                if membership != Membership::Join {
                    (how.until, how.member) = (changed.room.left, changed.room.position);
                }
                if how.initial {
                    how.since = Position::ZERO;
                }
                let own = own.unwrap_or_default();
                let shown = self.changed_room(answer, since, again, changed, room, own).await?;
                self.shown_told(&how, shown).await?
            }
            Why::Beside => Told::nothing(room_id.clone(), membership),
        };
        (told.room_id, told.membership) = (room_id, membership);
        if direct.is_some() && told.room.is_none() {
            told.room = Some(RoomTold::default());
        }
        if let Some(room) = &mut told.room {
            room.is_dm = direct.filter(|direct| *direct || !how.initial);
            if form == SlidingForm::Accepted {
                (room.lists, room.membership) = (lists, Some(membership.name()));
            }
        }
        Ok(told)
    }

    async fn shown_told(&self, how: &How<'_>, shown: Shown) -> Result<Told, SyncError> {
        let mut told = Told::nothing(how.room.room_id.clone(), Membership::Join);
        match shown {
            Shown::Nothing => {}
            Shown::Joined(JoinedRoom { timeline, state, summary, unread, ephemeral, account_data }) => {
                told.account_data = account_data.events;
                told.receipts = ephemeral.first()?;
                let moved = timeline.is_some() || unread.room.is_some();
                if moved || how.initial {
                    let mut room = self.timeline_told(how, timeline, state, None, &mut told.limited);
                    room.unread = unread.room;
                    self.add_face(how, summary, &mut room).await?;
                    self.add_bump(how, &mut room).await?;
                    told.room = Some(room);
                }
            }
            Shown::Left(LeftRoom { timeline, state, account_data }) => {
                told.account_data = account_data.events;
                let mut room = self.timeline_told(how, timeline, state, None, &mut told.limited);
                room.bump_stamp = Some(how.member.0);
                told.room = Some(room);
            }
            Shown::Invited(invited) => told.room = Some(self.asked_told(how, invited.invite_state.events)),
            Shown::Knocked(knocked) => told.room = Some(self.asked_told(how, knocked.knock_state.events)),
        }
        Ok(told)
    }

    fn asked_told(&self, how: &How<'_>, stripped: Vec<Box<RawValue>>) -> RoomTold {
        let mut room = self.timeline_told(how, None, None, Some(stripped), &mut false);
        (room.initial, room.bump_stamp) = (Some(true), Some(how.member.0));
        room
    }

    #[expect(clippy::unused_self, reason = "beside the others")]
    fn timeline_told(
        &self,
        how: &How<'_>,
        timeline: Option<Timeline>,
        state: Option<State>,
        stripped: Option<Vec<Box<RawValue>>>,
        limited: &mut bool,
    ) -> RoomTold {
        let Timeline { events, limited: cut, prev_batch, arrived } = timeline.unwrap_or_default();
        *limited = cut || how.initial || how.expanded;
        // Of a client that begins, nothing is live.
        let live =
            |event: &&crate::response::Arrived| how.common.since > Position::ZERO && event.position > how.common.since;
        RoomTold {
            initial: how.initial.then_some(true),
            required_state: state.map(State::into_events).unwrap_or_default(),
            prev_batch,
            limited: cut,
            num_live: (!events.is_empty()).then(|| arrived.iter().filter(live).count() as u64),
            bump_stamp: arrived.iter().rev().find(|event| event.bumps).map(|event| event.position.0),
            named: Some(Named::new(how.common.form, events, how.expanded, stripped)),
            ..RoomTold::default()
        }
    }

    /// Name, picture, and by whom a room without a name is called; where they changed.
    async fn add_face(&self, how: &How<'_>, summary: Option<Summary>, told: &mut RoomTold) -> Result<(), SyncError> {
        let How { room, since, until, .. } = how;
        let (before, after) = self.rooms.snapshots_at(room.short, *since, *until).await?;
        // A redaction changes what a snapshot says; then there is a summary.
        if before.snapshot == after.snapshot && summary.is_none() && !how.initial {
            return Ok(());
        }
        let face = self.rooms.face(room, after.snapshot).await?;
        if how.initial {
            (told.name, told.avatar) = (face.name.clone().map(Some), face.avatar.clone().map(Some));
        } else if before.snapshot == after.snapshot {
            (told.name, told.avatar) = (Some(face.name.clone()), Some(face.avatar.clone()));
        } else {
            let before = self.rooms.face(room, before.snapshot).await?;
            told.name = (before.name != face.name).then(|| face.name.clone());
            told.avatar = (before.avatar != face.avatar).then(|| face.avatar.clone());
        }
        let Some(Summary { heroes, joined, invited }) = summary else { return Ok(()) };
        (told.joined_count, told.invited_count) = (Some(joined), Some(invited));
        if face.name.is_none() && !heroes.is_empty() {
            told.heroes = Some(self.heroes(how, &after, heroes).await?);
        }
        Ok(())
    }

    async fn heroes(
        &self,
        how: &How<'_>,
        state: &StateAt,
        users: Vec<ruma::OwnedUserId>,
    ) -> Result<Vec<Hero>, SyncError> {
        #[derive(Default, Deserialize)]
        struct Content {
            displayname: Option<String>,
            avatar_url: Option<String>,
        }
        let mut sight = Sight::of(Arc::clone(&how.room), how.common.by, true, Position::ZERO).up_to(how.until);
        let users_in = users.iter().map(|user| &**user);
        let members = self.rooms.members_among(&mut sight, state.snapshot, users_in, |_| false).await?;
        let hero = |user_id: ruma::OwnedUserId| {
            let member = members.iter().find(|event| event.state_key.as_deref() == Some(user_id.as_str()));
            // What is of another form names nobody.
            let content = member.and_then(|event| serde_json::from_str(event.content.get()).ok());
            let Content { displayname, avatar_url } = content.unwrap_or_default();
            Hero { user_id, displayname, avatar_url }
        };
        Ok(users.into_iter().map(hero).collect())
    }

    /// Of a room that is new to the client: when the last event came that moves it up.
    async fn add_bump(&self, how: &How<'_>, told: &mut RoomTold) -> Result<(), SyncError> {
        if told.bump_stamp.is_some() || !how.initial {
            return Ok(());
        }
        let mut sight = Sight::of(Arc::clone(&how.room), how.common.by, true, Position::ZERO).up_to(how.until);
        let types = serde_json::to_string(&serde_json::json!({ "types": BUMPING }))?;
        let filter = EventFilter::parse(&types)?;
        let asked = Asked { limit: 1, filter: &filter, scan: limits::BUMP_ROWS };
        let found = self.rooms.timeline_range(&how.room, Position::ZERO, how.until, asked, &mut sight).await?;
        let last = found.events.first().map_or(how.member, |(event, _)| event.position);
        told.bump_stamp = Some(last.0);
        Ok(())
    }
}

impl Told {
    fn nothing(room_id: OwnedRoomId, membership: Membership) -> Self {
        Self { room_id, room: None, account_data: Vec::new(), receipts: None, limited: false, membership }
    }
}
