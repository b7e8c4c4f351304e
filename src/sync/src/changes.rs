//! Which rooms an incremental sync has to look at.

use std::collections::{BTreeMap, HashSet};

use wardstead_engine::Position;
use wardstead_rooms::{Membership, MembershipMove, UserRoom};
use wardstead_store::Changes;

use crate::{SyncError, Syncer, wait::Range};

/// A room that a client has to be told about.
#[derive(Clone, Debug)]
pub(crate) struct ChangedRoom {
    /// The room, and what the user is in it at the end of the range.
    pub(crate) room: UserRoom,
    /// What happened to the user's membership in the range.
    pub(crate) stay: Stay,
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
    /// There was some change of membership.
    pub(crate) moved: bool,
}

impl Stay {
    /// In the room, and nothing happened to that.
    const UNMOVED: Self = Self { began_inside: true, throughout: true, left: None, moved: false };

    fn first(change: &MembershipMove) -> Self {
        let began_inside = change.previous == Some(Membership::Join);
        Self { began_inside, throughout: began_inside, left: None, moved: true }.then(change)
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
    /// The rooms of `user` in which something happened in `range`, in the order of their short ids. A room may be among
    /// them in which nothing of it is visible.
    pub(crate) async fn changed_rooms(&self, user: u64, range: Range) -> Result<Vec<ChangedRoom>, SyncError> {
        let mut changed = self.moved(user, range).await?;
        let news = match self.store.rooms_since(range.since) {
            Changes::Rooms(rooms) if rooms.is_empty() => Vec::new(),
            Changes::Rooms(rooms) => self.rooms.user_rooms_among(user, &rooms).await?,
            Changes::Many | Changes::Unknown => self.rooms.user_rooms_changed_since(user, range.since).await?,
        };
        self.add_joined(user, news, range.upto, &mut changed).await?;
        Ok(changed.into_values().collect())
    }

    /// The same, and all other rooms that the user is in.
    pub(crate) async fn all_rooms(&self, user: u64, range: Range) -> Result<Vec<ChangedRoom>, SyncError> {
        let mut rooms = self.moved(user, range).await?;
        let all = self.rooms.user_rooms(user).await?;
        self.add_joined(user, all, range.upto, &mut rooms).await?;
        Ok(rooms.into_values().collect())
    }

    /// Rooms in which the user's own membership changed in `range`.
    async fn moved(&self, user: u64, range: Range) -> Result<BTreeMap<u64, ChangedRoom>, SyncError> {
        let mut moved: BTreeMap<u64, ChangedRoom> = BTreeMap::new();
        if self.store.user_changed(user, range.since) == Some(false) {
            return Ok(moved);
        }
        for change in self.rooms.membership_changes(user, range.since, range.upto).await? {
            let before = moved.get(&change.room.room).map(|changed| changed.stay);
            let stay = before.map_or_else(|| Stay::first(&change), |stay| stay.then(&change));
            moved.insert(change.room.room, ChangedRoom { room: change.room, stay });
        }
        self.add_invitations(user, &mut moved).await?;
        Ok(moved)
    }

    /// The stripped state of invitations. One that has been answered since then is for the next sync, which tells the
    /// answer.
    async fn add_invitations(&self, user: u64, moved: &mut BTreeMap<u64, ChangedRoom>) -> Result<(), SyncError> {
        let invited: Vec<u64> = moved
            .values()
            .filter(|changed| changed.room.membership == Membership::Invite)
            .map(|changed| changed.room.room)
            .collect();
        if invited.is_empty() {
            return Ok(());
        }
        let now = self.rooms.user_rooms_among(user, &invited).await?;
        let mut standing = HashSet::new();
        for room in now {
            if let Some(changed) = moved.get_mut(&room.room)
                && changed.room.event_id == room.event_id
            {
                standing.insert(room.room);
                changed.room = room;
            }
        }
        moved.retain(|room, changed| changed.room.membership != Membership::Invite || standing.contains(room));
        Ok(())
    }

    /// Adds those of `candidates`, as of now, that the user was in at `upto`. A row may be of later than that.
    async fn add_joined(
        &self,
        user: u64,
        candidates: Vec<UserRoom>,
        upto: Position,
        changed: &mut BTreeMap<u64, ChangedRoom>,
    ) -> Result<(), SyncError> {
        for room in candidates {
            if changed.contains_key(&room.room) {
                continue;
            }
            let membership = if room.position <= upto {
                Some(room.membership)
            } else {
                self.rooms.membership_at(user, room.room, upto).await?
            };
            if membership == Some(Membership::Join) {
                let room = UserRoom { membership: Membership::Join, ..room };
                changed.insert(room.room, ChangedRoom { room, stay: Stay::UNMOVED });
            }
        }
        Ok(())
    }
}
