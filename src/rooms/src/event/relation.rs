//! What an event says about another one: that it relates to it (Matrix specification, Client-Server API, Forming relationships
//! between events), that it redacts it (Redactions).

use std::borrow::Cow;

use ruma::{CanonicalJsonObject, OwnedEventId, events::TimelineEventType, room_version_rules::RoomVersionRules};
use serde::Deserialize;
use serde_json::value::RawValue;
use wardstead_limits::rooms as limits;

use super::Event;

/// A thread's reply.
pub(crate) const THREAD: &str = "m.thread";
/// An edit.
pub(crate) const REPLACE: &str = "m.replace";
/// A reference.
pub(crate) const REFERENCE: &str = "m.reference";

/// How an event relates to its parent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Relation {
    pub(crate) rel_type: String,
    pub(crate) parent: OwnedEventId,
}

impl Relation {
    /// The mark of an event that has children of this type; 0 for those that are not shown with it.
    pub(crate) fn mark(&self) -> u8 {
        match self.rel_type.as_str() {
            THREAD => Marks::THREAD,
            REPLACE => Marks::REPLACE,
            REFERENCE => Marks::REFERENCE,
            _ => 0,
        }
    }
}

/// Which children an event has, of those that are shown with it. Kept in its row, so that an event without any costs no read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks(pub(crate) u8);

impl Marks {
    pub(crate) const THREAD: u8 = 1;
    pub(crate) const REPLACE: u8 = 2;
    pub(crate) const REFERENCE: u8 = 4;

    pub(crate) fn has(self, mark: u8) -> bool {
        self.0 & mark != 0
    }
}

/// The relation that `content` states; `None` where it states none, or one that does not match the schema.
pub(crate) fn relation_in(content: &RawValue) -> Option<Relation> {
    #[derive(Deserialize)]
    struct Content<'a> {
        #[serde(rename = "m.relates_to", borrow)]
        relates_to: &'a RawValue,
    }
    #[derive(Deserialize)]
    struct RelatesTo {
        rel_type: String,
        event_id: OwnedEventId,
    }
    // Nearly all events have none.
    if !content.get().contains("m.relates_to") {
        return None;
    }
    let content: Content<'_> = serde_json::from_str(content.get()).ok()?;
    let RelatesTo { rel_type, event_id } = serde_json::from_str(content.relates_to.get()).ok()?;
    let fits = rel_type.len().max(event_id.as_str().len()) <= limits::IDENTIFIER_BYTES;
    fits.then_some(Relation { rel_type, parent: event_id })
}

/// The relation that `event` states.
pub(crate) fn relation(event: &Event) -> Option<Relation> {
    relation_in(&event.content).filter(|relation| relation.parent != event.event_id)
}

/// Whether `event` can replace another one (Event replacements, Validity of replacement events), as far as it alone tells. What is
/// encrypted may have its new content inside.
pub(crate) fn may_replace(event: &Event) -> bool {
    #[derive(Deserialize)]
    struct Content<'a> {
        #[serde(rename = "m.new_content", borrow)]
        new_content: Option<&'a RawValue>,
    }
    let encrypted = event.event_type == TimelineEventType::RoomEncrypted;
    let has_content = || {
        let content = serde_json::from_str::<Content<'_>>(event.content.get());
        content.is_ok_and(|content| content.new_content.is_some_and(|new| new.get().starts_with('{')))
    };
    event.state_key.is_none() && (encrypted || has_content())
}

/// The event that `event` redacts, as its room's version states that; `None` for what is no redaction.
pub(crate) fn redacts(event: &Event, rules: &RoomVersionRules) -> Option<OwnedEventId> {
    #[derive(Deserialize)]
    struct Content<'a> {
        #[serde(borrow)]
        redacts: Cow<'a, str>,
    }
    if event.event_type != TimelineEventType::RoomRedaction || event.state_key.is_some() {
        return None;
    }
    if !rules.redaction.content_field_redacts {
        return event.redacts.clone();
    }
    let content: Content<'_> = serde_json::from_str(event.content.get()).ok()?;
    OwnedEventId::try_from(content.redacts.as_ref()).ok()
}

/// Moves `redacts` of a redaction's content to where the room's version wants it.
pub(crate) fn place_redacts(object: &mut CanonicalJsonObject, rules: &RoomVersionRules) {
    let redaction = object.get("type").and_then(ruma::CanonicalJsonValue::as_str) == Some("m.room.redaction");
    if redaction
        && !object.contains_key("state_key")
        && !rules.redaction.content_field_redacts
        && let Some(ruma::CanonicalJsonValue::Object(content)) = object.get_mut("content")
        && let Some(redacts) = content.remove("redacts")
    {
        object.insert("redacts".to_owned(), redacts);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    fn of(json: &str) -> Option<(String, String)> {
        let content = RawValue::from_string(json.to_owned()).unwrap();
        relation_in(&content).map(|relation| (relation.rel_type, relation.parent.to_string()))
    }

    #[test]
    fn what_is_a_relation() {
        let found = Some(("m.thread".to_owned(), "$a".to_owned()));
        assert_eq!(of(r#"{"m.relates_to":{"rel_type":"m.thread","event_id":"$a"}}"#), found);
        assert_eq!(of(r#"{"m.relates_to":{"rel_type":"m.thread","event_id":"$a","m.in_reply_to":{}},"x":1}"#), found);
        for none in [
            "{}",
            r#"{"body":"m.relates_to"}"#,
            r#"{"m.relates_to":null}"#,
            r#"{"m.relates_to":[]}"#,
            r#"{"m.relates_to":{"m.in_reply_to":{"event_id":"$a"}}}"#,
            r#"{"m.relates_to":{"rel_type":"m.thread"}}"#,
            r#"{"m.relates_to":{"rel_type":1,"event_id":"$a"}}"#,
            r#"{"m.relates_to":{"rel_type":"m.thread","event_id":"a"}}"#,
        ] {
            assert_eq!(of(none), None, "{none}");
        }
        let long = format!(r#"{{"m.relates_to":{{"rel_type":"{}","event_id":"$a"}}}}"#, "x".repeat(256));
        assert_eq!(of(&long), None);
    }
}
