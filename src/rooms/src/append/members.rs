//! What follows from a member event: the rows by room and by user, the log, the counts, the news for the user.

use bytes::{BufMut, BytesMut};
use wardstead_engine::{Position, PositionSlot};
use wardstead_store::kind;

use crate::{
    Event, Membership, RoomError,
    event::{client::push_stripped, content},
    state::key,
    tables::{Content, MEMBER_LOG, MEMBERS, MemberLogRow, MemberRow, USER_ROOMS, UserRoomRow},
};

use super::Build;

impl Build<'_> {
    /// The member event under `key` is `after` and no longer `before`, from journal entry `entry` on.
    pub(crate) async fn put_member_change(
        &mut self,
        key: u64,
        before: Option<&Event>,
        after: Option<&Event>,
        entry: usize,
    ) -> Result<(), RoomError> {
        match (key::member_of(key), after) {
            (Some(user), Some(after)) => self.put_membership(user, after, before, entry).await,
            (Some(user), None) => self.put_no_membership(user, before, entry).await,
            (None, after) => {
                self.put_foreign_membership(key, before, after, entry);
                Ok(())
            }
        }
    }

    /// A user who has no account here: only the room has a row.
    fn put_foreign_membership(&mut self, key: u64, before: Option<&Event>, after: Option<&Event>, entry: usize) {
        let previous = before.and_then(content::membership);
        let membership = after.and_then(content::membership);
        self.count(previous, membership.unwrap_or(Membership::Leave));
        let row_key = MEMBERS.key(self.room).u64(key & !key::MEMBERS).key();
        let Some((event, membership)) = after.zip(membership) else {
            self.batch.delete(row_key);
            return;
        };
        let (user_id, event_id) = (event.state_key.clone().unwrap_or_default(), event.event_id.as_str().to_owned());
        let row = MemberRow { membership, user_id, event_id };
        MEMBERS.put_with(&mut self.batch, row_key, 0, &[PositionSlot::Entry(entry)], &row);
    }

    /// A resolution left no member event of `user`: as if the last one had never been. The user is told that they are out.
    async fn put_no_membership(&mut self, user: u64, before: Option<&Event>, entry: usize) -> Result<(), RoomError> {
        let Some(before) = before else { return Ok(()) };
        let (previous, membership) = (content::membership(before), Membership::Leave);
        self.count(previous, membership);
        self.batch.delete(MEMBERS.key(self.room).u64(user).key());
        let left = if previous == Some(Membership::Join) {
            PositionSlot::Entry(entry)
        } else {
            PositionSlot::Known(self.last_left(user).await?)
        };
        let (room, room_id) = (self.room, before.room_id.as_str().to_owned());
        let event_id = before.event_id.as_str().to_owned();
        let (stripped, forgotten) = (None, false);
        let row = UserRoomRow { room_id: room_id.clone(), membership, event_id: event_id.clone(), stripped, forgotten };
        let (at, version) = (PositionSlot::Entry(entry), self.head.version + 1);
        USER_ROOMS.put_with(&mut self.batch, USER_ROOMS.key(user).u64(room).key(), version, &[at, left], &row);
        let row = MemberLogRow { room, room_id, event_id, membership, previous };
        MEMBER_LOG.put(&mut self.batch, MEMBER_LOG.key(user).slot(entry).template(), &row);
        self.journal(kind::MEMBERSHIP, user, [&room.to_be_bytes()[..], &[0]].concat());
        Ok(())
    }

    /// `event`, number `entry` of the journal, makes `user` what it states; `replaced` stated what the user was before.
    pub(super) async fn put_membership(
        &mut self,
        user: u64,
        event: &Event,
        replaced: Option<&Event>,
        entry: usize,
    ) -> Result<(), RoomError> {
        let membership = content::membership(event)
            .ok_or_else(|| RoomError::BadJson("A member event states a membership.".into()))?;
        let previous = replaced.and_then(content::membership);
        self.count(previous, membership);
        let (room, event_id) = (self.room, event.event_id.as_str().to_owned());
        let room_id = event.room_id.as_str().to_owned();
        let user_id = event.state_key.clone().unwrap_or_default();

        let member = MemberRow { membership, user_id, event_id: event_id.clone() };
        let at = PositionSlot::Entry(entry);
        MEMBERS.put_with(&mut self.batch, MEMBERS.key(room).u64(user).key(), 0, &[at], &member);

        let left = if previous == Some(Membership::Join) && membership != Membership::Join {
            at
        } else {
            PositionSlot::Known(self.last_left(user).await?)
        };
        let stripped = match membership {
            Membership::Invite | Membership::Knock => Some(Content(self.stripped_state(event).await?)),
            _ => None,
        };
        let row = UserRoomRow {
            room_id: room_id.clone(),
            membership,
            event_id: event_id.clone(),
            stripped,
            forgotten: false,
        };
        let version = self.head.version + 1;
        USER_ROOMS.put_with(&mut self.batch, USER_ROOMS.key(user).u64(room).key(), version, &[at, left], &row);

        let row = MemberLogRow { room, room_id, event_id, membership, previous };
        MEMBER_LOG.put(&mut self.batch, MEMBER_LOG.key(user).slot(entry).template(), &row);
        let is_in = u8::from(membership == Membership::Join);
        self.journal(kind::MEMBERSHIP, user, [&room.to_be_bytes()[..], &[is_in]].concat());
        if let Some(user_id) = event.state_key.as_deref().and_then(|id| ruma::UserId::parse(id).ok()) {
            self.pending.own.members.push(user_id);
        }
        Ok(())
    }

    fn count(&mut self, previous: Option<Membership>, now: Membership) {
        let one = |is: bool| u32::from(is);
        let count = |before: u32, which: Membership| {
            before.saturating_sub(one(previous == Some(which))).saturating_add(one(now == which))
        };
        self.head.joined = count(self.head.joined, Membership::Join);
        self.head.invited = count(self.head.invited, Membership::Invite);
    }

    /// When the user last stopped being joined. A change of the same user that is still queued has no position yet; the
    /// caller has waited for it.
    async fn last_left(&self, user: u64) -> Result<Position, RoomError> {
        if self.head.version == 0 {
            return Ok(Position::ZERO);
        }
        let key = USER_ROOMS.key(user).u64(self.room).key();
        let found = self.inner.store.get(&USER_ROOMS, &key).await?;
        Ok(found.and_then(|found| found.positions.get(1).copied()).unwrap_or_default())
    }

    /// What a user who is invited or knocks is shown of the room (Client-Server API, Stripped state): the events that tell what
    /// it is, who invites, and `own`, the invitation or the knock.
    async fn stripped_state(&self, own: &Event) -> Result<bytes::Bytes, RoomError> {
        let mut keys = key::STRIPPED.to_vec();
        if let Some(inviter) = self.inner.accounts.user_short_id(&own.sender).await?
            && own.state_key.as_deref() != Some(own.sender.as_str())
        {
            keys.push(key::member(inviter));
        }
        let mut array = BytesMut::from(&b"["[..]);
        self.current(&keys).await?.iter().flatten().for_each(|event| push_stripped(&mut array, event));
        push_stripped(&mut array, own);
        array.put_u8(b']');
        Ok(array.freeze())
    }
}
