//! A writer sends numbered messages one after another and remembers what the server promised.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::sync::Semaphore;

use crate::user::{Sent, User};

/// Nothing acknowledged for so long is a fault.
const STANDING_STILL: Duration = Duration::from_mins(1);

/// Between two attempts of a client whose connection failed.
const AGAIN: Duration = Duration::from_millis(20);

/// What tasks under load share.
#[derive(Clone, Debug)]
pub struct Load {
    /// Gets a permit per acknowledged send.
    acknowledged: Arc<Semaphore>,
    /// Writer and sequence number of each of them.
    log: Arc<Mutex<Vec<(usize, usize)>>>,
    /// Set just before the kill: from then on a missing answer is no fault.
    ending: Arc<AtomicBool>,
}

impl Default for Load {
    fn default() -> Self {
        Self { acknowledged: Arc::new(Semaphore::new(0)), log: Arc::default(), ending: Arc::default() }
    }
}

impl Load {
    /// Waits until `sends` more are acknowledged than in earlier calls.
    ///
    /// # Errors
    /// When that takes longer than a minute.
    pub async fn acknowledged(&self, sends: u32) -> Result<()> {
        let waiting = tokio::time::timeout(STANDING_STILL, self.acknowledged.acquire_many(sends));
        waiting.await.context("the writers stand still")??.forget();
        Ok(())
    }

    /// Writer and sequence number of each message that is acknowledged so far.
    #[must_use]
    pub fn so_far(&self) -> Vec<(usize, usize)> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Message `sequence` of `writer` is acknowledged.
    pub fn add(&self, writer: usize, sequence: usize) {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).push((writer, sequence));
        self.acknowledged.add_permits(1);
    }

    /// From now on a missing answer is no fault, or is one again.
    pub fn set_ending(&self, ending: bool) {
        self.ending.store(ending, Ordering::SeqCst);
    }

    /// Whether a missing answer is no fault.
    #[must_use]
    pub fn is_ending(&self) -> bool {
        self.ending.load(Ordering::SeqCst)
    }
}

/// One writer, through all rounds.
#[derive(Clone, Debug)]
pub struct Writer {
    /// Tells the writers apart.
    pub number: usize,
    /// Who writes.
    pub user: User,
    /// Where to.
    pub room: String,
    /// Event ids by sequence number; `None` for the one that was sent last and not acknowledged.
    pub sent: Vec<Option<String>>,
}

impl Writer {
    /// Has sent nothing yet.
    #[must_use]
    pub fn new(number: usize, user: User, room: &str) -> Self {
        Self { number, user, room: room.to_owned(), sent: Vec::new() }
    }

    /// Body and transaction id of message `sequence`.
    #[must_use]
    pub fn label(&self, sequence: usize) -> String {
        format!("w{}-{sequence}", self.number)
    }

    /// Sends until the server is gone.
    ///
    /// # Errors
    /// When a send is refused, or not answered before that.
    pub async fn run(mut self, load: Load) -> Result<Self> {
        loop {
            let label = self.label(self.sent.len());
            match self.user.send(&self.room, &label, &label).await? {
                Sent::Acknowledged(event) => {
                    load.add(self.number, self.sent.len());
                    self.sent.push(Some(event));
                }
                Sent::Unknown if load.is_ending() => {
                    self.sent.push(None);
                    return Ok(self);
                }
                Sent::Unknown => bail!("the server dropped the connection of {} before it was killed", self.user.id),
            }
        }
    }

    /// Sends until `count` messages are acknowledged; one whose answer is missing while the load allows it is sent again under
    /// its transaction id, wherever the client turns next.
    ///
    /// # Errors
    /// When a send is refused, or not answered while it must be.
    pub async fn send_until(&mut self, count: usize, load: &Load) -> Result<()> {
        while self.sent.len() < count {
            let label = self.label(self.sent.len());
            match self.user.send(&self.room, &label, &label).await? {
                Sent::Acknowledged(event) => {
                    load.add(self.number, self.sent.len());
                    self.sent.push(Some(event));
                }
                Sent::Unknown if load.is_ending() => tokio::time::sleep(AGAIN).await,
                Sent::Unknown => bail!("{label} was not answered though no node was killed"),
            }
        }
        Ok(())
    }

    /// Numbers of messages that were not acknowledged.
    pub fn unacknowledged(&self) -> impl Iterator<Item = usize> {
        self.sent.iter().enumerate().filter(|(_, event)| event.is_none()).map(|(sequence, _)| sequence)
    }

    /// How many were acknowledged.
    #[must_use]
    pub fn promised(&self) -> usize {
        self.sent.iter().flatten().count()
    }
}
