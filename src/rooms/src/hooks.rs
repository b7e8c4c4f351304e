//! What the binary wires into every commit of a room: one policy before, contributors after (design: rooms name no part
//! above them).

use std::sync::Arc;

use async_trait::async_trait;
use ruma::RoomVersionId;
use wardstead_store::Contributors;

use crate::{Event, RoomChange, RoomError};

/// Given to [`crate::Rooms::with_hooks`]. By default there are none.
#[derive(Clone, Default)]
pub struct Hooks {
    /// Says no to what the rules of the room would allow.
    pub policy: Option<Arc<dyn RoomPolicy>>,
    /// Add what is theirs to the commits of rooms.
    pub contributors: Arc<Contributors<RoomChange>>,
}

/// This server's own rules, beyond those of the room: who may invite whom, no patient identifiers in a forum.
///
/// Asked about every event before it is appended, and again on each rebuild. An event of another server that it refuses is
/// kept, but never shown (a soft failure).
#[async_trait]
pub trait RoomPolicy: Send + Sync {
    /// The verdict on an event that the room's rules allow. It rests on the event and the state before it, so that a rebuild
    /// on a newer state is judged by that.
    ///
    /// # Errors
    /// What failed while it was found: nothing is appended then.
    async fn judge(&self, proposed: &Proposed<'_>) -> Result<Verdict, RoomError>;
}

/// What a policy says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The event may be appended.
    Allowed,
    /// It may not; the sentence is for the person at the client.
    Refused(String),
}

/// An event that is about to be appended.
pub struct Proposed<'a> {
    /// The event, hashed and signed.
    pub event: &'a Event,
    /// Short id of the room.
    pub room: u64,
    /// Version of the room.
    pub version: &'a RoomVersionId,
    pub(crate) before: &'a dyn StateBefore,
}

impl<'a> Proposed<'a> {
    /// `event` with the state before it, for those who append events that others made.
    #[must_use]
    pub fn new(event: &'a Event, room: u64, version: &'a RoomVersionId, before: &'a dyn StateBefore) -> Self {
        Self { event, room, version, before }
    }

    /// An event of the state before it.
    ///
    /// # Errors
    /// The store's.
    pub async fn state(&self, event_type: &str, state_key: &str) -> Result<Option<Arc<Event>>, RoomError> {
        self.before.state(event_type, state_key).await
    }
}

/// The state before an event.
#[async_trait]
pub trait StateBefore: Sync {
    /// The event under a state key; `None` where there is none.
    ///
    /// # Errors
    /// The store's.
    async fn state(&self, event_type: &str, state_key: &str) -> Result<Option<Arc<Event>>, RoomError>;
}
