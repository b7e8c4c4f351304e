//! Telling gateways what waits for a pusher.
//!
//! A pusher has at most one timer. When it is due a task of its own sends what waits, in order, a few at a time, and writes down what was sent;
//! where the gateway fails the timer is set anew, later and later. Whoever writes asserts the lease, so that one node sends.

use std::{collections::HashSet, sync::Arc};

use async_trait::async_trait;
use parking_lot::Mutex;
use ruma::EventId;
use wardstead_engine::{Batch, EngineError, Key, Losing, Position};
use wardstead_limits::pushers as limits;
use wardstead_rooms::{Membership, Rooms};
use wardstead_store::{Claim, Fired, Found, Store, StoreError, TimerHandler, Timers};

use crate::{
    Push,
    error::{corrupt, of_push},
    pushers::{
        Pushers,
        body::{To, Told, body},
        edit::{self, Edit},
        figures::PusherFigures,
        gateway::{Gateway, GatewayAnswer},
        hosts::Hosts,
        tables::{PusherRow, STATES, StateRow, TIMERS, TimerRow, Waiting, state_key},
        without::Without,
    },
    rules::version,
    work::expect,
};

/// Where the work with pushers is done.
pub(crate) struct Desk {
    pushers: Pushers,
    rooms: Rooms,
    gateway: Arc<dyn Gateway>,
    hosts: Hosts,
    /// Timers that a task of this node is at.
    at_work: Mutex<HashSet<Key>>,
    /// Those of which it could not read or write what it had to.
    failed: Mutex<HashSet<Key>>,
}

/// A timer that a task is at.
struct AtWork {
    desk: Arc<Desk>,
    key: Key,
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.desk.at_work.lock().remove(&self.key);
    }
}

/// Fires [`TIMERS`].
pub(crate) struct Clerk(pub(crate) Arc<Desk>);

#[async_trait]
impl TimerHandler<TimerRow> for Clerk {
    async fn fire(&self, timer: &Found<TimerRow>, claim: &Claim) -> Result<Fired, StoreError> {
        if self.0.failed.lock().remove(&timer.key) {
            return Ok(Fired::Later);
        }
        let begins = {
            let mut at_work = self.0.at_work.lock();
            at_work.len() < limits::WORK_ENTRIES && at_work.insert(timer.key.clone())
        };
        if begins {
            let guard = AtWork { desk: Arc::clone(&self.0), key: timer.key.clone() };
            let (timer, claim) = (timer.clone(), claim.clone());
            tokio::spawn(async move {
                if let Err(error) = guard.desk.work(&timer, &claim).await {
                    tracing::warn!(%error, "a pusher is looked at again later");
                    let mut failed = guard.desk.failed.lock();
                    // What is forgotten is only tried again sooner.
                    if failed.len() >= limits::WORK_ENTRIES {
                        failed.clear();
                    }
                    failed.insert(timer.key.clone());
                }
            });
        }
        // One that is not begun for lack of room is fired again soon.
        Ok(Fired::Begun)
    }
}

/// What came of a few notifications.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts")]
struct Sent {
    /// Are not to be sent any more: sent, read, or too old.
    done: Vec<(u64, u64)>,
    dropped: bool,
    /// What the gateway was last told to be unread.
    told: Option<u64>,
    /// Whether what is unread was told, or need not be.
    counted: bool,
    failed: bool,
    /// Whether the gateway does not know the push key.
    rejected: bool,
}

impl Desk {
    pub(crate) fn without(&self) -> &Without {
        &self.pushers.without
    }

    pub(crate) fn new(pushers: Pushers, rooms: Rooms, gateway: Arc<dyn Gateway>) -> Arc<Self> {
        Arc::new(Self {
            pushers,
            rooms,
            gateway,
            hosts: Hosts::default(),
            at_work: Mutex::default(),
            failed: Mutex::default(),
        })
    }

    pub(crate) fn push(&self) -> &Push {
        &self.pushers.push
    }

    pub(crate) fn rooms(&self) -> &Rooms {
        &self.rooms
    }

    pub(crate) fn store(&self) -> &Store {
        self.pushers.store()
    }

    fn figures(&self) -> &PusherFigures {
        &self.pushers.figures
    }

    /// Sends what waits for the timer's pusher, until nothing does or the gateway fails.
    async fn work(&self, timer: &Found<TimerRow>, claim: &Claim) -> Result<(), StoreError> {
        let user = timer.row.user;
        let due = Timers::<TimerRow>::due(&timer.key);
        let (due_ms, number) = due.ok_or_else(|| corrupt(&timer.key, "not the key of a timer"))?;
        loop {
            let key = state_key(user, number);
            let state = self.store().get(&STATES, &key).await?.filter(|state| state.row.due_ms == Some(due_ms));
            let (pushers, _) = edit::pushers(self.store(), user).await?;
            let pusher = pushers.pushers.into_iter().find(|pusher| pusher.number == number);
            let (Some(state), Some(pusher)) = (state, pusher) else {
                // The pusher has gone, or the timer is one of before.
                let mut batch = Batch::new();
                claim.take(&mut batch, std::slice::from_ref(timer));
                return self.store().commit(batch).await.map(drop);
            };
            let sent = self.send(user, &pusher, &state.row).await?;
            if sent.rejected {
                return self.remove(user, number, timer, claim).await;
            }
            if self.note(user, number, &state, &sent, timer, claim).await? {
                return Ok(());
            }
        }
    }

    /// Sends the first of what waits.
    async fn send(&self, user: u64, pusher: &PusherRow, state: &StateRow) -> Result<Sent, StoreError> {
        // Before anything is looked at: a pusher that cannot be read loses nothing of what waits for it.
        let data = pusher.data(user)?;
        let to = To { pusher, data: &data };
        let mut sent = Sent { told: state.told, ..Sent::default() };
        let oldest_ms = self.store().clock().now_ms().saturating_sub(limits::WAITING_MS);
        let mut tried = 0;
        for waiting in &state.waiting {
            let is_old = waiting.since_ms < oldest_ms;
            if !is_old && tried == limits::SENT_EVENTS {
                return Ok(sent);
            }
            let prepared = if is_old { Ok(None) } else { self.prepare(user, to, waiting).await };
            let prepared = match prepared {
                // One room's damage does not keep other rooms from being told of.
                Err(StoreError::Engine(error @ EngineError::Corrupt { .. })) => {
                    tracing::error!(%error, "an event cannot be told");
                    sent.dropped = true;
                    None
                }
                other => other?,
            };
            sent.dropped |= is_old;
            if let Some((told, unread)) = prepared {
                tried += 1;
                if !self.tell(pusher, told, unread, &mut sent).await {
                    return Ok(sent);
                }
            }
            sent.done.push((waiting.room, waiting.position));
        }
        if state.badge || state.dropped || sent.dropped {
            let unread = self.push().unread_everywhere(&self.rooms, user).await.map_err(of_push)?;
            let is_news = sent.told.map_or(unread > 0, |told| told != unread);
            if is_news {
                let body = body(to, None, unread).map_err(|_| unreadable(user, pusher))?;
                if !self.tell(pusher, body, unread, &mut sent).await {
                    return Ok(sent);
                }
            }
        }
        sent.counted = true;
        Ok(sent)
    }

    /// What is told of an event; `None`: it is to be told no more.
    async fn prepare(
        &self,
        user: u64,
        to: To<'_>,
        waiting: &Waiting,
    ) -> Result<Option<(bytes::Bytes, u64)>, StoreError> {
        let now = self.rooms.user_rooms_among(user, &[waiting.room]).await.map_err(|error| of_push(error.into()))?;
        if !now.iter().any(|room| matches!(room.membership, Membership::Join | Membership::Invite)) {
            return Ok(None);
        }
        let room_id = self.room_id(waiting.room).await?;
        let position = Position(waiting.position);
        let Some(notified) = self.push().notified(waiting.room, &room_id, position).await.map_err(of_push)? else {
            return Ok(None);
        };
        let due = self.push().due(&notified, &[user]).await.map_err(of_push)?;
        let Some((_, notice)) = due.into_iter().next() else { return Ok(None) };
        let event_id = EventId::parse(&waiting.event_id).map_err(|_| unreadable(user, to.pusher))?;
        let event = self.rooms.stored_event(&room_id, &event_id).await.map_err(|error| of_push(error.into()))?;
        let Some(event) = event.filter(|event| event.is_shown() && event.redaction.is_none()) else { return Ok(None) };
        let may_be_full = self.pushers.policy.full_content && !to.wants_ids_only();
        let full = may_be_full
            && event.event_type == ruma::events::TimelineEventType::RoomEncrypted
            && self.rooms.is_encrypted(waiting.room).await.map_err(|error| of_push(error.into()))?;
        let unread = self.push().unread_everywhere(&self.rooms, user).await.map_err(of_push)?;
        let told = Told { event: &event, tweaks: notice.tweaks(), full };
        let body = body(to, Some(told), unread).map_err(|_| unreadable(user, to.pusher))?;
        Ok(Some((body, unread)))
    }

    /// Tells the gateway. Whether to go on.
    async fn tell(&self, pusher: &PusherRow, body: bytes::Bytes, unread: u64, sent: &mut Sent) -> bool {
        let host = self.pushers.policy.check(&pusher.url).ok();
        let host = host.and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
        let ask = async {
            let answer = self.gateway.notify(&pusher.url, body).await;
            let taken = matches!(answer, GatewayAnswer::Taken { .. });
            (answer, taken)
        };
        match self.hosts.ask(&host, ask).await {
            Some(GatewayAnswer::Taken { rejected }) if rejected.contains(&pusher.pushkey) => {
                self.figures().rejected();
                sent.rejected = true;
            }
            Some(GatewayAnswer::Taken { .. }) => {
                self.figures().sent();
                sent.told = Some(unread);
                return true;
            }
            Some(GatewayAnswer::Failed(why)) => {
                self.figures().failed();
                tracing::info!(host, why, "a push gateway did not take a notification");
                sent.failed = true;
            }
            None => sent.failed = true,
        }
        false
    }

    /// Removes a pusher that its gateway does not know any more.
    async fn remove(&self, user: u64, number: u64, timer: &Found<TimerRow>, claim: &Claim) -> Result<(), StoreError> {
        for _ in 0..limits::WRITE_TRIES {
            let mut edit = Edit::new(self.store());
            edit.remove(user, |pusher| pusher.number == number).await?;
            let mut batch = edit.finish(version(self.store()));
            claim.take(&mut batch, std::slice::from_ref(timer));
            match self.store().commit(batch).await {
                Err(StoreError::Lost(Losing::Rebuild)) => {}
                done => return done.map(drop),
            }
        }
        Ok(())
    }

    /// Writes down what was sent. Whether the work with this timer is done.
    async fn note(
        &self,
        user: u64,
        number: u64,
        before: &Found<StateRow>,
        sent: &Sent,
        timer: &Found<TimerRow>,
        claim: &Claim,
    ) -> Result<bool, StoreError> {
        let (store, mut found) = (self.store(), before.clone());
        for _ in 0..limits::WRITE_TRIES {
            let is_alone = found.version == before.version;
            let row = sent.applied(&found.row, is_alone, store.clock().now_ms());
            let again_ms = sent.failed.then(|| self.again_ms(row.failures));
            let rests = again_ms.is_some() || (row.waiting.is_empty() && !row.badge && !row.dropped);
            let mut batch = Batch::new();
            let row = if rests {
                claim.take(&mut batch, std::slice::from_ref(timer));
                if let Some(again_ms) = again_ms {
                    TIMERS.schedule(&mut batch, again_ms, number, &TimerRow { user });
                }
                StateRow { due_ms: again_ms, ..row }
            } else {
                claim.take::<TimerRow>(&mut batch, &[]);
                row
            };
            expect(&mut batch, found.key.clone(), found.version);
            STATES.put_with(&mut batch, found.key.clone(), version(store), &[], &row);
            match store.commit(batch).await {
                Err(StoreError::Lost(Losing::Rebuild)) => {}
                done => return done.map(|_| rests),
            }
            match store.get(&STATES, &found.key).await? {
                Some(now) => found = now,
                // The pusher has gone: the next look takes the timer.
                None => return Ok(false),
            }
        }
        Ok(false)
    }

    /// When a pusher is tried again after so many failures: each time twice as late, with up to half of it taken off by chance, so that those
    /// that failed together do not come back together.
    fn again_ms(&self, failures: u32) -> u64 {
        let doubled = limits::RETRY_MS.saturating_mul(1 << failures.saturating_sub(1).min(20));
        let pause_ms = doubled.min(limits::RETRY_MOST_MS);
        let less_ms = self.store().rng().next_u64() % (pause_ms / 2 + 1);
        self.store().clock().now_ms() + pause_ms - less_ms
    }
}

/// What waits for the pusher, or an event of it, is not what was written.
fn unreadable(user: u64, pusher: &PusherRow) -> StoreError {
    corrupt(&state_key(user, pusher.number), "an event that waits cannot be read")
}

impl Sent {
    /// The row with it; `is_alone`: nobody has changed it since it was sent.
    fn applied(&self, row: &StateRow, is_alone: bool, now_ms: u64) -> StateRow {
        let mut row = row.clone();
        row.waiting.retain(|waiting| !self.done.contains(&(waiting.room, waiting.position)));
        row.dropped |= self.dropped;
        row.told = self.told;
        if self.counted && is_alone {
            (row.badge, row.dropped) = (false, false);
        }
        if self.failed {
            row.failures = row.failures.saturating_add(1);
            row.failing_since_ms = row.failing_since_ms.or(Some(now_ms));
        } else {
            (row.failures, row.failing_since_ms) = (0, None);
        }
        row
    }
}
