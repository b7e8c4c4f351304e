//! What of a filter a sync honours (Client-Server API, Filtering): rooms, event types, senders and the limit of timelines,
//! types and senders of state, `include_leave`. What it does not honour only ever makes the answer larger.

use ruma::{
    RoomId, UserId,
    api::client::filter::{FilterDefinition, RoomEventFilter},
};
use wardstead_limits::sync as limits;

/// A filter, ready for use.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    definition: FilterDefinition,
}

impl Filter {
    pub(crate) fn new(definition: FilterDefinition) -> Self {
        Self { definition }
    }

    /// Events of one timeline in an answer that shows `rooms` timelines.
    pub(crate) fn timeline_limit(&self, rooms: usize) -> usize {
        let asked = self.definition.room.timeline.limit.map(u64::from);
        let asked = asked.map_or(limits::TIMELINE_DEFAULT, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        asked.clamp(1, limits::TIMELINE_MAX).min((limits::TIMELINE_TOTAL / rooms.max(1)).max(1))
    }

    /// Whether left rooms belong into an initial answer.
    pub(crate) fn include_leave(&self) -> bool {
        self.definition.room.include_leave
    }

    /// Whether `room` is asked for at all.
    pub(crate) fn room(&self, room: &RoomId) -> bool {
        let filter = &self.definition.room;
        !filter.not_rooms.iter().any(|other| other == room)
            && filter.rooms.as_ref().is_none_or(|rooms| rooms.iter().any(|other| other == room))
    }

    /// Whether a timeline shows an event.
    pub(crate) fn timeline(&self, room: &RoomId, sender: &UserId, event_type: &str) -> bool {
        passes(&self.definition.room.timeline, room, sender, event_type)
    }

    /// Whether a state section shows an event.
    pub(crate) fn state(&self, room: &RoomId, sender: &UserId, event_type: &str) -> bool {
        passes(&self.definition.room.state, room, sender, event_type)
    }
}

fn passes(filter: &RoomEventFilter, room: &RoomId, sender: &UserId, event_type: &str) -> bool {
    let wanted = |patterns: &Option<Vec<String>>| {
        patterns.as_ref().is_none_or(|patterns| patterns.iter().any(|pattern| type_matches(pattern, event_type)))
    };
    wanted(&filter.types)
        && !filter.not_types.iter().any(|pattern| type_matches(pattern, event_type))
        && filter.senders.as_ref().is_none_or(|senders| senders.iter().any(|other| other == sender))
        && !filter.not_senders.iter().any(|other| other == sender)
        && filter.rooms.as_ref().is_none_or(|rooms| rooms.iter().any(|other| other == room))
        && !filter.not_rooms.iter().any(|other| other == room)
}

/// `*` stands for any sequence of characters.
fn type_matches(pattern: &str, event_type: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == event_type };
    let Some(mut left) = event_type.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        match left.find(part) {
            Some(at) => left = &left[at + part.len()..],
            None => return false,
        }
    }
    left.ends_with(last)
}

#[cfg(test)]
mod tests {
    use ruma::{room_id, user_id};

    use super::*;

    #[test]
    fn patterns() {
        for (pattern, event_type, matches) in [
            ("m.room.message", "m.room.message", true),
            ("m.room.message", "m.room.messages", false),
            ("m.room.*", "m.room.message", true),
            ("*", "", true),
            ("m.*.member", "m.room.member", true),
            ("m.*.member", "m.member", false),
            ("*a*b", "xaxb", true),
            ("*a*b", "xbxa", false),
            ("ab*b", "ab", false),
        ] {
            assert_eq!(type_matches(pattern, event_type), matches, "{pattern} {event_type}");
        }
    }

    #[test]
    fn limits_are_clamped_and_shared() {
        let filter = |json: &str| Filter::new(serde_json::from_str(json).unwrap());
        assert_eq!(filter("{}").timeline_limit(1), limits::TIMELINE_DEFAULT);
        assert_eq!(filter(r#"{"room":{"timeline":{"limit":1000000}}}"#).timeline_limit(1), limits::TIMELINE_MAX);
        assert_eq!(filter(r#"{"room":{"timeline":{"limit":0}}}"#).timeline_limit(1), 1);
        assert_eq!(filter("{}").timeline_limit(10 * limits::TIMELINE_TOTAL), 1);
    }

    #[test]
    fn not_wins_over_wanted() {
        let json = r#"{"room":{"timeline":{"types":["m.*"],"not_types":["m.room.member"],"not_senders":["@b:x"]}}}"#;
        let filter = Filter::new(serde_json::from_str(json).unwrap());
        let shows = |sender, event_type| filter.timeline(room_id!("!r:x"), sender, event_type);
        assert!(shows(user_id!("@a:x"), "m.room.message"));
        assert!(!shows(user_id!("@a:x"), "m.room.member"));
        assert!(!shows(user_id!("@a:x"), "org.example"));
        assert!(!shows(user_id!("@b:x"), "m.room.message"));
    }
}
