//! Whether an event belongs to a thread (Client-Server API, Threaded read receipts).

use std::sync::Arc;

use ruma::{EventId, OwnedEventId};
use serde::Deserialize;
use wardstead_limits::rooms as limits;

use crate::{Event, Room, RoomError, Rooms, StoredEvent};

use super::MAIN;

#[derive(Deserialize)]
struct Content {
    #[serde(rename = "m.relates_to")]
    relates_to: Option<Relation>,
}

#[derive(Deserialize)]
struct Relation {
    rel_type: Option<String>,
    event_id: Option<String>,
}

impl Rooms {
    /// Refuses a receipt for `event` in `thread` where the event has nothing to do with that thread. What relates to a thread's root in
    /// another way belongs to the main timeline; it is accepted for the thread too, as the root itself is: clients
    /// show both with the thread.
    pub(super) async fn check_thread(
        &self,
        room: &Room,
        event: &Arc<StoredEvent>,
        thread: &str,
    ) -> Result<(), RoomError> {
        let mut at = Arc::clone(event);
        let mut belongs = thread == MAIN;
        for _ in 0..=limits::THREAD_STEPS {
            if at.event_id == thread {
                belongs = true;
                break;
            }
            let Some((parent, is_thread)) = relation(&at.event) else { break };
            if is_thread {
                belongs = parent == thread;
                break;
            }
            let found = self.inner.events.find(room, &[parent]).await?;
            let Some(parent) = found.into_iter().next().flatten() else { break };
            at = parent;
        }
        if belongs {
            Ok(())
        } else {
            Err(RoomError::InvalidParam(format!("{} is not in the thread {thread}.", event.event_id)))
        }
    }
}

/// The event that `event` relates to, and whether it is the root of its thread.
fn relation(event: &Event) -> Option<(OwnedEventId, bool)> {
    // What is no relation to this server is none.
    let relation = serde_json::from_str::<Content>(event.content.get()).ok()?.relates_to?;
    let parent = relation.event_id.filter(|id| id.len() <= limits::IDENTIFIER_BYTES)?;
    Some((EventId::parse(parent).ok()?, relation.rel_type? == "m.thread"))
}
