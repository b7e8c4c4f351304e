//! A writer sends numbered messages one after another and remembers what the server promised.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Result, bail};
use harness::{Sent, User};
use tokio::sync::Semaphore;

/// What tasks under load share.
#[derive(Clone, Debug)]
pub struct Load {
    /// Gets a permit per acknowledged send.
    pub acknowledged: Arc<Semaphore>,
    /// Set just before the kill: from then on a missing answer is no fault.
    pub ending: Arc<AtomicBool>,
}

impl Load {
    pub fn new() -> Self {
        Self { acknowledged: Arc::new(Semaphore::new(0)), ending: Arc::new(AtomicBool::new(false)) }
    }

    pub fn is_ending(&self) -> bool {
        self.ending.load(Ordering::SeqCst)
    }
}

/// One writer, through all rounds.
#[derive(Clone, Debug)]
pub struct Writer {
    pub number: usize,
    pub user: User,
    pub room: String,
    /// Event ids by sequence number; `None` for the one that was sent last and not acknowledged.
    pub sent: Vec<Option<String>>,
}

impl Writer {
    /// Body and transaction id of message `sequence`.
    pub fn label(&self, sequence: usize) -> String {
        format!("w{}-{sequence}", self.number)
    }

    /// Sends until the server is gone.
    pub async fn run(mut self, load: Load) -> Result<Self> {
        loop {
            let label = self.label(self.sent.len());
            match self.user.send(&self.room, &label, &label).await? {
                Sent::Acknowledged(event) => {
                    self.sent.push(Some(event));
                    load.acknowledged.add_permits(1);
                }
                Sent::Unknown if load.is_ending() => {
                    self.sent.push(None);
                    return Ok(self);
                }
                Sent::Unknown => bail!("the server dropped the connection of {} before it was killed", self.user.id),
            }
        }
    }

    /// Numbers of messages that were not acknowledged.
    pub fn unacknowledged(&self) -> impl Iterator<Item = usize> {
        self.sent.iter().enumerate().filter(|(_, event)| event.is_none()).map(|(sequence, _)| sequence)
    }

    /// How many were acknowledged.
    pub fn promised(&self) -> usize {
        self.sent.iter().flatten().count()
    }
}
