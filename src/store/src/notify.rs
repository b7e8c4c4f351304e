//! One notifier per user: the tail tells it which rooms and users changed, it wakes the users' waiting requests.
//!
//! A wake-up is a hint. A listener that misses one finds the news at its next look, and everything it looks at is read
//! from the engine.

mod members;
mod receipts;

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use parking_lot::Mutex;
use prometheus_client::metrics::counter::Counter;
use quick_cache::sync::Cache;
use tokio::sync::Notify;
use wardstead_limits::store as limits;

use crate::StoreError;

use members::{Bytes, Members};
use receipts::Paced;

/// Who is to be woken when a room changes. `rooms` implements it; the binary wires it.
#[async_trait]
pub trait Audience: Send + Sync + 'static {
    /// Short ids of the local users whose sync shows the room: joined now.
    ///
    /// # Errors
    /// Reading failed. Everybody who waits is woken then.
    async fn local_members(&self, room: u64) -> Result<Vec<u64>, StoreError>;

    /// Short ids of the rooms that the local user `user` is in now.
    ///
    /// # Errors
    /// As [`Self::local_members`].
    async fn rooms_of(&self, user: u64) -> Result<Vec<u64>, StoreError>;
}

/// A request that waits. Thousands do at once, so it is small.
#[derive(Debug, Default)]
struct Signal {
    /// Keeps a wake-up for who does not wait yet.
    woken: Notify,
    ended: AtomicBool,
}

impl Signal {
    fn end(&self) {
        self.ended.store(true, Ordering::Release);
        self.woken.notify_one();
    }
}

/// The waiting requests of each user, the oldest first. Nobody is in it without one.
type Users = Arc<Mutex<HashMap<u64, Vec<Arc<Signal>>>>>;

pub(crate) struct Notifier {
    users: Users,
    audience: OnceLock<Arc<dyn Audience>>,
    /// Moved by the tail when a membership changes, and filled by it alone, so that it never lags behind.
    members: Cache<u64, Arc<Members>, Bytes>,
    /// Rooms whose members were woken for receipts a moment ago.
    paced: Mutex<Paced>,
    /// Users who were woken, for the metrics.
    woken: Counter,
}

/// Why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// Something of the user's may have changed.
    News,
    /// The user has too many waiting requests, and this is the oldest; or the server is shutting down.
    Ended,
}

/// Waits for news of one user. Registered from its creation on: what happens between a look and a wait is not missed.
#[derive(Debug)]
pub struct Listener {
    user: u64,
    signal: Arc<Signal>,
    users: Users,
}

impl Listener {
    /// Returns when something of the user's may have changed since the listener was made or last returned.
    pub async fn woken(&mut self) -> Woken {
        if !self.signal.ended.load(Ordering::Acquire) {
            self.signal.woken.notified().await;
        }
        if self.signal.ended.load(Ordering::Acquire) { Woken::Ended } else { Woken::News }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut users = self.users.lock();
        let Some(waiting) = users.get_mut(&self.user) else { return };
        waiting.retain(|signal| !Arc::ptr_eq(signal, &self.signal));
        if waiting.is_empty() {
            users.remove(&self.user);
        }
    }
}

impl Notifier {
    pub(crate) fn new(woken: Counter) -> Self {
        let items = usize::try_from(limits::AUDIENCE_CACHE_BYTES / 256).unwrap_or(usize::MAX);
        Self {
            users: Users::default(),
            audience: OnceLock::new(),
            members: Cache::with_weighter(items, limits::AUDIENCE_CACHE_BYTES, Bytes),
            paced: Mutex::default(),
            woken,
        }
    }

    /// The first call counts.
    pub(crate) fn set_audience(&self, audience: Arc<dyn Audience>) {
        drop(self.audience.set(audience));
    }

    /// A listener for `user`. Beyond [`limits::WAITERS_PER_USER`] the oldest is ended.
    pub(crate) fn listen(&self, user: u64) -> Listener {
        let mut users = self.users.lock();
        let waiting = users.entry(user).or_insert_with(|| Vec::with_capacity(1));
        let signal = Arc::<Signal>::default();
        waiting.push(Arc::clone(&signal));
        let beyond = waiting.len().saturating_sub(limits::WAITERS_PER_USER);
        waiting.iter().take(beyond).for_each(|oldest| oldest.end());
        Listener { user, signal, users: Arc::clone(&self.users) }
    }

    /// Requests that wait.
    pub(crate) fn waiting(&self) -> usize {
        self.users.lock().values().map(Vec::len).sum()
    }

    /// Bytes of the cache of who is in which room.
    pub(crate) fn cached_bytes(&self) -> u64 {
        self.members.weight()
    }

    /// `user`'s own scope changed, or a room that they see.
    pub(crate) fn wake(&self, user: u64) {
        self.woken.inc();
        wake_all(&self.users, &[user]);
    }

    /// Ends every wait.
    pub(crate) fn end_all(&self) {
        self.users.lock().values().flatten().for_each(|signal| signal.end());
    }

    /// `user` is in `room` now, or not any more: as `is_in`, the rest of the journal entry's key, says.
    pub(crate) fn member_changed(&self, room: u64, user: u64, is_in: &[u8]) {
        // Nobody else changes it, and with nobody else looking at it right now this copies nothing.
        let Some((_, mut members)) = self.members.remove(&room) else { return };
        match is_in {
            [1] => Arc::make_mut(&mut members).add(user),
            [0] => Arc::make_mut(&mut members).remove(user),
            _ => return,
        }
        self.members.insert(room, members);
    }

    /// Wakes the members of the rooms that changed, each user once. Called by the tail after it has published its
    /// position, from one task.
    pub(crate) async fn rooms_changed(&self, rooms: &[u64]) {
        if self.users.lock().is_empty() {
            return;
        }
        let mut woken = HashSet::new();
        for room in rooms {
            match self.members(*room).await {
                Ok(members) => woken.extend(self.listening(&members)),
                Err(error) => {
                    tracing::warn!(%error, "members could not be read; waking everybody");
                    woken.extend(self.users.lock().keys().copied());
                }
            }
        }
        self.wake_spread(woken.into_iter().collect());
    }

    /// Wakes whoever shares a room with one of `users`, whose devices or keys changed. Called by the tail, as [`Self::rooms_changed`].
    pub(crate) async fn lists_changed(&self, users: &[u64]) {
        if users.is_empty() || self.users.lock().is_empty() {
            return;
        }
        let mut shared = BTreeSet::new();
        for user in users {
            let rooms = match self.audience.get() {
                Some(audience) => audience.rooms_of(*user).await,
                None => Err(StoreError::Closed),
            };
            match rooms {
                Ok(rooms) => shared.extend(rooms),
                Err(error) => {
                    tracing::warn!(%error, "rooms could not be read; waking everybody");
                    let everybody = self.users.lock().keys().copied().collect();
                    return self.wake_spread(everybody);
                }
            }
        }
        self.rooms_changed(&shared.into_iter().collect::<Vec<_>>()).await;
    }

    /// Wakes the members of a room of which something is told that is not in the journal, or that may wait; how many. Called by
    /// anybody: it must not fill the cache of members, which the tail keeps true.
    pub(crate) async fn room_hinted(&self, room: u64) -> usize {
        if self.users.lock().is_empty() {
            return 0;
        }
        let members = match (self.members.get(&room), self.audience.get()) {
            (Some(members), _) => Ok(members),
            (None, Some(audience)) => audience.local_members(room).await.map(|users| Arc::new(Members::new(users))),
            (None, None) => Ok(Arc::new(Members::new(self.users.lock().keys().copied().collect()))),
        };
        match members {
            Ok(members) => {
                let listening = self.listening(&members);
                let count = listening.len();
                self.wake_spread(listening);
                count
            }
            Err(error) => {
                tracing::debug!(%error, "members could not be read; a hint is lost");
                0
            }
        }
    }

    /// Those of `members` who wait. Looks at the fewer of the two: most members of a large room do not wait.
    fn listening(&self, members: &Members) -> Vec<u64> {
        let listening = self.users.lock();
        if listening.len() < members.as_slice().len() {
            listening.keys().copied().filter(|user| members.contains(*user)).collect()
        } else {
            members.as_slice().iter().copied().filter(|user| listening.contains_key(user)).collect()
        }
    }

    async fn members(&self, room: u64) -> Result<Arc<Members>, StoreError> {
        if let Some(members) = self.members.get(&room) {
            return Ok(members);
        }
        // Whoever does not say who is concerned gets everybody woken.
        let audience = self.audience.get().ok_or(StoreError::Closed)?;
        let members = Arc::new(Members::new(audience.local_members(room).await?));
        self.members.insert(room, Arc::clone(&members));
        Ok(members)
    }

    /// Ten thousand syncs at the same instant would delay each other and everything else. What is beyond the first burst
    /// is woken by a task of its own, so that the tail goes on.
    fn wake_spread(&self, mut users: Vec<u64>) {
        self.woken.inc_by(users.len() as u64);
        let later = users.split_off(users.len().min(limits::WAKE_BURST));
        wake_all(&self.users, &users);
        if later.is_empty() {
            return;
        }
        let bursts = later.len().div_ceil(limits::WAKE_BURST) as u64;
        let pause = Duration::from_millis(limits::WAKE_PAUSE_MS.min(limits::WAKE_SPREAD_MS / bursts));
        let listening = Arc::clone(&self.users);
        tokio::spawn(async move {
            for burst in later.chunks(limits::WAKE_BURST) {
                tokio::time::sleep(pause).await;
                wake_all(&listening, burst);
            }
        });
    }
}

fn wake_all(listening: &Users, users: &[u64]) {
    let listening = listening.lock();
    users.iter().filter_map(|user| listening.get(user)).flatten().for_each(|signal| signal.woken.notify_one());
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Everybody;

    #[async_trait]
    impl Audience for Everybody {
        async fn local_members(&self, room: u64) -> Result<Vec<u64>, StoreError> {
            if room == 0 { Err(StoreError::Closed) } else { Ok(vec![room, room + 1]) }
        }

        async fn rooms_of(&self, user: u64) -> Result<Vec<u64>, StoreError> {
            if user == 0 { Err(StoreError::Closed) } else { Ok(vec![user]) }
        }
    }

    async fn is_woken(listener: &mut Listener) -> Option<Woken> {
        tokio::time::timeout(Duration::from_millis(1), listener.woken()).await.ok()
    }

    #[tokio::test(start_paused = true)]
    async fn wakes_members_and_nobody_else() {
        let notifier = Notifier::new(Counter::default());
        notifier.set_audience(Arc::new(Everybody));
        let (mut five, mut six, mut six_too, mut seven) =
            (notifier.listen(5), notifier.listen(6), notifier.listen(6), notifier.listen(7));
        notifier.rooms_changed(&[5]).await;
        assert_eq!(is_woken(&mut five).await, Some(Woken::News));
        assert_eq!(is_woken(&mut six).await, Some(Woken::News));
        assert_eq!(is_woken(&mut six_too).await, Some(Woken::News), "every request of a user is woken");
        assert_eq!(is_woken(&mut seven).await, None);
        assert_eq!(is_woken(&mut five).await, None, "one wake-up, one return");
        // When the members cannot be read, everybody looks.
        notifier.rooms_changed(&[0]).await;
        assert_eq!(is_woken(&mut seven).await, Some(Woken::News));
    }

    #[tokio::test(start_paused = true)]
    async fn another_device_of_a_user_wakes_who_shares_a_room() {
        let notifier = Notifier::new(Counter::default());
        notifier.set_audience(Arc::new(Everybody));
        let (mut five, mut six, mut seven) = (notifier.listen(5), notifier.listen(6), notifier.listen(7));
        notifier.lists_changed(&[5]).await;
        assert_eq!(is_woken(&mut five).await, Some(Woken::News));
        assert_eq!(is_woken(&mut six).await, Some(Woken::News));
        assert_eq!(is_woken(&mut seven).await, None);
        notifier.lists_changed(&[5, 0]).await;
        assert_eq!(is_woken(&mut seven).await, Some(Woken::News));
    }

    #[tokio::test(start_paused = true)]
    async fn too_many_waits_end_the_oldest_and_leave_nothing_behind() {
        let notifier = Notifier::new(Counter::default());
        let mut listeners: Vec<_> = (0..=limits::WAITERS_PER_USER).map(|_| notifier.listen(1)).collect();
        assert_eq!(is_woken(&mut listeners[0]).await, Some(Woken::Ended));
        assert_eq!(is_woken(&mut listeners[1]).await, None, "the others wait on");
        drop(listeners);
        assert!(notifier.users.lock().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn shutting_down_ends_every_wait() {
        let notifier = Notifier::new(Counter::default());
        let mut listener = notifier.listen(1);
        notifier.end_all();
        assert_eq!(is_woken(&mut listener).await, Some(Woken::Ended));
    }
}
