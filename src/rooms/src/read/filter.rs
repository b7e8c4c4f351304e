//! Filters of room events (Matrix specification, Client-Server API, Filtering).

use ruma::api::client::filter::{RoomEventFilter, UrlFilter};
use serde::Deserialize;

use crate::{Event, event::relation::relation_in};

/// What a client wants to see of a room's events. An empty one lets everything pass.
#[derive(Clone, Debug, Default)]
pub struct EventFilter {
    filter: RoomEventFilter,
    related: Related,
}

/// By how an event relates to another one ([MSC3874](https://github.com/matrix-org/matrix-spec-proposals/pull/3874)).
#[derive(Clone, Debug, Default, Deserialize)]
struct Related {
    #[serde(alias = "org.matrix.msc3874.rel_types")]
    rel_types: Option<Vec<String>>,
    #[serde(default, alias = "org.matrix.msc3874.not_rel_types")]
    not_rel_types: Vec<String>,
}

impl EventFilter {
    /// The filter that `json` states.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(json: &str) -> Result<Self, serde_json::Error> {
        Ok(Self { filter: serde_json::from_str(json)?, related: serde_json::from_str(json)? })
    }

    /// Whether of the members only those are wanted whose events are shown (Lazy-loading room members).
    #[must_use]
    pub fn lazy_members(&self) -> bool {
        !self.filter.lazy_load_options.is_disabled()
    }

    /// Whether `event` passes.
    #[must_use]
    pub fn passes(&self, event: &Event) -> bool {
        let filter = &self.filter;
        let (event_type, sender, room) = (event.event_type.to_string(), &event.sender, &event.room_id);
        let named = |pattern: &String| matches(pattern, &event_type);
        filter.types.as_ref().is_none_or(|types| types.iter().any(named))
            && !filter.not_types.iter().any(named)
            && filter.senders.as_ref().is_none_or(|senders| senders.contains(sender))
            && !filter.not_senders.contains(sender)
            && filter.rooms.as_ref().is_none_or(|rooms| rooms.contains(room))
            && !filter.not_rooms.contains(room)
            && filter.url_filter.is_none_or(|url| (url == UrlFilter::EventsWithUrl) == has_url(event))
            && self.related.passes(event)
    }
}

impl From<RoomEventFilter> for EventFilter {
    fn from(filter: RoomEventFilter) -> Self {
        Self { filter, related: Related::default() }
    }
}

impl Related {
    fn passes(&self, event: &Event) -> bool {
        if self.rel_types.is_none() && self.not_rel_types.is_empty() {
            return true;
        }
        match relation_in(&event.content).map(|relation| relation.rel_type) {
            None => self.rel_types.is_none(),
            Some(rel_type) => {
                self.rel_types.as_ref().is_none_or(|types| types.contains(&rel_type))
                    && !self.not_rel_types.contains(&rel_type)
            }
        }
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

fn has_url(event: &Event) -> bool {
    #[derive(serde::Deserialize)]
    struct Content<'a> {
        #[serde(borrow)]
        url: Option<&'a serde_json::value::RawValue>,
    }
    let content = serde_json::from_str::<Content<'_>>(event.content.get());
    content.is_ok_and(|content| content.url.is_some_and(|url| url.get().starts_with('"')))
}

#[cfg(test)]
mod tests {
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
}
