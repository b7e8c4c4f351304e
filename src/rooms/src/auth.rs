//! Authorisation (Matrix specification, Server-Server API, Authorization rules; per version in Room Versions), as functions
//! without I/O: from an event and the state it is judged by to a verdict.

use std::sync::Arc;

use ruma::{
    EventId, OwnedEventId, UserId,
    events::{StateEventType, TimelineEventType},
    room_version_rules::RoomVersionRules,
    state_res::{auth_types_for_event, check_state_dependent_auth_rules, check_state_independent_auth_rules},
};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{Event, RoomError};

/// A state key by name.
pub(crate) type Named = (StateEventType, String);

/// The state that decides about an event: that of [`needed`].
#[derive(Debug, Default)]
pub(crate) struct AuthState {
    events: Vec<(Named, Arc<Event>)>,
}

/// The state keys that decide about an event (Server-Server API, Auth events selection), the create event always among them.
pub(crate) fn needed(
    rules: &RoomVersionRules,
    event_type: &TimelineEventType,
    sender: &UserId,
    state_key: Option<&str>,
    content: &RawValue,
) -> Result<Vec<Named>, RoomError> {
    let mut keys = auth_types_for_event(event_type, sender, state_key, content, &rules.authorization)
        .map_err(RoomError::BadJson)?;
    let create = (StateEventType::RoomCreate, String::new());
    if *event_type != TimelineEventType::RoomCreate && !keys.contains(&create) {
        keys.push(create);
    }
    Ok(keys)
}

impl AuthState {
    pub(crate) fn add(&mut self, key: Named, event: Arc<Event>) {
        self.events.push((key, event));
    }

    /// The ids that an event judged by this state names as its auth events. Since version 12 the create event is not among
    /// them: the room id names it.
    pub(crate) fn auth_events(&self, rules: &RoomVersionRules) -> Vec<OwnedEventId> {
        let named = |event_type: &StateEventType| {
            !rules.authorization.room_create_event_id_as_room_id || *event_type != StateEventType::RoomCreate
        };
        let named = self.events.iter().filter(|((event_type, _), _)| named(event_type));
        named.map(|(_, event)| event.event_id.clone()).collect()
    }

    fn by_id(&self, id: &EventId) -> Option<Arc<Event>> {
        self.events.iter().find(|(_, event)| event.event_id == id).map(|(_, event)| Arc::clone(event))
    }

    fn by_key(&self, event_type: &StateEventType, state_key: &str) -> Option<Arc<Event>> {
        let found = self.events.iter().find(|((stored, key), _)| stored == event_type && key == state_key);
        found.map(|(_, event)| Arc::clone(event))
    }
}

/// Whether `event` may follow on `state`.
///
/// # Errors
/// `Forbidden` with the rule that says no.
pub(crate) fn authorise(rules: &RoomVersionRules, event: &Event, state: &AuthState) -> Result<(), RoomError> {
    check_state_independent_auth_rules(&rules.authorization, event, |id| state.by_id(id))
        .map_err(|rule| refused(event, state, &rule))?;
    check_state_dependent_auth_rules(&rules.authorization, event, |event_type, key| state.by_key(event_type, key))
        .map_err(|rule| refused(event, state, &rule))
}

/// Who has never been in the room, and does not ask to be, learns nothing of it from the refusal.
fn refused(event: &Event, state: &AuthState, rule: &str) -> RoomError {
    let stranger = state.by_key(&StateEventType::RoomMember, event.sender.as_str()).is_none();
    if stranger && !asks_to_enter(event) {
        return RoomError::not_in_room();
    }
    // ruma tells a content that cannot be read from an act that is not allowed only by its words.
    let of_this = format!("`{}` event", event.event_type);
    if rule.starts_with("unexpected format of") && rule.contains(&of_this) {
        return RoomError::BadJson(format!("The content cannot be read: {rule}."));
    }
    RoomError::Forbidden(format!("Not allowed in this room: {rule}."))
}

/// Whether `event` states that its sender joins or knocks.
fn asks_to_enter(event: &Event) -> bool {
    #[derive(Deserialize)]
    struct Content {
        membership: String,
    }
    let of_sender =
        event.event_type == TimelineEventType::RoomMember && event.state_key.as_deref() == Some(event.sender.as_str());
    let content = || serde_json::from_str::<Content>(event.content.get());
    of_sender && content().is_ok_and(|content| matches!(content.membership.as_str(), "join" | "knock"))
}
