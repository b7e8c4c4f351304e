//! What the server itself reads in the content of events.

use ruma::{CanonicalJsonObject, CanonicalJsonValue, events::TimelineEventType};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{HistoryVisibility, Membership, RoomError};

use super::Event;

/// The content that a client sent, as canonical JSON (Matrix specification, Appendices, Canonical JSON): an object without
/// fractions and without integers beyond ±(2^53 − 1).
pub(crate) fn canonical(content: &RawValue) -> Result<CanonicalJsonObject, RoomError> {
    match serde_json::from_str(content.get()) {
        Ok(CanonicalJsonValue::Object(object)) => Ok(object),
        Ok(_) => Err(RoomError::BadJson("The content of an event is a JSON object.".into())),
        Err(error) => Err(RoomError::BadJson(format!("The content cannot stand in an event: {error}."))),
    }
}

/// The membership that a member event states; `None` when it states none that the server knows.
pub(crate) fn membership(event: &Event) -> Option<Membership> {
    #[derive(Deserialize)]
    struct Content<'a> {
        #[serde(borrow)]
        membership: std::borrow::Cow<'a, str>,
    }
    let content: Content<'_> = serde_json::from_str(event.content.get()).ok()?;
    Membership::from_name(&content.membership)
}

/// The visibility that an `m.room.history_visibility` event states. What cannot be read is `shared`, as where there is no
/// such event (Client-Server API, Room History Visibility).
pub(crate) fn history_visibility(event: Option<&Event>) -> HistoryVisibility {
    #[derive(Deserialize)]
    struct Content<'a> {
        #[serde(borrow)]
        history_visibility: std::borrow::Cow<'a, str>,
    }
    let stated = event.and_then(|event| serde_json::from_str::<Content<'_>>(event.content.get()).ok());
    match stated.as_ref().map(|content| content.history_visibility.as_ref()) {
        Some("invited") => HistoryVisibility::Invited,
        Some("joined") => HistoryVisibility::Joined,
        Some("world_readable") => HistoryVisibility::WorldReadable,
        _ => HistoryVisibility::Shared,
    }
}

/// Whether `event` is the `m.room.guest_access` of a room that lets guests in (Client-Server API, Guest Access).
#[must_use]
pub fn lets_guests_in(event: &Event) -> bool {
    #[derive(Deserialize)]
    struct Content<'a> {
        #[serde(borrow)]
        guest_access: std::borrow::Cow<'a, str>,
    }
    let stated = serde_json::from_str::<Content<'_>>(event.content.get());
    event.is_state(&TimelineEventType::RoomGuestAccess, "")
        && stated.is_ok_and(|content| content.guest_access == "can_join")
}

/// Text of the string field `field`.
pub(crate) fn text<'a>(content: &'a CanonicalJsonObject, field: &str) -> Option<&'a str> {
    content.get(field).and_then(CanonicalJsonValue::as_str)
}
