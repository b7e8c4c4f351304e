//! Leases: work that one node at a time does.
//!
//! A lease says who works; the fencing number says whose writes count. Every batch of the work asserts it
//! ([`Held::assert`]), so that a node which was paused and still believes that it holds the lease loses. The engine's own
//! clock decides when a lease ends; the holder's clock only tells it when to stop hoping.

use std::{collections::HashSet, future::Future, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::sync::{oneshot, watch};
use wardstead_engine::{Batch, Engine, EngineError, Expect, Lease, LeaseRequest, Losing, Position, lease, system};
use wardstead_limits::{Clock, store as limits};

use crate::{StoreError, start::stopped};

/// What [`Losing::Fail`] says when a batch's lease has gone to somebody else.
pub const LEASE_LOST: &str = "the lease is lost";

/// Takes leases for this node. Clones are the same.
#[derive(Clone)]
pub struct Leases {
    inner: Arc<Inner>,
}

struct Inner {
    engine: Arc<dyn Engine>,
    clock: Arc<dyn Clock>,
    owner: u64,
    /// Held by this node, asked for, or being given back: to the engine all its tasks are one owner.
    names: Mutex<HashSet<String>>,
    /// Whether all are to be given back; its receivers are those that still renew.
    hand_over: watch::Sender<bool>,
}

impl Inner {
    async fn ask(&self, name: &str, ttl_ms: u64) -> Result<Option<Lease>, StoreError> {
        let asking = self.engine.lease(LeaseRequest { name: name.to_owned(), owner: self.owner, ttl_ms });
        let answer = tokio::time::timeout(Duration::from_millis(limits::LEASE_CALL_MS), asking).await;
        Ok(answer.map_err(|_| EngineError::Unavailable("a lease was asked for in vain".to_owned()))??)
    }
}

impl std::fmt::Debug for Leases {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Leases").field("names", &self.inner.names.lock()).finish_non_exhaustive()
    }
}

impl Leases {
    /// Leases that this node takes as `owner`.
    pub(crate) fn new(engine: Arc<dyn Engine>, clock: Arc<dyn Clock>, owner: u64) -> Self {
        let (names, hand_over) = (Mutex::default(), watch::Sender::new(false));
        Self { inner: Arc::new(Inner { engine, clock, owner, names, hand_over }) }
    }

    /// Waits until this node holds the lease `name`. Asks every [`limits::LEASE_RETRY_MS`], also while the engine cannot be
    /// reached.
    ///
    /// # Errors
    /// [`StoreError::Closed`] when leases are being handed over, the engine's `Invalid` for a name that is no key.
    pub async fn hold(&self, name: &str) -> Result<Held, StoreError> {
        let mut stop = self.inner.hand_over.subscribe();
        loop {
            match self.try_hold(name).await {
                Ok(Some(held)) => return Ok(held),
                Ok(None) => {}
                Err(error @ (StoreError::Closed | StoreError::Engine(EngineError::Invalid(_)))) => return Err(error),
                Err(error) => tracing::warn!(%error, name, "a lease could not be asked for"),
            }
            tokio::select! {
                biased;
                () = stopped(&mut stop) => return Err(StoreError::Closed),
                () = tokio::time::sleep(Duration::from_millis(limits::LEASE_RETRY_MS)) => {}
            }
        }
    }

    /// Takes the lease `name` if it is free. `None`: another node holds it, or another task of this one.
    ///
    /// # Errors
    /// The engine's; [`StoreError::Closed`] when leases are being handed over.
    pub async fn try_hold(&self, name: &str) -> Result<Option<Held>, StoreError> {
        if *self.inner.hand_over.borrow() {
            return Err(StoreError::Closed);
        }
        let Some(named) = Named::take(&self.inner, name) else { return Ok(None) };
        let mut renewal = Renewal::new(named);
        match renewal.ask(limits::LEASE_TTL_MS).await? {
            Some(lease) => Ok(Some(renewal.start(lease))),
            None => Ok(None),
        }
    }

    /// Takes the lease `name` for `ttl_ms`, once: nobody renews it. Gives the moment of this node's monotonic clock when it is over;
    /// `None`: another node holds it. For turns that nodes take, whose writes are safe without it: there is nothing to fence.
    ///
    /// # Errors
    /// The engine's; [`StoreError::Closed`] when leases are being handed over.
    pub async fn take(&self, name: &str, ttl_ms: u64) -> Result<Option<u64>, StoreError> {
        if *self.inner.hand_over.borrow() {
            return Err(StoreError::Closed);
        }
        // The engine counts from a later moment, so this one is safe.
        let asked_ms = self.inner.clock.monotonic_ms();
        let taken = self.inner.ask(name, ttl_ms).await?;
        Ok(taken.map(|_| asked_ms + ttl_ms))
    }

    /// Gives back what [`Self::take`] took, if it is not over.
    ///
    /// # Errors
    /// The engine's; the lease ends by itself then.
    pub async fn give_back(&self, name: &str) -> Result<(), StoreError> {
        self.inner.ask(name, 0).await.map(drop)
    }

    /// Whether another node holds the lease `name`, by this node's wall clock: a hint, with one read.
    ///
    /// # Errors
    /// The engine's.
    pub async fn held_elsewhere(&self, name: &str) -> Result<bool, StoreError> {
        let key = system::lease_key(name);
        let cells = self.inner.engine.get_many(Position::ZERO, std::slice::from_ref(&key)).await?;
        let Some(cell) = cells.into_iter().flatten().next() else { return Ok(false) };
        let (owner, lease) = lease::read(&key, &cell)?;
        Ok(owner != self.inner.owner && lease.expires_ms > self.inner.clock.now_ms())
    }

    /// Gives every lease back, and takes none any more. Returns when all are given back, at the latest after
    /// [`limits::LEASE_CALL_MS`] each, side by side; what cannot be given back ends by itself.
    pub(crate) async fn hand_over(&self) {
        self.inner.hand_over.send_replace(true);
        self.inner.hand_over.closed().await;
    }
}

/// A name that one task of this node works with.
struct Named {
    inner: Arc<Inner>,
    name: String,
}

impl Named {
    fn take(inner: &Arc<Inner>, name: &str) -> Option<Self> {
        let fresh = inner.names.lock().insert(name.to_owned());
        fresh.then(|| Self { inner: Arc::clone(inner), name: name.to_owned() })
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        self.inner.names.lock().remove(&self.name);
    }
}

/// A lease that this node holds. It renews itself; it is given back when this is dropped, and when the store closes.
#[derive(Debug)]
pub struct Held {
    name: String,
    fencing: u64,
    lost: watch::Receiver<bool>,
    /// Answered once the lease is given back.
    release: oneshot::Sender<oneshot::Sender<()>>,
}

impl Held {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The fencing number: a renewal keeps it, each new owner gets a larger one.
    #[must_use]
    pub fn fencing(&self) -> u64 {
        self.fencing
    }

    /// Lets `batch` win only while nobody else has taken the lease. Losing means [`LEASE_LOST`].
    pub fn assert(&self, batch: &mut Batch) {
        self.fence().assert(batch);
    }

    /// The assertion alone, for those who outlive this.
    pub(crate) fn fence(&self) -> Fence {
        Fence { name: self.name.clone(), fencing: self.fencing }
    }

    /// Whether this node had to stop counting on it.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        // No sender: the runtime is going down.
        *self.lost.borrow() || self.lost.has_changed().is_err()
    }

    /// Returns when it is lost: another node took it, it could not be renewed in time, or leases are being handed over.
    pub fn lost(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut lost = self.lost.clone();
        async move { stopped(&mut lost).await }
    }

    /// Gives it back and waits for that, so that another node may have it at once.
    pub async fn release(self) {
        let (done, given_back) = oneshot::channel();
        if self.release.send(done).is_ok() {
            drop(given_back.await);
        }
    }
}

/// The assertion that a lease has had no other owner since.
#[derive(Clone, Debug)]
pub(crate) struct Fence {
    name: String,
    fencing: u64,
}

impl Fence {
    pub(crate) fn assert(&self, batch: &mut Batch) {
        batch.expect(system::lease_key(&self.name), Expect::Version(self.fencing), Losing::Fail(LEASE_LOST));
    }
}

/// Renews one lease.
struct Renewal {
    named: Named,
    hand_over: watch::Receiver<bool>,
    fencing: u64,
    /// By the node's monotonic clock: from then on the lease may be somebody else's.
    ends_ms: u64,
}

impl Renewal {
    fn new(named: Named) -> Self {
        let hand_over = named.inner.hand_over.subscribe();
        Self { named, hand_over, fencing: 0, ends_ms: 0 }
    }

    fn now_ms(&self) -> u64 {
        self.named.inner.clock.monotonic_ms()
    }

    /// Asks the engine for the lease, or gives it back with a `ttl_ms` of 0.
    async fn ask(&mut self, ttl_ms: u64) -> Result<Option<Lease>, StoreError> {
        // The engine counts from a later moment, so this one is safe.
        let asked_ms = self.now_ms();
        let lease = self.named.inner.ask(&self.named.name, ttl_ms).await?;
        if lease.is_some() {
            self.ends_ms = asked_ms + ttl_ms;
        }
        Ok(lease)
    }

    fn start(mut self, lease: Lease) -> Held {
        let (lost_sender, lost) = watch::channel(false);
        let (release, released) = oneshot::channel();
        self.fencing = lease.fencing;
        let held = Held { name: self.named.name.clone(), fencing: lease.fencing, lost, release };
        tokio::spawn(async move {
            let done = self.keep(released).await;
            lost_sender.send_replace(true);
            if let Err(error) = self.ask(0).await {
                tracing::warn!(%error, name = self.named.name, "a lease was not given back; it ends by itself");
            }
            // The name is free before anybody is told so.
            drop(self);
            if let Some(done) = done {
                // Whoever waited may have gone.
                let _ = done.send(());
            }
        });
        held
    }

    /// Renews until the lease is lost or to be given back; returns who waits for that.
    async fn keep(&mut self, mut released: oneshot::Receiver<oneshot::Sender<()>>) -> Option<oneshot::Sender<()>> {
        let mut hand_over = self.hand_over.clone();
        let mut pause_ms = limits::LEASE_TTL_MS / 3;
        loop {
            tokio::select! {
                biased;
                done = &mut released => return done.ok(),
                () = stopped(&mut hand_over) => return None,
                () = tokio::time::sleep(Duration::from_millis(pause_ms)) => {}
            }
            // Giving back waits for an answer that is on its way: the engine must not see the two the other way round.
            match self.ask(limits::LEASE_TTL_MS).await {
                Ok(Some(lease)) if lease.fencing == self.fencing => pause_ms = limits::LEASE_TTL_MS / 3,
                // Somebody has it, or has had it in between.
                Ok(_) => {
                    tracing::warn!(name = self.named.name, "a lease is lost");
                    return None;
                }
                Err(error) => {
                    tracing::warn!(%error, name = self.named.name, "a lease could not be renewed");
                    pause_ms = limits::LEASE_RETRY_MS;
                }
            }
            if self.now_ms() >= self.ends_ms {
                tracing::warn!(name = self.named.name, "a lease was not renewed in time");
                return None;
            }
        }
    }
}
