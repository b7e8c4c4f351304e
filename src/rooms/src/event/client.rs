//! Events as clients see them (Matrix specification, Client-Server API, Room Event Format).
//!
//! Everything that is the same for all who see an event is made once and shared as bytes; what differs (age, own
//! membership, transaction id, the room id that /sync leaves out) is appended for each.

use std::fmt::Write as _;

use bytes::{BufMut, Bytes, BytesMut};
use ruma::{EventId, serde::Raw};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::{Membership, Seen};

use super::StoredEvent;

/// For whom an event is written.
#[derive(Clone, Copy, Debug, Default)]
pub struct Viewer {
    /// Short id of the device; its own transaction id is shown to it. 0: none.
    pub device: u64,
    /// The time, for the age.
    pub now_ms: u64,
    /// What the viewer was in the room when the event had happened.
    pub membership: Option<Membership>,
    /// Whether the room id is written: everywhere but in /sync.
    pub with_room_id: bool,
}

/// An event in client format: bytes that all viewers share, and the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientEvent {
    shared: Bytes,
    tail: String,
}

impl ClientEvent {
    pub(crate) fn new(event: &Seen, viewer: &Viewer) -> Self {
        let mut tail = format!("\"age\":{}", viewer.now_ms.saturating_sub(event.origin_server_ts));
        if let Some(membership) = viewer.membership {
            tail.push_str(",\"membership\":\"");
            tail.push_str(membership.name());
            tail.push('"');
        }
        if let Some((device, id)) = &event.transaction
            && *device == viewer.device
            && *device != 0
        {
            tail.push_str(",\"transaction_id\":");
            push_json(&mut tail, id);
        }
        if let Some(relations) = event.relations() {
            tail.push_str(",\"m.relations\":{");
            tail.push_str(relations);
            tail.push('}');
        }
        tail.push('}');
        if viewer.with_room_id {
            tail.push_str(",\"room_id\":");
            push_json(&mut tail, event.room_id.as_str());
        }
        tail.push('}');
        Self { shared: event.shared_json(), tail }
    }

    /// Bytes of the JSON.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.len() + self.tail.len()
    }

    /// Never: an event has at least its braces.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Appends the JSON.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.shared);
        out.extend_from_slice(self.tail.as_bytes());
    }

    /// The JSON as text.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut json = String::with_capacity(self.len());
        // The shared part was made from text.
        json.push_str(std::str::from_utf8(&self.shared).unwrap_or_default());
        json.push_str(&self.tail);
        json
    }

    /// The JSON as what ruma's responses hold.
    ///
    /// # Errors
    /// The JSON is not JSON: a fault of this module.
    pub fn to_raw<T>(&self) -> serde_json::Result<Raw<T>> {
        Ok(Raw::from_json(RawValue::from_string(self.to_json())?))
    }
}

/// `{"content":…,…,"unsigned":{…`, open for what a viewer adds.
pub(super) fn shared_json(event: &StoredEvent) -> Bytes {
    let mut json = String::with_capacity(event.content.get().len() + 512);
    push_body(&mut json, event, event.redacts.as_deref());
    json.push_str(",\"unsigned\":{");
    if let Some(redaction) = &event.redaction {
        // As its content says it: a redaction that was itself redacted keeps at most the id.
        json.push_str("\"redacted_because\":");
        push_body(&mut json, redaction, Some(&event.event_id));
        json.push_str(",\"room_id\":");
        push_json(&mut json, event.room_id.as_str());
        json.push_str(",\"unsigned\":{}},");
    }
    if let Some(replaced) = &event.replaced {
        json.push_str("\"prev_content\":");
        json.push_str(replaced.content.get());
        json.push_str(",\"prev_sender\":");
        push_json(&mut json, replaced.sender.as_str());
        json.push_str(",\"replaces_state\":");
        push_json(&mut json, replaced.event_id.as_str());
        json.push(',');
    }
    json.into()
}

/// `{"content":…,…,"type":…`: all but `unsigned`. A redaction says what it `redacts` both in its content and beside it (Room
/// Version 11, Moving the redacts property).
fn push_body(json: &mut String, event: &super::Event, redacts: Option<&EventId>) {
    json.push_str("{\"content\":");
    match redacts.and_then(|redacts| with_redacts(&event.content, redacts)) {
        Some(content) => json.push_str(&content),
        None => json.push_str(event.content.get()),
    }
    json.push_str(",\"event_id\":");
    push_json(json, event.event_id.as_str());
    // Writing to a string does not fail.
    let _ = write!(json, ",\"origin_server_ts\":{}", event.origin_server_ts);
    json.push_str(",\"sender\":");
    push_json(json, event.sender.as_str());
    if let Some(state_key) = &event.state_key {
        json.push_str(",\"state_key\":");
        push_json(json, state_key);
    }
    if let Some(redacts) = redacts {
        json.push_str(",\"redacts\":");
        push_json(json, redacts.as_str());
    }
    json.push_str(",\"type\":");
    push_json(json, event.event_type.to_string());
}

/// `content` with `redacts` in it; `None` where it is no object.
fn with_redacts(content: &RawValue, redacts: &EventId) -> Option<String> {
    let mut content: ruma::CanonicalJsonObject = serde_json::from_str(content.get()).ok()?;
    content.insert("redacts".to_owned(), redacts.as_str().into());
    serde_json::to_string(&content).ok()
}

/// A stripped state event (Client-Server API, Stripped state), appended to a JSON array: for invitations, knocks, summaries and
/// hierarchies. The create event is whole, so that its room can be told from it (MSC4311).
pub(crate) fn push_stripped(array: &mut BytesMut, event: &super::Event) {
    let mut json = String::from("{\"content\":");
    json.push_str(event.content.get());
    json.push_str(",\"sender\":");
    push_json(&mut json, event.sender.as_str());
    json.push_str(",\"state_key\":");
    push_json(&mut json, event.state_key.as_deref().unwrap_or_default());
    json.push_str(",\"type\":");
    push_json(&mut json, event.event_type.to_string());
    if event.event_type == ruma::events::TimelineEventType::RoomCreate {
        json.push_str(",\"event_id\":");
        push_json(&mut json, event.event_id.as_str());
        let _ = write!(json, ",\"origin_server_ts\":{}", event.origin_server_ts);
    }
    json.push('}');
    if array.len() > 1 {
        array.put_u8(b',');
    }
    array.put_slice(json.as_bytes());
}

/// Appends `value` as JSON.
fn push_json(json: &mut String, value: impl Serialize) {
    // Strings always have a JSON form.
    json.push_str(&serde_json::to_string(&value).unwrap_or_default());
}
