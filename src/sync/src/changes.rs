//! Which rooms an incremental sync has to look at.

use std::collections::{BTreeMap, BTreeSet};

use wardstead_engine::Position;
use wardstead_rooms::{Membership, MembershipMove, UserRoom};
use wardstead_store::Changes;

use crate::{SyncError, Syncer, wait::Range};

/// A room that a client has to be told about.
#[derive(Clone, Debug)]
pub(crate) struct ChangedRoom {
    /// The room, and what the user is in it at the end of the range. When the user left it is told as of now: zero if never.
    pub(crate) room: UserRoom,
    /// What happened to the user's membership in the range.
    pub(crate) stay: Stay,
    /// What else.
    pub(crate) news: News,
    /// The user left the room before the range: only what is their own of it is told.
    pub(crate) archived: bool,
}

/// The rooms of which a user has news of their own.
#[derive(Clone, Debug, Default)]
pub(crate) struct OwnRooms {
    pub(crate) all: BTreeSet<u64>,
    /// Those of them that are told also where the user left them before.
    pub(crate) archived: BTreeSet<u64>,
}

/// What has changed in a room, as far as is known without looking.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct News {
    /// Events, or the state.
    pub(crate) events: bool,
    /// Receipts that all members are shown.
    pub(crate) receipts: bool,
}

impl News {
    /// Everything may have.
    pub(crate) const ALL: Self = Self { events: true, receipts: true };
}

/// A user's membership over a range of positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stay {
    /// The user was in the room at the start.
    pub(crate) began_inside: bool,
    /// The user was in the room all the time.
    pub(crate) throughout: bool,
    /// When the user last stopped being in the room, in the range.
    pub(crate) left: Option<Position>,
}

impl Stay {
    /// In the room, and nothing happened to that.
    pub(crate) const UNMOVED: Self = Self { began_inside: true, throughout: true, left: None };

    /// Outside, and nothing happened to that.
    const OUTSIDE: Self = Self { began_inside: false, throughout: false, left: None };

    fn first(change: &MembershipMove) -> Self {
        let began_inside = change.previous == Some(Membership::Join);
        Self { began_inside, throughout: began_inside, left: None }.then(change)
    }

    fn then(mut self, change: &MembershipMove) -> Self {
        if change.room.membership != Membership::Join {
            self.throughout = false;
            if change.previous == Some(Membership::Join) {
                self.left = Some(change.room.position);
            }
        }
        self
    }
}

impl Syncer {
    /// The rooms of `user` in which something happened in `range`, in the order of their short ids, and those of `own`, of which
    /// the user has news of their own, of which some also where it was left before. A room may be among them in which nothing of it is visible. `receipts`: whether those count.
    pub(crate) async fn changed_rooms(
        &self,
        user: u64,
        range: Range,
        own: &OwnRooms,
        receipts: bool,
    ) -> Result<Vec<ChangedRoom>, SyncError> {
        let receipts = if receipts { self.store.receipts_since(range.since) } else { Changes::Rooms(Vec::new()) };
        let events = self.store.rooms_since(range.since);
        let candidates = if let (Changes::Rooms(events), Changes::Rooms(receipts)) = (events, receipts) {
            let mut news: BTreeMap<u64, News> = own.all.iter().map(|room| (*room, News::default())).collect();
            for room in events {
                news.entry(room).or_default().events = true;
            }
            for room in receipts {
                news.entry(room).or_default().receipts = true;
            }
            if news.is_empty() {
                return Ok(Vec::new());
            }
            let rooms: Vec<u64> = news.keys().copied().collect();
            let rooms = self.rooms.user_rooms_among(user, &rooms).await?;
            let news = |room: &UserRoom| news.get(&room.room).copied().unwrap_or_default();
            rooms.into_iter().map(|room| (news(&room), room)).collect()
        } else {
            let rooms = self.rooms.user_rooms_with_last(user).await?.into_iter().map(|(room, last)| {
                let events = last.head > range.since;
                (News { events, receipts: last.receipts > range.since }, room)
            });
            rooms.filter(|(news, room)| *news != News::default() || own.all.contains(&room.room)).collect()
        };
        self.as_of(user, range, candidates, &own.archived).await
    }

    /// The same, and all other rooms that the user is in.
    pub(crate) async fn all_rooms(
        &self,
        user: u64,
        range: Range,
        own: &OwnRooms,
    ) -> Result<Vec<ChangedRoom>, SyncError> {
        let all = self.rooms.user_rooms(user).await?;
        let all = all.into_iter().map(|room| (News::ALL, room)).collect();
        self.as_of(user, range, all, &own.archived).await
    }

    /// What the user was over `range` in each of `candidates`: rows as of now, which may be of later than the range.
    ///
    /// The rows themselves say whether the user's log has to be read: a change of membership moves the row's position, and is
    /// an event of the room, so that the room is a candidate. The journal's entry for the user says it too, but a tail that
    /// stands between the two entries of one commit has not seen that one yet.
    pub(crate) async fn as_of(
        &self,
        user: u64,
        range: Range,
        candidates: Vec<(News, UserRoom)>,
        archived: &BTreeSet<u64>,
    ) -> Result<Vec<ChangedRoom>, SyncError> {
        let mut changed = if candidates.iter().any(|(_, room)| room.position > range.since) {
            self.moved(user, range, candidates.iter().map(|(_, room)| room)).await?
        } else {
            BTreeMap::new()
        };
        for (news, room) in candidates {
            if changed.contains_key(&room.room) {
                continue;
            }
            let membership = if room.position <= range.upto {
                Some(room.membership)
            } else {
                self.rooms.membership_at(user, room.room, range.upto).await?
            };
            match membership {
                Some(Membership::Join) => {
                    let room = UserRoom { membership: Membership::Join, ..room };
                    let told = ChangedRoom { room, stay: Stay::UNMOVED, news, archived: false };
                    changed.insert(told.room.room, told);
                }
                Some(membership @ (Membership::Leave | Membership::Ban))
                    if archived.contains(&room.room) && room.left > Position::ZERO && !room.forgotten =>
                {
                    let room = UserRoom { membership, ..room };
                    let told = ChangedRoom { room, stay: Stay::OUTSIDE, news: News::default(), archived: true };
                    changed.insert(told.room.room, told);
                }
                _ => {}
            }
        }
        // An invitation or a knock that has been answered since then is for the next sync, which tells the answer.
        changed.retain(|_, changed| {
            !matches!(changed.room.membership, Membership::Invite | Membership::Knock)
                || !changed.room.stripped.is_empty()
        });
        Ok(changed.into_values().collect())
    }

    /// Rooms in which the user's own membership changed in `range`. Those of `now` have the stripped state of invitations
    /// and knocks, and when the user left.
    async fn moved(
        &self,
        user: u64,
        range: Range,
        now: impl Iterator<Item = &UserRoom>,
    ) -> Result<BTreeMap<u64, ChangedRoom>, SyncError> {
        let mut moved: BTreeMap<u64, ChangedRoom> = BTreeMap::new();
        for change in self.rooms.membership_changes(user, range.since, range.upto).await? {
            let before = moved.get(&change.room.room).map(|changed| changed.stay);
            let stay = before.map_or_else(|| Stay::first(&change), |stay| stay.then(&change));
            moved.insert(change.room.room, ChangedRoom { room: change.room, stay, news: News::ALL, archived: false });
        }
        for room in now {
            if let Some(changed) = moved.get_mut(&room.room) {
                changed.room.left = room.left;
                if changed.room.event_id == room.event_id {
                    changed.room.stripped.clone_from(&room.stripped);
                }
            }
        }
        Ok(moved)
    }
}
