//! The rooms in a space (Matrix specification, Client-Server API, Spaces).

use std::sync::Arc;

use ruma::{OwnedRoomId, RoomId};
use serde_json::{Map, Value};
use wardstead_limits::rooms as limits;

use super::Overview;
use crate::{
    Event, RoomError, Rooms, StoredEvent,
    state::{
        key::{MEMBERS, NAMED},
        store::Committed,
    },
};

/// A room that a space says is in it.
#[derive(Clone, Debug)]
pub struct Child {
    /// The room.
    pub room_id: OwnedRoomId,
    /// Whether the space suggests it.
    pub suggested: bool,
    /// The `m.space.child` event that says so.
    pub event: Arc<Event>,
    order: Option<String>,
}

impl Child {
    /// What `event` says; `None` where it says of no room that it is in the space.
    fn of(event: &StoredEvent) -> Option<Self> {
        if event.event_type.to_string() != "m.space.child" {
            return None;
        }
        let room_id = RoomId::parse(event.state_key.as_deref()?).ok()?;
        let content: Map<String, Value> = serde_json::from_str(event.content.get()).ok()?;
        let via = content.get("via")?.as_array()?;
        // Without a server to ask the room is not in the space any more: so children are removed.
        via.iter().find(|server| server.is_string())?;
        let suggested = content.get("suggested") == Some(&Value::Bool(true));
        let order = content.get("order").and_then(Value::as_str).filter(|order| counts(order)).map(str::to_owned);
        Some(Self { room_id, suggested, event: Arc::clone(&event.event), order })
    }
}

/// Whether an order is one: at most 50 printable ASCII characters.
fn counts(order: &str) -> bool {
    order.len() <= limits::CHILD_ORDER_CHARS && order.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

impl Rooms {
    /// The rooms that are in the space `overview`, as the specification orders them: by `order`, those without one last; then by
    /// the time of the event, then by room id. Nothing for a room that is no space. Tells nothing about who may see them.
    ///
    /// # Errors
    /// The store's.
    pub async fn children(&self, overview: &Overview) -> Result<Vec<Child>, RoomError> {
        if !overview.is_space() {
            return Ok(Vec::new());
        }
        let (room, state) = (&overview.room, &self.inner.state);
        let snapshot = state.snapshot(&Committed, room.short, overview.snapshot).await?;
        let entries = state.list(&Committed, room.short, &snapshot, NAMED..=MEMBERS - 1).await?;
        let shorts: Vec<u64> = entries.into_iter().map(|entry| entry.event).collect();
        let events = self.inner.events.load_short(room, &shorts).await?;
        let mut children: Vec<Child> = events.iter().filter_map(|event| Child::of(event)).collect();
        children.sort_by(|a, b| ordered(a).cmp(&ordered(b)));
        Ok(children)
    }
}

fn ordered(child: &Child) -> (bool, Option<&str>, u64, &RoomId) {
    (child.order.is_none(), child.order.as_deref(), child.event.origin_server_ts, &child.room_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_that_count() {
        for (order, expected) in [
            ("", true),
            ("a b~", true),
            (&"a".repeat(50), true),
            (&"a".repeat(51), false),
            ("a\u{7f}", false),
            ("é", false),
            ("a\n", false),
        ] {
            assert_eq!(counts(order), expected, "{order:?}");
        }
    }
}
