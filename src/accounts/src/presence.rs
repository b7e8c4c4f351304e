//! Who is there (Client-Server API, Presence).
//!
//! Soft state in each node's memory. A node vouches for the devices that sync at it, for [`limits::PRESENCE_VOUCHED_MS`] at a
//! time, and says so on the bus; a user is there while some node vouches for one of their devices. Every node judges by the same
//! rules from the same messages, so that all come to the same result at the same time. `docs/design/07-ephemeral.md`.

mod judge;
mod message;
mod state;
mod tasks;
#[cfg(test)]
mod tests;

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;
use ruma::{OwnedUserId, UserId};
use tokio::sync::{Notify, oneshot, watch};
use wardstead_limits::ephemeral as limits;
use wardstead_store::Store;

use crate::Session;
use message::{Entry, Vouched, What};
use state::State;

/// How a user is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum PresenceState {
    /// At a device.
    #[default]
    Online,
    /// Connected, but not at a device of late.
    Unavailable,
    /// Not connected, or does not wish to be seen.
    Offline,
}

impl PresenceState {
    /// Its name in the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Unavailable => "unavailable",
            Self::Offline => "offline",
        }
    }
}

/// What is told of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresenceOf {
    /// Short id.
    pub user: u64,
    /// Full id.
    pub user_id: OwnedUserId,
    /// How the user is there.
    pub state: PresenceState,
    /// What the user says about it.
    pub status: Option<String>,
    /// Milliseconds since the user last did something; `None`: not known.
    pub active_ago_ms: Option<u64>,
    /// When the state or the message last became another, in Unix milliseconds.
    pub changed_ms: u64,
}

/// Who is there, as far as this node knows. Cheap to clone.
#[derive(Clone)]
pub struct Presence {
    /// `None`: switched off.
    inner: Option<Arc<Inner>>,
    /// Dropped with the last clone, which ends the tasks.
    _running: Arc<oneshot::Sender<()>>,
}

impl std::fmt::Debug for Presence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Presence").field("enabled", &self.is_enabled()).finish_non_exhaustive()
    }
}

/// Up to when what happened is settled at a Unix second: every node has heard of it.
#[must_use]
pub fn settled_ms(second: u64) -> u64 {
    (second * 1_000).saturating_sub(limits::BUS_LATE_MS)
}

struct Inner {
    store: Store,
    /// This run of this node; another after a restart.
    node: u64,
    memory: Mutex<Memory>,
    /// Something waits to be told to the other nodes.
    news: Notify,
    /// When somebody last changed of whom every node has heard, in Unix milliseconds; 0: nobody ever.
    settled: watch::Sender<u64>,
}

#[derive(Default)]
struct Memory {
    state: State,
    /// Devices that sync at this node, or did of late, by user and device.
    here: HashMap<(u64, u64), Here>,
    waiting: Vec<Entry>,
}

struct Here {
    user_id: OwnedUserId,
    state: PresenceState,
    syncs: u32,
    ended_ms: u64,
}

/// A sync of a device that makes its user present. Dropped when it ends.
#[derive(Default)]
#[must_use]
pub struct Present(Option<(Arc<Inner>, (u64, u64))>);

impl std::fmt::Debug for Present {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Present")
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        let Some((inner, device)) = self.0.take() else { return };
        let now = inner.now();
        if let Some(here) = inner.memory.lock().here.get_mut(&device) {
            here.syncs = here.syncs.saturating_sub(1);
            here.ended_ms = now;
        }
    }
}

impl Presence {
    /// Nobody is there yet; listens to the store's bus from now on, on the current runtime. Not `enabled`: nobody ever is, and
    /// nothing is told to anybody.
    #[must_use]
    pub fn start(store: Store, enabled: bool) -> Self {
        let (running, ended) = oneshot::channel();
        let inner = enabled.then(|| {
            let node = store.rng().next_u64();
            let (news, settled) = (Notify::new(), watch::Sender::new(0));
            let inner = Arc::new(Inner { store, node, memory: Mutex::default(), news, settled });
            tasks::start(&inner, ended);
            inner
        });
        Self { inner, _running: Arc::new(running) }
    }

    /// Whether anything is kept at all.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.inner.is_some()
    }

    /// Bytes of what is known, of [`limits::PRESENCE_BYTES`].
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.inner.as_ref().map_or(0, |inner| inner.memory.lock().state.bytes())
    }

    /// A sync of `by` begins, which shows the user as `state`; [`PresenceState::Offline`] changes nothing. Keep the result until
    /// the sync ends.
    pub fn syncing(&self, by: &Session, state: PresenceState) -> Present {
        let Some(inner) = &self.inner else { return Present::default() };
        if state == PresenceState::Offline {
            return Present::default();
        }
        let now = inner.now();
        let mut memory = inner.memory.lock();
        let device = (by.user, by.device);
        let new = || Here { user_id: by.user_id.clone(), state, syncs: 0, ended_ms: now };
        let here = memory.here.entry(device).or_insert_with(new);
        here.syncs += 1;
        here.state = state;
        if memory.state.is_news(by.user, (inner.node, by.device), state, now) {
            inner.vouch(&mut memory, device, true, now);
        }
        drop(memory);
        Present(Some((Arc::clone(inner), device)))
    }

    /// `by` did something that shows that they are there: sent an event, typed.
    pub fn acted(&self, by: &Session) {
        let Some(inner) = &self.inner else { return };
        let now = inner.now();
        let mut memory = inner.memory.lock();
        if memory.state.is_worth_telling(by.user, now) {
            inner.tell(&mut memory, Entry::new(by.user, &by.user_id, now, What::Acted), now);
        }
    }

    /// `by` has another name or picture from now on, which those who are told of their presence are told with it. Of who was not there
    /// of late nothing is told.
    pub fn renamed(&self, by: &Session) {
        let Some(inner) = &self.inner else { return };
        let now = inner.now();
        let mut memory = inner.memory.lock();
        if memory.state.knows(by.user) {
            inner.tell(&mut memory, Entry::new(by.user, &by.user_id, now, What::Renamed), now);
        }
    }

    /// `by` says how they are there, and with `status` what about it; without it the message stays, an empty one removes it.
    /// The caller has checked its length ([`limits::PRESENCE_STATUS_BYTES`]).
    pub fn set(&self, by: &Session, state: PresenceState, status: Option<String>) {
        let Some(inner) = &self.inner else { return };
        let now = inner.now();
        let mut memory = inner.memory.lock();
        let (before, said_ms) = memory.state.said(by.user);
        let status = status.map_or(before, |status| Some(status).filter(|status| !status.is_empty()));
        let said_ms = now.max(said_ms + 1);
        inner.tell(&mut memory, Entry::new(by.user, &by.user_id, said_ms, What::Said { state, status }), now);
        if state != PresenceState::Offline {
            // Who says so without ever syncing is there for as long as somebody whose sync has just ended.
            let until_ms = memory.state.until_ms(by.user, (inner.node, by.device)).max(now + limits::PRESENCE_GONE_MS);
            let vouched_ms = memory.state.next_ms(by.user, (inner.node, by.device), now);
            let (node, device) = (inner.node, by.device);
            let device = Vouched { node, device, state, until_ms, marked_ms: said_ms, active_ms: now };
            inner.tell(&mut memory, Entry::new(by.user, &by.user_id, vouched_ms, What::Device(device)), now);
        }
    }

    /// What is known of the user with this short id; `None`: nothing, so offline.
    #[must_use]
    pub fn of(&self, user: u64) -> Option<PresenceOf> {
        let inner = self.inner.as_ref()?;
        let now = inner.now();
        inner.memory.lock().state.of(user, now)
    }

    /// Returns once every node has heard of a change of `from_ms` or later. May return up to [`limits::PRESENCE_TICK_MS`] after that.
    pub async fn settled_since(&self, from_ms: u64) {
        if let Some(inner) = &self.inner {
            let mut settled = inner.settled.subscribe();
            // Fails when there is no sender, which `inner` holds.
            if settled.wait_for(|newest_ms| *newest_ms >= from_ms).await.is_ok() {
                return;
            }
        }
        std::future::pending::<()>().await;
    }

    /// Short ids of the users whose presence became another from `from_ms` on and before `to_ms`, each with when it did, those that
    /// did last first, at most [`limits::PRESENCE_USERS`].
    #[must_use]
    pub fn changed(&self, from_ms: u64, to_ms: u64) -> Vec<(u64, u64)> {
        let Some(inner) = &self.inner else { return Vec::new() };
        let now = inner.now();
        inner.memory.lock().state.changed(from_ms, to_ms, now)
    }

    /// What is known of those of `users` of whom anything is, in their order.
    #[must_use]
    pub fn of_each(&self, users: &[u64]) -> Vec<PresenceOf> {
        let Some(inner) = &self.inner else { return Vec::new() };
        if users.is_empty() {
            return Vec::new();
        }
        let now = inner.now();
        let mut memory = inner.memory.lock();
        users.iter().filter_map(|user| memory.state.of(*user, now)).collect()
    }
}

impl Inner {
    fn now(&self) -> u64 {
        self.store.clock().now_ms()
    }

    /// Applies `entry` here and leaves it for the task that tells the others.
    fn tell(&self, memory: &mut Memory, entry: Entry, now: u64) {
        memory.state.apply(&entry, now);
        if memory.waiting.len() < limits::PRESENCE_WAITING_ENTRIES {
            memory.waiting.push(entry);
            self.news.notify_one();
        } else {
            tracing::debug!("too much presence waits for the bus; some is not told");
        }
    }

    /// Vouches for a device here, and repeats what its user said, for nodes that have not heard it. `marks`: a sync begins, which
    /// prevails over what the user said before.
    fn vouch(&self, memory: &mut Memory, (user, device): (u64, u64), marks: bool, now: u64) {
        let Some(Here { user_id, state, .. }) = memory.here.get(&(user, device)) else { return };
        let (user_id, state) = (user_id.clone(), *state);
        let vouched_ms = memory.state.next_ms(user, (self.node, device), now);
        let device = memory.state.vouch(user, (self.node, device), state, marks, now);
        let said = memory.state.repeated(user);
        self.tell(memory, Entry::new(user, &user_id, vouched_ms, What::Device(device)), now);
        if let Some((said_ms, said)) = said {
            self.tell(memory, Entry::new(user, &user_id, said_ms, said), now);
        }
    }

    /// Vouches again where it is time, and takes back what was vouched for who is gone.
    fn tick(&self) {
        let now = self.now();
        let mut memory = self.memory.lock();
        let (mut again, mut gone) = (Vec::new(), Vec::new());
        for (device, here) in &memory.here {
            let until_ms = memory.state.until_ms(device.0, (self.node, device.1));
            if here.syncs > 0 {
                again.extend((until_ms < now + limits::PRESENCE_RENEWED_MS).then_some(*device));
            } else if here.ended_ms + limits::PRESENCE_GONE_MS <= now {
                gone.push(*device);
            }
        }
        for device in again {
            self.vouch(&mut memory, device, false, now);
        }
        for (user, device) in gone {
            let Some(here) = memory.here.remove(&(user, device)) else { continue };
            let said_ms = memory.state.next_ms(user, (self.node, device), now);
            if let Some(device) = memory.state.taken_back(user, (self.node, device), now) {
                self.tell(&mut memory, Entry::new(user, &here.user_id, said_ms, What::Device(device)), now);
            }
        }
        let newest_ms = memory.state.newest_ms(settled_ms(now / 1_000), now);
        drop(memory);
        self.settled.send_if_modified(|settled| std::mem::replace(settled, newest_ms) != newest_ms);
    }

    fn heard(&self, payload: &[u8]) {
        let Some(entries) = message::decode(payload) else {
            tracing::debug!(bytes = payload.len(), "a message about presence cannot be read");
            return;
        };
        let now = self.now();
        let mut memory = self.memory.lock();
        for entry in entries {
            memory.state.apply(&entry, now);
        }
    }
}

impl Entry {
    fn new(user: u64, user_id: &UserId, said_ms: u64, what: What) -> Self {
        Self { user, user_id: user_id.to_owned(), said_ms, what }
    }
}
