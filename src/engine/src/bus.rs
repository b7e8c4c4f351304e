//! The bus: hints between the nodes of an installation, fast and lossy.
//!
//! Nothing durable depends on it (promise P5): a message may be lost, and what it hints at is found by polling. Typing and
//! presence, which are not durable, travel on it; when they are lost, they are late or wrong for seconds.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::broadcast;
use wardstead_limits::engine as limits;

/// What a message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Topic {
    /// Something is committed: the payload is the newest position that the sender committed, 8 bytes, then the numbers of the
    /// tables that have new rows for workers, 2 bytes each, all big-endian.
    Committed,
    /// Who is typing.
    Typing,
    /// Who is there.
    Presence,
}

impl Topic {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Committed, Self::Typing, Self::Presence];

    /// The letter that stands for it outside this process.
    #[must_use]
    pub const fn letter(self) -> char {
        match self {
            Self::Committed => 'c',
            Self::Typing => 't',
            Self::Presence => 'p',
        }
    }

    /// The topic of a letter.
    #[must_use]
    pub fn of_letter(letter: char) -> Option<Self> {
        Self::ALL.into_iter().find(|topic| topic.letter() == letter)
    }
}

/// One hint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BusMessage {
    /// What it is about.
    pub topic: Topic,
    /// At most [`limits::BUS_PAYLOAD_BYTES`].
    pub payload: Bytes,
}

/// Why a message was not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BusError {
    /// More than the bus carries.
    #[error("a message of {0} bytes is too long for the bus")]
    TooLong(usize),
    /// The bus is cut.
    #[error("the bus is unavailable: {0}")]
    Unavailable(String),
}

/// Carries hints to every node, the sender too: each at most once, in no order that anybody may rely on.
#[async_trait]
pub trait Bus: Send + Sync + 'static {
    /// Sends `message`; returns once the bus has taken it. Who sends often sends only the newest.
    ///
    /// # Errors
    /// [`BusError`]; the caller goes on without it.
    async fn publish(&self, message: BusMessage) -> Result<(), BusError>;

    /// What is sent from now on. A receiver that falls more than [`limits::BUS_BACKLOG_MESSAGES`] behind loses the oldest.
    fn subscribe(&self) -> broadcast::Receiver<BusMessage>;
}

/// The bus of an installation that has one node, and of nodes in one process.
#[derive(Clone, Debug)]
pub struct LocalBus {
    sender: Arc<broadcast::Sender<BusMessage>>,
}

impl LocalBus {
    /// A bus that nobody listens to yet. Clones are the same bus.
    #[must_use]
    pub fn new() -> Self {
        Self { sender: Arc::new(broadcast::Sender::new(limits::BUS_BACKLOG_MESSAGES)) }
    }
}

impl Default for LocalBus {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Bus for LocalBus {
    async fn publish(&self, message: BusMessage) -> Result<(), BusError> {
        check(&message)?;
        // Without a receiver nobody is there to be told.
        drop(self.sender.send(message));
        Ok(())
    }

    fn subscribe(&self) -> broadcast::Receiver<BusMessage> {
        self.sender.subscribe()
    }
}

/// Holds `message` to its bound.
///
/// # Errors
/// [`BusError::TooLong`].
pub fn check(message: &BusMessage) -> Result<(), BusError> {
    let bytes = message.payload.len();
    if bytes <= limits::BUS_PAYLOAD_BYTES { Ok(()) } else { Err(BusError::TooLong(bytes)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(bytes: usize) -> BusMessage {
        BusMessage { topic: Topic::Typing, payload: vec![7; bytes].into() }
    }

    #[tokio::test]
    async fn everybody_hears_the_sender_too() {
        let bus = LocalBus::new();
        let (mut first, mut second) = (bus.subscribe(), bus.clone().subscribe());
        bus.publish(message(3)).await.unwrap();
        assert_eq!(first.recv().await.unwrap(), message(3));
        assert_eq!(second.recv().await.unwrap(), message(3));
    }

    #[tokio::test]
    async fn a_message_has_a_bound() {
        let bus = LocalBus::new();
        let mut heard = bus.subscribe();
        let most = limits::BUS_PAYLOAD_BYTES;
        assert_eq!(bus.publish(message(most + 1)).await, Err(BusError::TooLong(most + 1)));
        bus.publish(message(most)).await.unwrap();
        assert_eq!(heard.recv().await.unwrap(), message(most));
    }

    #[test]
    fn letters_name_topics() {
        assert!(Topic::ALL.into_iter().all(|topic| Topic::of_letter(topic.letter()) == Some(topic)));
        assert_eq!(Topic::of_letter('x'), None);
    }
}
