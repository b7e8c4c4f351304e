//! Handing events to pushers: each pusher's row says what waits for it.
//!
//! One node expands a room's events, in order; each pusher is a commit of its own, many of which share one sync of the disk. An event that is
//! expanded again, after a crash, finds in the pusher's row that it was there.

use std::sync::Arc;

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, stream};
use ruma::OwnedRoomId;
use wardstead_engine::{Batch, Key, Losing, Position};
use wardstead_limits::pushers as limits;
use wardstead_store::{Claim, Found, Handled, Queue, QueueHandler, StoreError};

use crate::{
    error::{corrupt, of_push},
    pushers::{
        deliver::Desk,
        edit,
        tables::{EventRow, PUSHERS, STATES, StateRow, TIMERS, TimerRow, Waiting, pushers_key, state_key},
    },
    rules::version,
    work::expect,
};

/// Expands [`EVENTS`].
pub(crate) struct Expander(pub(crate) Arc<Desk>);

#[async_trait]
impl QueueHandler<EventRow> for Expander {
    async fn handle(&self, room: u64, rows: &[Found<EventRow>], claim: &Claim) -> Result<Handled, StoreError> {
        let Some(first) = rows.first() else { return Ok(Handled::Later) };
        match &first.row {
            EventRow::Read { user } => self.0.touch(*user, claim).await?,
            EventRow::Event { event_id, spoke } => {
                let position = Queue::<EventRow>::position(&first.key);
                let position = position.ok_or_else(|| corrupt(&first.key, "no key of a queue"))?;
                self.0.expand(room, position, event_id, claim).await?;
                if let Some(user) = spoke {
                    self.0.touch(*user, claim).await?;
                }
            }
        }
        Ok(Handled::Done { rows: 1, batch: Batch::new() })
    }
}

impl Desk {
    /// Hands an event to the pushers of all whom it notifies.
    async fn expand(&self, room: u64, position: Position, event_id: &str, claim: &Claim) -> Result<(), StoreError> {
        let room_id = self.room_id(room).await?;
        let Some(notified) = self.push().notified(room, &room_id, position).await.map_err(of_push)? else {
            return Ok(());
        };
        let waiting = Waiting {
            room,
            position: position.0,
            event_id: event_id.to_owned(),
            since_ms: self.store().clock().now_ms(),
        };
        // Pushers that were set before the event are known of.
        if self.store().position() < position {
            self.store().caught_up().await?;
        }
        let without = self.without();
        let (users, moment) = without.others(notified.users());
        for users in users.chunks(limits::USERS_READ) {
            let keys: Vec<Key> = users.iter().map(|user| pushers_key(*user)).collect();
            let found = self.store().get_many(&PUSHERS, &keys).await?;
            without.add(users.iter().zip(&found).filter(|(_, found)| found.is_none()).map(|(user, _)| *user), moment);
            let pushers: Vec<(u64, u64)> = users
                .iter()
                .zip(found)
                .filter_map(|(user, found)| Some((*user, found?.row)))
                .flat_map(|(user, row)| row.pushers.into_iter().map(move |pusher| (user, pusher.number)))
                .collect();
            stream::iter(pushers)
                .map(Ok)
                .try_for_each_concurrent(limits::WRITES_AT_ONCE, |(user, pusher)| {
                    self.hand(user, pusher, Some(&waiting), claim)
                })
                .await?;
        }
        Ok(())
    }

    /// Less is unread for `user`: gateways that were told of more are told so.
    async fn touch(&self, user: u64, claim: &Claim) -> Result<(), StoreError> {
        let (row, _) = edit::pushers(self.store(), user).await?;
        for pusher in row.pushers {
            self.hand(user, pusher.number, None, claim).await?;
        }
        Ok(())
    }

    /// Adds an event to what waits for a pusher, or has its badge looked at, and sees that it has a timer.
    async fn hand(&self, user: u64, pusher: u64, waiting: Option<&Waiting>, claim: &Claim) -> Result<(), StoreError> {
        let (store, key) = (self.store(), state_key(user, pusher));
        for _ in 0..limits::WRITE_TRIES {
            // Without a row the pusher has gone.
            let Some(Found { mut row, version: before, .. }) = store.get(&STATES, &key).await? else { return Ok(()) };
            let adds = match waiting {
                Some(waiting) => row.add(waiting),
                None => row.look(),
            };
            if !adds {
                return Ok(());
            }
            let mut batch = Batch::new();
            if row.due_ms.is_none() {
                let now_ms = store.clock().now_ms();
                row.due_ms = Some(now_ms);
                TIMERS.schedule(&mut batch, now_ms, pusher, &TimerRow { user });
            }
            claim.take::<EventRow>(&mut batch, &[]);
            expect(&mut batch, key.clone(), before);
            STATES.put_with(&mut batch, key.clone(), version(store), &[], &row);
            match store.commit(batch).await {
                Ok(_) => return Ok(()),
                Err(StoreError::Lost(Losing::Rebuild)) => {}
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Engine(wardstead_engine::EngineError::Busy("a pusher changes too fast")))
    }

    pub(crate) async fn room_id(&self, room: u64) -> Result<OwnedRoomId, StoreError> {
        let found = self.rooms().rooms_by_short_id(&[room]).await.map_err(|error| of_push(error.into()))?;
        let missing = || corrupt(&crate::tables::tally_key(room), "an event of no room");
        found.first().map(|room| room.room_id.clone()).ok_or_else(missing)
    }
}

impl StateRow {
    /// Whether the event is a new one. Where too much waits the oldest gives way: its number is told all the same.
    fn add(&mut self, waiting: &Waiting) -> bool {
        let handed = self.handed.iter().position(|(room, _)| *room == waiting.room);
        if let Some(at) = handed {
            if self.handed[at].1 >= waiting.position {
                return false;
            }
            self.handed.remove(at);
        }
        self.handed.insert(0, (waiting.room, waiting.position));
        self.handed.truncate(limits::REMEMBERED_ROOMS);
        self.waiting.push(waiting.clone());
        if self.waiting.len() > limits::WAITING_EVENTS {
            self.waiting.remove(0);
            self.dropped = true;
        }
        true
    }

    /// Whether the gateway may have been told of more than there is.
    fn look(&mut self) -> bool {
        // Where something waits it may be on its way, with what was unread before. The row is written anew even if it says so
        // already: who is sending sees by that that more has happened.
        let is_due = !self.waiting.is_empty() || self.told.is_some_and(|told| told > 0);
        self.badge |= is_due;
        is_due
    }
}
