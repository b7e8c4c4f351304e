//! Filters of events (Matrix specification, Client-Server API, Filtering). One concept for /sync, /messages and /context, and for what is
//! no event of a room as far as a filter can say anything about it.

use std::collections::BTreeSet;

use ruma::{OwnedRoomId, OwnedUserId, RoomId, UInt, UserId};
use serde::Deserialize;
use serde_json::value::RawValue;
use wardstead_accounts::Ignored;

use crate::{Event, event::relation::relation_in};

/// What a client wants to see of events. An empty one lets everything pass; what a `not_` list names is hidden whatever else says.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "Stated")]
#[expect(clippy::struct_excessive_bools, reason = "the fields of the specification")]
pub struct EventFilter {
    types: Option<Vec<String>>,
    not_types: Vec<String>,
    senders: Option<BTreeSet<OwnedUserId>>,
    not_senders: BTreeSet<OwnedUserId>,
    rooms: Option<BTreeSet<OwnedRoomId>>,
    not_rooms: BTreeSet<OwnedRoomId>,
    contains_url: Option<bool>,
    rel_types: Option<Vec<String>>,
    not_rel_types: Vec<String>,
    labels: Option<Vec<String>>,
    not_labels: Vec<String>,
    related: Option<Related>,
    limit: Option<usize>,
    lazy_load_members: bool,
    include_redundant_members: bool,
    unread_thread_notifications: bool,
    /// Of whom only state passes.
    ignored: Ignored,
    /// Nothing is hidden.
    open: bool,
}

/// What has to relate to an event.
#[derive(Clone, Debug)]
pub(super) struct Related {
    /// How it relates; `None`: in any way. Each once.
    pub(super) rel_types: Option<BTreeSet<String>>,
    /// Who sent it; `None`: anybody.
    pub(super) senders: Option<BTreeSet<OwnedUserId>>,
}

/// As JSON states it. What relates to events is asked for as in
/// [MSC3440](https://github.com/matrix-org/matrix-spec-proposals/pull/3440). Relations are those of [MSC3874](https://github.com/matrix-org/matrix-spec-proposals/pull/3874), labels those of
/// [MSC2326](https://github.com/matrix-org/matrix-spec-proposals/pull/2326).
#[derive(Default, Deserialize)]
struct Stated {
    types: Option<Vec<String>>,
    #[serde(default)]
    not_types: Vec<String>,
    senders: Option<BTreeSet<OwnedUserId>>,
    #[serde(default)]
    not_senders: BTreeSet<OwnedUserId>,
    rooms: Option<BTreeSet<OwnedRoomId>>,
    #[serde(default)]
    not_rooms: BTreeSet<OwnedRoomId>,
    contains_url: Option<bool>,
    rel_types: Option<Vec<String>>,
    #[serde(default)]
    not_rel_types: Vec<String>,
    #[serde(rename = "org.matrix.msc3874.rel_types")]
    unstable_rel_types: Option<Vec<String>>,
    #[serde(default, rename = "org.matrix.msc3874.not_rel_types")]
    unstable_not_rel_types: Vec<String>,
    related_by_rel_types: Option<BTreeSet<String>>,
    related_by_senders: Option<BTreeSet<OwnedUserId>>,
    #[serde(rename = "org.matrix.labels")]
    labels: Option<Vec<String>>,
    #[serde(default, rename = "org.matrix.not_labels")]
    not_labels: Vec<String>,
    limit: Option<UInt>,
    #[serde(default)]
    lazy_load_members: bool,
    #[serde(default)]
    include_redundant_members: bool,
    #[serde(default)]
    unread_thread_notifications: bool,
}

impl From<Stated> for EventFilter {
    fn from(stated: Stated) -> Self {
        let limit = stated.limit.map(|limit| usize::try_from(u64::from(limit)).unwrap_or(usize::MAX));
        let mut not_rel_types = stated.not_rel_types;
        not_rel_types.extend(stated.unstable_not_rel_types);
        let related = match (stated.related_by_rel_types, stated.related_by_senders) {
            (None, None) => None,
            (rel_types, senders) => Some(Related { rel_types, senders }),
        };
        let mut filter = Self {
            types: stated.types,
            not_types: stated.not_types,
            senders: stated.senders,
            not_senders: stated.not_senders,
            rooms: stated.rooms,
            not_rooms: stated.not_rooms,
            contains_url: stated.contains_url,
            rel_types: stated.rel_types.or(stated.unstable_rel_types),
            not_rel_types,
            labels: stated.labels,
            not_labels: stated.not_labels,
            related,
            limit,
            lazy_load_members: stated.lazy_load_members,
            include_redundant_members: stated.include_redundant_members,
            unread_thread_notifications: stated.unread_thread_notifications,
            ignored: Ignored::default(),
            open: false,
        };
        filter.open = filter.hides_nothing();
        filter
    }
}

impl Default for EventFilter {
    fn default() -> Self {
        Stated::default().into()
    }
}

impl EventFilter {
    /// The filter that `json` states.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(json: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(json)
    }

    /// Events asked for at most.
    #[must_use]
    pub fn limit(&self) -> Option<usize> {
        self.limit
    }

    /// Whether of the members only those are wanted whose events are shown (Lazy-loading room members).
    #[must_use]
    pub fn lazy_members(&self) -> bool {
        self.lazy_load_members
    }

    /// Whether members are wanted again that were sent before.
    #[must_use]
    pub fn redundant_members(&self) -> bool {
        self.include_redundant_members
    }

    /// Whether notifications are to be counted by thread.
    #[must_use]
    pub fn thread_counts(&self) -> bool {
        self.unread_thread_notifications
    }

    /// Whether it lets every event of every room pass, for certain.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// Whether no event of `room` passes, for certain: there is no need to look.
    #[must_use]
    pub fn is_shut_in(&self, room: &RoomId) -> bool {
        !self.passes_room(room)
            || self.types.as_ref().is_some_and(Vec::is_empty)
            || self.senders.as_ref().is_some_and(BTreeSet::is_empty)
            || self.not_types.iter().any(|pattern| pattern == "*")
    }

    /// Whether what is of this type passes, as far as the type tells.
    #[must_use]
    pub fn passes_type(&self, event_type: &str) -> bool {
        let named = |pattern: &String| matches(pattern, event_type);
        self.types.as_ref().is_none_or(|types| types.iter().any(named)) && !self.not_types.iter().any(named)
    }

    /// Whether what `sender` sent passes, as far as that tells.
    #[must_use]
    pub fn passes_sender(&self, sender: &UserId) -> bool {
        self.senders.as_ref().is_none_or(|senders| senders.contains(sender)) && !self.not_senders.contains(sender)
    }

    /// Whether what is of `room` passes, as far as that tells.
    #[must_use]
    pub fn passes_room(&self, room: &RoomId) -> bool {
        self.rooms.as_ref().is_none_or(|rooms| rooms.contains(room)) && !self.not_rooms.contains(room)
    }

    /// Whether what has this content passes, as far as that tells.
    #[must_use]
    pub fn passes_content(&self, content: &RawValue) -> bool {
        self.contains_url.is_none_or(|wanted| wanted == has_url(content))
            && self.passes_relation(content)
            && self.passes_labels(content)
    }

    /// The same for somebody who ignores others, of whom state events alone are shown (Ignoring Users).
    #[must_use]
    pub fn ignoring(&self, ignored: Ignored) -> Self {
        Self { open: self.open && ignored.is_empty(), ignored, ..self.clone() }
    }

    /// What has to relate to an event that passes, besides.
    pub(super) fn related(&self) -> Option<&Related> {
        self.related.as_ref()
    }

    /// Whether `event` passes, but for what has to relate to it.
    #[must_use]
    pub fn passes(&self, event: &Event) -> bool {
        if event.state_key.is_none() && self.ignored.contains(&event.sender) {
            return false;
        }
        self.open
            || (self.passes_type(&event.event_type.to_string())
                && self.passes_sender(&event.sender)
                && self.passes_room(&event.room_id)
                && self.passes_content(&event.content))
    }

    fn hides_nothing(&self) -> bool {
        self.types.is_none()
            && self.not_types.is_empty()
            && self.senders.is_none()
            && self.not_senders.is_empty()
            && self.rooms.is_none()
            && self.not_rooms.is_empty()
            && self.contains_url.is_none()
            && self.rel_types.is_none()
            && self.not_rel_types.is_empty()
            && self.labels.is_none()
            && self.not_labels.is_empty()
            && self.related.is_none()
    }

    fn passes_relation(&self, content: &RawValue) -> bool {
        if self.rel_types.is_none() && self.not_rel_types.is_empty() {
            return true;
        }
        match relation_in(content).map(|relation| relation.rel_type) {
            None => self.rel_types.is_none(),
            Some(rel_type) => {
                self.rel_types.as_ref().is_none_or(|types| types.contains(&rel_type))
                    && !self.not_rel_types.contains(&rel_type)
            }
        }
    }

    fn passes_labels(&self, content: &RawValue) -> bool {
        if self.labels.is_none() && self.not_labels.is_empty() {
            return true;
        }
        let of_event = labels(content);
        self.labels.as_ref().is_none_or(|labels| labels.iter().any(|label| of_event.contains(label)))
            && !self.not_labels.iter().any(|label| of_event.contains(label))
    }
}

/// Whether `text` is what `pattern` says; `*` stands for any characters.
#[must_use]
pub fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    if !pattern.contains('*') {
        return rest.is_empty();
    }
    let mut parts: Vec<&str> = parts.collect();
    let last = parts.pop().unwrap_or_default();
    let mut rest = rest;
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

fn has_url(content: &RawValue) -> bool {
    #[derive(Deserialize)]
    struct Content<'a> {
        #[serde(borrow)]
        url: Option<&'a RawValue>,
    }
    let content = serde_json::from_str::<Content<'_>>(content.get());
    content.is_ok_and(|content| content.url.is_some_and(|url| url.get().starts_with('"')))
}

fn labels(content: &RawValue) -> Vec<String> {
    #[derive(Deserialize)]
    struct Content {
        #[serde(rename = "org.matrix.labels")]
        labels: Vec<String>,
    }
    serde_json::from_str::<Content>(content.get()).map(|content| content.labels).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn wildcards() {
        for (pattern, text, expected) in [
            ("m.room.message", "m.room.message", true),
            ("m.room.message", "m.room.messages", false),
            ("m.room.*", "m.room.name", true),
            ("m.room.*", "m.roomba", false),
            ("*", "", true),
            ("a*a", "a", false),
            ("a*b*c", "a.b.b.c", true),
            ("a*b*c", "a.c.b", false),
            ("*.name", "m.room.name", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    fn filter(json: &serde_json::Value) -> EventFilter {
        EventFilter::parse(&json.to_string()).unwrap()
    }

    #[test]
    fn what_is_not_wanted_prevails() {
        let room = ruma::room_id!("!a:x");
        let types = filter(&json!({ "types": ["m.*"], "not_types": ["m.room.*"] }));
        assert!(types.passes_type("m.reaction") && !types.passes_type("m.room.name") && !types.passes_type("x"));
        let senders = filter(&json!({ "senders": ["@a:x", "@b:x"], "not_senders": ["@b:x"] }));
        let passes = ["@a:x", "@b:x", "@c:x"].map(|user| senders.passes_sender(<&UserId>::try_from(user).unwrap()));
        assert_eq!(passes, [true, false, false]);
        assert!(!filter(&json!({ "rooms": ["!a:x"], "not_rooms": ["!a:x"] })).passes_room(room));
        assert!(!filter(&json!({ "rooms": [] })).passes_room(room) && filter(&json!({})).passes_room(room));
    }

    #[test]
    fn by_content() {
        let raw = |content: serde_json::Value| serde_json::value::to_raw_value(&content).unwrap();
        let (with, without) = (raw(json!({ "url": "mxc://x/y" })), raw(json!({ "url": 1 })));
        let url = |wanted: bool| filter(&json!({ "contains_url": wanted }));
        assert!(url(true).passes_content(&with) && !url(true).passes_content(&without));
        assert!(!url(false).passes_content(&with) && url(false).passes_content(&without));
        let work = raw(json!({ "org.matrix.labels": ["#work", "#late"] }));
        let labels = filter(&json!({ "org.matrix.labels": ["#work"], "org.matrix.not_labels": ["#late"] }));
        assert!(!labels.passes_content(&work) && !labels.passes_content(&with));
        assert!(filter(&json!({ "org.matrix.labels": ["#work", "#fun"] })).passes_content(&work));
        let thread = raw(json!({ "m.relates_to": { "rel_type": "m.thread", "event_id": "$a" } }));
        for name in ["rel_types", "org.matrix.msc3874.rel_types"] {
            let wanted = filter(&json!({ name: ["m.thread"], "not_rel_types": ["m.reference"] }));
            assert!(wanted.passes_content(&thread) && !wanted.passes_content(&with));
            assert!(!filter(&json!({ name: ["m.reference"] })).passes_content(&thread));
        }
        for name in ["not_rel_types", "org.matrix.msc3874.not_rel_types"] {
            let unwanted = filter(&json!({ name: ["m.thread"] }));
            assert!(!unwanted.passes_content(&thread) && unwanted.passes_content(&with));
        }
    }

    #[test]
    fn open_and_shut() {
        let room = ruma::room_id!("!a:x");
        for open in [json!({}), json!({ "limit": 5, "lazy_load_members": true, "unread_thread_notifications": true })] {
            assert!(filter(&open).is_open() && !filter(&open).is_shut_in(room), "{open}");
        }
        assert!(EventFilter::parse("{}").unwrap().is_open());
        for shut in [json!({ "types": [] }), json!({ "not_types": ["*"] }), json!({ "not_rooms": [room] })] {
            assert!(!filter(&shut).is_open() && filter(&shut).is_shut_in(room), "{shut}");
        }
        for some in [json!({ "not_types": ["m.room.*"] }), json!({ "related_by_rel_types": ["m.thread"] })] {
            assert!(!filter(&some).is_open() && !filter(&some).is_shut_in(room), "{some}");
        }
    }

    #[test]
    fn what_is_no_filter() {
        for json in [
            r#"{"types":1}"#,
            r#"{"senders":["anna"]}"#,
            r#"{"rooms":["ward"]}"#,
            r#"{"limit":-1}"#,
            "[]",
            r#"{"related_by_senders":["anna"]}"#,
        ] {
            assert!(EventFilter::parse(json).is_err(), "{json}");
        }
    }
}
