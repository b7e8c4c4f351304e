//! Changing a user's rules: from the change on events are counted by the new ones; what was counted before stays what it was.
//!
//! The rules are one row. What follows from them in each room is that room's own commit: it asserts the room's tally, so that no event
//! is counted between looking and changing.

use futures::{StreamExt, TryStreamExt, stream};
use ruma::{OwnedUserId, UserId, push::Ruleset};
use wardstead_engine::{Batch, JournalEntry, Losing, Position, PositionSlot};
use wardstead_limits::{push as limits, store::REBUILDS};
use wardstead_rooms::{Membership, Rooms, UserRoom};
use wardstead_store::{Envelope, StoreError, kind};

use crate::{
    Push, PushError,
    core::Standing,
    fold::counted,
    read::Read,
    tables::{READERS, RECOUNTED, RULES, ReaderRow, RecountedRow, RulesRow, reader_key, rules_key},
    work::{Person, Work, expect},
};

impl Push {
    /// Gives `user` these rules from now on, in all rooms.
    ///
    /// # Errors
    /// `TooLarge`; `Busy` when others changed them, or spoke in a room, too often meanwhile: the same call does the rest.
    pub async fn set_rules(
        &self,
        rooms: &Rooms,
        user: u64,
        user_id: &UserId,
        rules: &Ruleset,
    ) -> Result<(), PushError> {
        let content = checked(rules)?;
        let key = rules_key(user);
        for _ in 0..=REBUILDS {
            let before = self.core.store.get(&RULES, &key).await?.map_or(0, |found| found.version);
            let mut batch = Batch::new();
            expect(&mut batch, key.clone(), before);
            let entry = batch.journal(JournalEntry { kind: kind::PUSH_RULES, scope: user, key: Vec::new().into() });
            let row = RulesRow { content: Envelope::plain(content.clone()).encode().to_vec() };
            RULES.put_with(&mut batch, key.clone(), self.core.version(), &[PositionSlot::Entry(entry)], &row);
            match self.core.store.commit(batch).await {
                Ok(_) => return self.refresh(rooms, user, user_id).await,
                Err(StoreError::Lost(Losing::Rebuild)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(PushError::Busy)
    }

    /// Has the rules of `user`, and whom the user ignores, hold in all rooms, where they do not yet.
    ///
    /// # Errors
    /// `Busy`, and the store's.
    pub async fn refresh(&self, rooms: &Rooms, user: u64, user_id: &UserId) -> Result<(), PushError> {
        let joined = rooms.user_rooms(user).await?;
        let joined = joined.into_iter().filter(|room| room.membership == Membership::Join);
        let switched = stream::iter(joined).map(|room| async move { self.switch(&room, user, user_id).await });
        switched.buffer_unordered(limits::SWITCH_ROOMS_AT_ONCE).try_for_each(|()| async { Ok(()) }).await
    }

    async fn switch(&self, room: &UserRoom, user: u64, user_id: &UserId) -> Result<(), PushError> {
        for _ in 0..limits::SWITCH_TRIES {
            let standing = self.core.standing(user, user_id, &room.room_id).await?;
            let read = self.core.look(room.room, user).await?;
            // Left meanwhile: who comes back comes with the new rules.
            if read.version == 0 {
                return Ok(());
            }
            let before = &read.reader.row;
            if before.class == standing.class && !before.watched && !standing.watched {
                return Ok(());
            }
            match self.core.store.commit(self.switched(room, read, standing, user_id).await?).await {
                Ok(_) => return Ok(()),
                Err(StoreError::Lost(Losing::Rebuild)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(PushError::Busy)
    }

    /// The batch that has `standing` hold in `room` from now on.
    async fn switched(
        &self,
        room: &UserRoom,
        read: Read,
        standing: Standing,
        user_id: &UserId,
    ) -> Result<Batch, PushError> {
        let store = &self.core.store;
        let (user, upto) = (read.reader.user, read.at.max(read.reader.upto));
        let rows = counted(store, room.room, read.reader.upto, read.at).await?;
        let unread = read.reader.unread(store, &rows, read.at, &[]).await?;
        let index = self.core.index(room.room, &room.room_id, &read.tally, Vec::new()).await?;
        let name = index.member(user).and_then(|member| member.name.clone());
        let mut work = Work::on(room.room, read.tally.clone(), read.tally_version);
        let before = &read.reader.row;
        let class = if standing.class == before.class {
            before.class
        } else {
            let class = work.enter_class(standing.class, standing.rules);
            work.leave_class(before.class);
            class
        };
        work.tally.watched =
            (work.tally.watched + u32::from(standing.watched)).saturating_sub(u32::from(before.watched));
        let person = Person { user, user_id: OwnedUserId::from(user_id), name };
        work.tell(person, class, standing.watched, true);
        let mut past = if unread.is_empty() { Vec::new() } else { before.past.clone() };
        // What nothing was counted by leaves no trace.
        if !unread.is_empty() && class != before.class && past.last().is_none_or(|(_, last)| *last < upto.0) {
            past.push((before.class, upto.0));
            past.drain(..past.len().saturating_sub(limits::PAST_CLASS_ENTRIES));
        }
        let row = ReaderRow {
            class,
            past,
            watched: standing.watched,
            joined: Some(read.reader.joined().0),
            base: read.base(class),
            redactions: read.tally.redactions,
            unread: unread.into_iter().collect(),
        };
        let mut batch = Batch::new();
        let key = room.room.to_be_bytes().to_vec().into();
        let entry = batch.journal(JournalEntry { kind: kind::RECOUNTED, scope: user, key });
        RECOUNTED.put(&mut batch, RECOUNTED.key(user).slot(entry).template(), &RecountedRow { room: room.room });
        expect(&mut batch, rules_key(user), standing.version);
        let key = reader_key(room.room, user);
        expect(&mut batch, key.clone(), read.version);
        if read.reader.recounted > Position::ZERO {
            batch.delete(RECOUNTED.key(user).position(read.reader.recounted).key());
        }
        let at = [PositionSlot::Entry(entry), PositionSlot::Known(upto), PositionSlot::Entry(entry)];
        READERS.put_with(&mut batch, key, self.core.version(), &at, &row);
        work.put(&mut batch, entry, self.core.version(), self.core.version());
        Ok(batch)
    }
}

/// The rules as they are stored.
fn checked(rules: &Ruleset) -> Result<Vec<u8>, PushError> {
    let words = rules.content.len() + rules.override_.len() + rules.underride.len();
    if rules.iter().count() > limits::USER_RULE_ENTRIES {
        return Err(PushError::TooLarge("more rules than a user may have"));
    }
    if words > limits::USER_WORD_ENTRIES {
        return Err(PushError::TooLarge("more words and conditions than a user's rules may look for"));
    }
    let content = serde_json::to_vec(rules).map_err(|_| PushError::TooLarge("rules that cannot be stored"))?;
    if content.len() > limits::RULES_BYTES {
        return Err(PushError::TooLarge("larger rules than a user may have"));
    }
    Ok(content)
}
