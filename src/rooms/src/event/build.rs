//! Making an event (Matrix specification, Server-Server API, PDUs and Signing Events; Client-Server API, Size limits).

use bytes::Bytes;
use ruma::{
    CanonicalJsonObject, CanonicalJsonValue, EventId, Int, OwnedEventId, RoomId, ServerName, UserId,
    room_version_rules::{EventIdFormatVersion, RoomIdFormatVersion, RoomVersionRules},
    signatures::{JsonError, hash_and_sign_event, reference_hash},
};
use wardstead_limits::{Rng, rooms as limits};

use crate::{RoomError, SigningKey, membership::Guard};

use super::{Event, Hashes, references, relation::place_redacts};

/// What somebody wants to say, before it has a place in the graph.
#[derive(Clone, Debug)]
pub(crate) struct Proposal {
    pub(crate) event_type: String,
    pub(crate) state_key: Option<String>,
    pub(crate) content: CanonicalJsonObject,
    /// What the target of this member event has to be before it.
    pub(crate) guard: Option<Guard>,
}

impl Proposal {
    /// A state event.
    pub(crate) fn state(event_type: &str, state_key: &str, content: CanonicalJsonObject) -> Self {
        let state_key = Some(state_key.to_owned());
        Self { event_type: event_type.to_owned(), state_key, content, guard: None }
    }
}

/// The place.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    /// `None` for the create event of a room whose id will be that event's hash.
    pub(crate) room_id: Option<&'a RoomId>,
    pub(crate) sender: &'a UserId,
    pub(crate) prev_events: Vec<OwnedEventId>,
    pub(crate) auth_events: Vec<OwnedEventId>,
    pub(crate) depth: u64,
    pub(crate) origin_server_ts: u64,
    /// Of the events that it names, in rooms whose events name hashes too.
    pub(crate) hashes: Hashes,
}

/// A finished event and its canonical JSON.
#[derive(Debug)]
pub(crate) struct NewEvent {
    pub(crate) event: Event,
    pub(crate) pdu: Bytes,
    /// Its reference hash.
    pub(crate) hash: String,
}

/// Hashes and signs.
pub(crate) struct Maker<'a> {
    pub(crate) server_name: &'a ServerName,
    pub(crate) key: &'a SigningKey,
    pub(crate) rules: &'a RoomVersionRules,
    /// Names events in rooms whose events are not named by their hashes.
    pub(crate) rng: &'a dyn Rng,
}

impl Maker<'_> {
    /// The event that says `proposal` at `place`.
    ///
    /// # Errors
    /// `TooLarge`, or `BadJson` when the event cannot be hashed.
    pub(crate) fn make(&self, proposal: &Proposal, place: &Place<'_>) -> Result<NewEvent, RoomError> {
        check_identifiers(proposal, place)?;
        let mut object = self.unsigned(proposal, place)?;
        place_redacts(&mut object, self.rules);
        hash_and_sign_event(self.server_name.as_str(), self.key, &mut object, &self.rules.redaction)
            .map_err(|error| refused(&error))?;
        let hash = reference_hash(&object, self.rules).map_err(|error| refused(&error))?;
        let mut pdu = Vec::with_capacity(limits::EVENT_USUAL_BYTES);
        serde_json::to_writer(&mut pdu, &object).map_err(|error| RoomError::BadJson(error.to_string()))?;
        if pdu.len() > limits::EVENT_BYTES {
            return Err(too_large(pdu.len()));
        }
        let event_id = match object.get("event_id").and_then(CanonicalJsonValue::as_str) {
            Some(event_id) => EventId::parse(event_id),
            None => EventId::parse(format!("${hash}")),
        };
        let event_id = event_id.map_err(|error| RoomError::BadJson(error.to_string()))?;
        let room_id = match (place.room_id, self.rules.room_id_format) {
            (Some(room_id), _) => room_id.to_owned(),
            (None, RoomIdFormatVersion::V2) => {
                RoomId::parse(format!("!{hash}")).map_err(|error| RoomError::BadJson(error.to_string()))?
            }
            (None, _) => return Err(RoomError::BadJson("the event states no room".into())),
        };
        let event = Event::parse(event_id, room_id, &pdu).map_err(|error| RoomError::BadJson(error.to_string()))?;
        Ok(NewEvent { event, pdu: pdu.into(), hash })
    }

    fn unsigned(&self, proposal: &Proposal, place: &Place<'_>) -> Result<CanonicalJsonObject, RoomError> {
        let named = |ids: &[OwnedEventId]| references(self.rules.events_reference_format, ids, &place.hashes);
        let mut object = CanonicalJsonObject::from([
            ("type".to_owned(), proposal.event_type.as_str().into()),
            ("sender".to_owned(), place.sender.as_str().into()),
            ("content".to_owned(), proposal.content.clone().into()),
            ("prev_events".to_owned(), named(&place.prev_events)?),
            ("auth_events".to_owned(), named(&place.auth_events)?),
            ("depth".to_owned(), integer(place.depth)),
            ("origin_server_ts".to_owned(), integer(place.origin_server_ts)),
        ]);
        if let Some(room_id) = place.room_id {
            object.insert("room_id".to_owned(), room_id.as_str().into());
        }
        if let Some(state_key) = &proposal.state_key {
            object.insert("state_key".to_owned(), state_key.as_str().into());
        }
        if self.rules.event_id_format == EventIdFormatVersion::V1 {
            let event_id = format!("${}:{}", self.rng.alphanumeric(limits::EVENT_ID_CHARS), self.server_name);
            object.insert("event_id".to_owned(), event_id.into());
        }
        Ok(object)
    }
}

fn integer(number: u64) -> CanonicalJsonValue {
    Int::try_from(number.min(limits::DEPTH_MAX)).unwrap_or(Int::MAX).into()
}

fn check_identifiers(proposal: &Proposal, place: &Place<'_>) -> Result<(), RoomError> {
    let state_key = proposal.state_key.as_deref().unwrap_or_default();
    let named = [
        ("type", proposal.event_type.as_str()),
        ("state key", state_key),
        ("sender", place.sender.as_str()),
        ("room id", place.room_id.map_or("", RoomId::as_str)),
    ];
    match named.into_iter().find(|(_, text)| text.len() > limits::IDENTIFIER_BYTES) {
        None => Ok(()),
        Some((what, text)) => Err(RoomError::TooLarge(format!(
            "The {what} has {} bytes; {} are allowed.",
            text.len(),
            limits::IDENTIFIER_BYTES
        ))),
    }
}

fn refused(error: &JsonError) -> RoomError {
    match error {
        JsonError::PduTooLarge => too_large(limits::EVENT_BYTES + 1),
        error => RoomError::BadJson(error.to_string()),
    }
}

fn too_large(bytes: usize) -> RoomError {
    RoomError::TooLarge(format!("The event would have {bytes} bytes or more; {} are allowed.", limits::EVENT_BYTES))
}
