//! Changing a user's rules: from the change on events are counted by the new ones; what was counted before stays what it was.
//!
//! What is valid is one commit ([`crate::rules`]), and with it the order that the rooms follow: each in a commit of its own that
//! asserts the room's tally, so that no event is counted between looking and changing. Whoever changes the rules has the rooms
//! follow at once; what that does not bring to its end the queue does, on whatever node.

use std::sync::Arc;

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, stream};
use ruma::{
    OwnedUserId, UserId,
    push::{ConditionalPushRule, PushCondition, Ruleset},
};
use wardstead_engine::{Batch, JournalEntry, Losing, Position, PositionSlot};
use wardstead_limits::{push as limits, store::REBUILDS};
use wardstead_rooms::{Membership, Rooms, UserRoom};
use wardstead_store::{Claim, Found, Handled, QueueHandler, StoreError, kind};

use crate::{
    Push, PushError,
    core::Standing,
    defaults::default_rules,
    error::{of_accounts, of_push},
    fold::counted,
    glob::has_wildcards,
    read::Read,
    rules::{self, Part},
    tables::{CHANGES, ChangeRow, NO_CLASS, READERS, RECOUNTED, ReaderRow, RecountedRow, reader_key, rules_key},
    work::{Person, Work, expect},
};

impl Push {
    /// Gives `user` these rules from now on, in all rooms; as [`Self::change_rules`].
    ///
    /// # Errors
    /// As there.
    pub async fn set_rules(
        &self,
        rooms: &Rooms,
        user: u64,
        user_id: &UserId,
        rules: &Ruleset,
    ) -> Result<(), PushError> {
        self.change_rules(user, user_id, |now| {
            now.clone_from(rules);
            Ok(())
        })
        .await?;
        self.follow(rooms, user, user_id).await;
        Ok(())
    }

    /// Changes the rules of `user` as `change` does, which is called again when another device was quicker. Returns when it is
    /// durable that they hold in all rooms: they do in each when [`Self::follow`] or the queue has come to it.
    ///
    /// # Errors
    /// `TooLarge`, `Busy` when others changed them too often meanwhile, what `change` returns, and the store's.
    pub async fn change_rules<F>(&self, user: u64, user_id: &UserId, change: F) -> Result<(), PushError>
    where
        F: Fn(&mut Ruleset) -> Result<(), PushError> + Send + Sync,
    {
        let store = &self.core.store;
        for _ in 0..=REBUILDS {
            let (head, before) = rules::current_rules(store, user, user_id).await?;
            let mut rules = before.clone();
            change(&mut rules)?;
            let content = checked(&rules)?;
            if written(&before)? == content {
                return Ok(());
            }
            // Who has the rules of everybody has those of later versions, too.
            let content = (content != checked(&default_rules(user_id))?).then_some(content);
            let mut batch = Batch::new();
            let entry = batch.journal(JournalEntry { kind: kind::PUSH_RULES, scope: user, key: Vec::new().into() });
            rules::change(&mut batch, entry, user, &head, Part::Rules(content), self.core.version());
            match store.commit(batch).await {
                Ok(_) => return Ok(()),
                Err(StoreError::Lost(Losing::Rebuild)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(PushError::Busy)
    }

    /// Has the rooms of `user` follow, after a change of the rules or of whom the user ignores, as far as that succeeds now; the queue
    /// does the rest.
    pub async fn follow(&self, rooms: &Rooms, user: u64, user_id: &UserId) {
        if let Err(error) = self.refresh(rooms, user, user_id).await {
            tracing::warn!(%error, "rooms follow a change of push rules later");
        }
    }

    /// Has the queue bring to its end what nobody did, from now on, wherever this node gets the leases. Called once, when the parts
    /// are wired, on every node.
    pub fn run_changes(&self, rooms: &Rooms) {
        let follower = Follower { push: self.clone(), rooms: rooms.clone() };
        self.core.store.run_queue(&CHANGES, Arc::new(follower));
    }

    /// Has the rules of `user`, and whom the user ignores, hold in all rooms, where they do not yet.
    ///
    /// # Errors
    /// `Busy`, and the store's.
    pub async fn refresh(&self, rooms: &Rooms, user: u64, user_id: &UserId) -> Result<(), PushError> {
        let joined = rooms.user_rooms(user).await?;
        let joined = joined.into_iter().filter(|room| room.membership == Membership::Join);
        let (head, rules) = rules::current_rules(&self.core.store, user, user_id).await?;
        let rules = (head.row.held.rules != 0).then_some(&rules);
        let switched = stream::iter(joined).map(|room| async move {
            let standing = Standing::new(&head, rules, user_id, &room.room_id);
            self.switch(&room, user, user_id, standing).await
        });
        switched.buffer_unordered(limits::SWITCH_ROOMS_AT_ONCE).try_for_each(|()| async { Ok(()) }).await
    }

    /// Has `standing` hold in `room`, or what is valid instead meanwhile.
    async fn switch(
        &self,
        room: &UserRoom,
        user: u64,
        user_id: &UserId,
        mut standing: Standing,
    ) -> Result<(), PushError> {
        for _ in 0..limits::SWITCH_TRIES {
            let read = self.core.look(room.room, user).await?;
            // Left meanwhile: who comes back comes with the new rules.
            if read.version == 0 {
                return Ok(());
            }
            if is_in_force(&standing, &read) {
                return Ok(());
            }
            match self.core.store.commit(self.switched(room, read, standing, user_id).await?).await {
                Ok(_) => return Ok(()),
                Err(StoreError::Lost(Losing::Rebuild)) => {}
                Err(error) => return Err(error.into()),
            }
            standing = self.core.standing(user, user_id, &room.room_id).await?;
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
        let [was_own, is_own] = [before.held, standing.held].map(|held| u32::from(held.is_own()));
        work.tally.watched = (work.tally.watched + is_own).saturating_sub(was_own);
        let person = Person { user, user_id: OwnedUserId::from(user_id), name };
        work.tell(person, class, standing.held, true);
        let mut past = if unread.is_empty() { Vec::new() } else { before.past.clone() };
        // What nothing was counted by leaves no trace.
        if !unread.is_empty() && class != before.class && past.last().is_none_or(|(_, last)| *last < upto.0) {
            past.push((before.class, upto.0));
            past.drain(..past.len().saturating_sub(limits::PAST_CLASS_ENTRIES));
        }
        let row = ReaderRow {
            class,
            past,
            held: standing.held,
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

/// Whether the room counts by `standing` already.
fn is_in_force(standing: &Standing, read: &Read) -> bool {
    let (before, classes) = (&read.reader.row, &read.tally.classes);
    let has_no_place = || {
        let is_full = classes.len() >= limits::ROOM_CLASS_ENTRIES;
        before.class == NO_CLASS && is_full && classes.iter().all(|(class, _)| *class != standing.class)
    };
    before.held == standing.held && (before.class == standing.class || has_no_place())
}

/// Has rooms follow changes that were cut off, or are under way.
struct Follower {
    push: Push,
    rooms: Rooms,
}

#[async_trait]
impl QueueHandler<ChangeRow> for Follower {
    async fn handle(&self, user: u64, rows: &[Found<ChangeRow>], _: &Claim) -> Result<Handled, StoreError> {
        let core = &self.push.core;
        // Not older than what any of the rows is about.
        let head = rules::head(&core.store, user).await?;
        if let Some(user_id) = core.accounts.user_ids(&[user]).await.map_err(of_accounts)?.pop().flatten() {
            match self.push.refresh(&self.rooms, user, &user_id).await {
                Err(PushError::Busy) => return Ok(Handled::Later),
                followed => followed.map_err(of_push)?,
            }
        }
        let mut batch = Batch::new();
        for key in rules::outdated(&core.store, user, &head).await? {
            batch.delete(key);
        }
        Ok(Handled::Done { rows: rows.len(), batch })
    }
}

fn names_a_room(condition: &PushCondition) -> bool {
    matches!(condition, PushCondition::EventMatch(of) if of.key == "room_id" && !has_wildcards(&of.pattern))
}

fn written(rules: &Ruleset) -> Result<Vec<u8>, PushError> {
    serde_json::to_vec(rules).map_err(|_| PushError::TooLarge("rules that cannot be stored"))
}

/// The rules as they are stored, if they are within bounds.
fn checked(rules: &Ruleset) -> Result<Vec<u8>, PushError> {
    // A rule that names a room looks for nothing elsewhere.
    let elsewhere = |rule: &&ConditionalPushRule| !rule.conditions.iter().any(names_a_room);
    let conditional = rules.override_.iter().chain(&rules.underride).filter(elsewhere);
    let words = rules.content.len() + conditional.count();
    if rules.iter().count() > limits::USER_RULE_ENTRIES {
        return Err(PushError::TooLarge("more rules than a user may have"));
    }
    if words > limits::USER_WORD_ENTRIES {
        return Err(PushError::TooLarge("more words and conditions than a user's rules may look for"));
    }
    let content = written(rules)?;
    if content.len() > limits::RULES_BYTES {
        return Err(PushError::TooLarge("larger rules than a user may have"));
    }
    Ok(content)
}
