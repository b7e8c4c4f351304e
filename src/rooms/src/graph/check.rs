//! Whether JSON that somebody else made is an event of a room (Matrix specification, Server-Server API, Checks performed on
//! receipt of a PDU, 1 to 3; Room Versions, Event format).

use bytes::Bytes;
use ruma::{
    CanonicalJsonObject, CanonicalJsonValue, EventId, OwnedEventId,
    canonical_json::redact,
    room_version_rules::{EventIdFormatVersion, RoomVersionRules},
    signatures::{content_hash, reference_hash},
    state_res::check_pdu_format,
};
use wardstead_limits::rooms as limits;

use crate::{Event, Room, RoomError};

/// An event that has the form of its room's version.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) event: Event,
    /// Its canonical JSON; redacted when its content is not what was hashed.
    pub(crate) pdu: Bytes,
}

/// Reads an event of `room`. Signatures are not looked at.
///
/// # Errors
/// `BadJson`, `TooLarge`: it is no event of this room.
pub(crate) fn check(room: &Room, pdu: &[u8]) -> Result<Checked, RoomError> {
    let rules = &room.rules;
    let mut object: CanonicalJsonObject =
        serde_json::from_slice(pdu).map_err(|error| bad(format!("not canonical JSON: {error}")))?;
    // Whoever sent it may have put anything there.
    object.remove("unsigned");
    check_form(&object, rules)?;
    let hash = reference_hash(&object, rules).map_err(bad)?;
    let event_id = event_id(&object, rules, &hash)?;
    match object.get("room_id").and_then(CanonicalJsonValue::as_str) {
        Some(stated) if stated == room.room_id => {}
        None if room.room_id.as_str().strip_prefix('!') == Some(&hash) => {}
        _ => return Err(bad("it is of another room")),
    }
    if !is_as_hashed(&object) {
        object = redact(object, &rules.redaction, None).map_err(bad)?;
    }
    let pdu = serde_json::to_vec(&object).map_err(bad)?;
    let event = Event::parse(event_id, room.room_id.clone(), &pdu).map_err(bad)?;
    Ok(Checked { event, pdu: pdu.into() })
}

fn bad(why: impl std::fmt::Display) -> RoomError {
    RoomError::BadJson(format!("Not an event of this room: {why}."))
}

fn check_form(object: &CanonicalJsonObject, rules: &RoomVersionRules) -> Result<(), RoomError> {
    let bytes = serde_json::to_vec(object).map_err(bad)?.len();
    if bytes > limits::EVENT_BYTES {
        let allowed = limits::EVENT_BYTES;
        return Err(RoomError::TooLarge(format!("The event has {bytes} bytes; {allowed} are allowed.")));
    }
    // Without what only counts for the size: the library's bound is one byte less than the specification's.
    let content = object.get("content").and_then(CanonicalJsonValue::as_object);
    if content.is_none() {
        return Err(bad("its content is no object"));
    }
    let small = object.iter().filter(|(name, _)| !["content", "signatures"].contains(&name.as_str()));
    let small = small.map(|(name, value)| (name.clone(), value.clone())).collect();
    check_pdu_format(&small, &rules.event_format).map_err(bad)
}

fn event_id(object: &CanonicalJsonObject, rules: &RoomVersionRules, hash: &str) -> Result<OwnedEventId, RoomError> {
    let id = if rules.event_id_format == EventIdFormatVersion::V1 {
        let stated = object.get("event_id").and_then(CanonicalJsonValue::as_str).unwrap_or_default();
        EventId::parse(stated).ok().filter(|id| id.server_name().is_some())
    } else {
        EventId::parse(format!("${hash}")).ok()
    };
    id.ok_or_else(|| bad("its id is none"))
}

/// Whether the content is the one that was hashed.
fn is_as_hashed(object: &CanonicalJsonObject) -> bool {
    let hashes = object.get("hashes").and_then(CanonicalJsonValue::as_object);
    let stated = hashes.and_then(|hashes| hashes.get("sha256")).and_then(CanonicalJsonValue::as_str);
    content_hash(object).is_ok_and(|hash| Some(hash.encode().as_str()) == stated)
}
