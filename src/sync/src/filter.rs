//! What of a filter a sync honours (Client-Server API, Filtering): rooms, event types, senders and the limit of timelines,
//! types and senders of state, `include_leave`; types and rooms of `ephemeral` and of account data, types and senders of `presence`. What it does not honour only ever makes the answer larger.

use ruma::{RoomId, UserId, api::client::filter::FilterDefinition};
use wardstead_limits::sync as limits;
use wardstead_rooms::{Event, EventFilter, matches};

/// A filter, ready for use.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    definition: FilterDefinition,
    timeline: EventFilter,
    state: EventFilter,
}

impl Filter {
    pub(crate) fn new(definition: FilterDefinition) -> Self {
        let (timeline, state) = (definition.room.timeline.clone().into(), definition.room.state.clone().into());
        Self { definition, timeline, state }
    }

    /// Events of one timeline in an answer that shows `rooms` timelines.
    pub(crate) fn timeline_limit(&self, rooms: usize) -> usize {
        let asked = self.definition.room.timeline.limit.map(u64::from);
        let asked = asked.map_or(limits::TIMELINE_DEFAULT, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        // None at all is asked for by clients that want state alone.
        asked.min(limits::TIMELINE_MAX).min((limits::TIMELINE_TOTAL / rooms.max(1)).max(1))
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
    pub(crate) fn timeline(&self, event: &Event) -> bool {
        self.timeline.passes(event)
    }

    /// Whether a state section shows an event.
    pub(crate) fn state(&self, event: &Event) -> bool {
        self.state.passes(event)
    }

    /// Whether anybody is to be shown typing.
    pub(crate) fn typing(&self) -> bool {
        let filter = &self.definition.room.ephemeral;
        named("m.typing", filter.types.as_deref(), &filter.not_types)
    }

    /// Whether any receipts are to be shown.
    pub(crate) fn receipts(&self) -> bool {
        let filter = &self.definition.room.ephemeral;
        named("m.receipt", filter.types.as_deref(), &filter.not_types)
    }

    /// Receipts of one room in an answer that shows those of `rooms` rooms.
    pub(crate) fn receipts_limit(rooms: usize) -> usize {
        (limits::TOTAL_RECEIPT_ROWS / rooms.max(1)).clamp(limits::LEAST_RECEIPT_ROWS, limits::ROOM_RECEIPT_ROWS)
    }

    /// Whether account data of no room, of type `event_type`, is to be shown.
    pub(crate) fn account_data(&self, event_type: &str) -> bool {
        let filter = &self.definition.account_data;
        named(event_type, filter.types.as_deref(), &filter.not_types)
    }

    /// Whether account data for `room`, of type `event_type`, is to be shown.
    pub(crate) fn account_data_in(&self, room: &RoomId, event_type: &str) -> bool {
        let filter = &self.definition.room.account_data;
        self.room(room)
            && !filter.not_rooms.iter().any(|other| other == room)
            && filter.rooms.as_ref().is_none_or(|rooms| rooms.iter().any(|other| other == room))
            && named(event_type, filter.types.as_deref(), &filter.not_types)
    }

    /// Whether typing and receipts are to be shown in `room`.
    pub(crate) fn ephemeral_in(&self, room: &RoomId) -> bool {
        let filter = &self.definition.room.ephemeral;
        self.room(room)
            && !filter.not_rooms.iter().any(|other| other == room)
            && filter.rooms.as_ref().is_none_or(|rooms| rooms.iter().any(|other| other == room))
    }

    /// Whether anybody's presence is to be shown.
    pub(crate) fn presence(&self) -> bool {
        let filter = &self.definition.presence;
        named("m.presence", filter.types.as_deref(), &filter.not_types)
    }

    /// Whether that of `user` is.
    pub(crate) fn presence_of(&self, user: &UserId) -> bool {
        let filter = &self.definition.presence;
        !filter.not_senders.iter().any(|other| other == user)
            && filter.senders.as_ref().is_none_or(|senders| senders.iter().any(|other| other == user))
    }
}

fn named(event_type: &str, types: Option<&[String]>, not_types: &[String]) -> bool {
    let named = |pattern: &String| matches(pattern, event_type);
    types.is_none_or(|types| types.iter().any(named)) && !not_types.iter().any(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(json: &str) -> Filter {
        Filter::new(serde_json::from_str(json).unwrap())
    }

    #[test]
    fn limits_are_clamped_and_shared() {
        assert_eq!(filter("{}").timeline_limit(1), limits::TIMELINE_DEFAULT);
        assert_eq!(filter(r#"{"room":{"timeline":{"limit":1000000}}}"#).timeline_limit(1), limits::TIMELINE_MAX);
        assert_eq!(filter(r#"{"room":{"timeline":{"limit":0}}}"#).timeline_limit(1), 0, "state alone");
        assert_eq!(filter("{}").timeline_limit(10 * limits::TIMELINE_TOTAL), 1);
    }

    #[test]
    fn ephemeral_events_by_type_room_and_sender() {
        assert!(filter("{}").typing() && filter("{}").presence());
        for types in [r#"{"types":[]}"#, r#"{"types":["m.r*"]}"#, r#"{"not_types":["m.*"]}"#] {
            assert!(!filter(&format!(r#"{{"room":{{"ephemeral":{types}}}}}"#)).typing(), "{types}");
            assert!(!filter(&format!(r#"{{"presence":{types}}}"#)).presence(), "{types}");
        }
        assert!(filter(r#"{"room":{"ephemeral":{"types":["m.typ*"]}},"presence":{"not_types":["m.p"]}}"#).presence());
        let (a, b) = (ruma::room_id!("!a:x"), ruma::room_id!("!b:x"));
        let here = filter(r#"{"room":{"ephemeral":{"rooms":["!a:x"]}}}"#);
        assert!(here.ephemeral_in(a) && !here.ephemeral_in(b));
        let elsewhere = filter(r#"{"room":{"ephemeral":{"not_rooms":["!a:x"]},"not_rooms":["!c:x"]}}"#);
        assert!(
            !elsewhere.ephemeral_in(a) && elsewhere.ephemeral_in(b) && !elsewhere.ephemeral_in(ruma::room_id!("!c:x"))
        );
        let (anna, ben) = (ruma::user_id!("@anna:x"), ruma::user_id!("@ben:x"));
        let anna_only = filter(r#"{"presence":{"senders":["@anna:x","@ben:x"],"not_senders":["@ben:x"]}}"#);
        assert!(anna_only.presence_of(anna) && !anna_only.presence_of(ben));
    }

    #[test]
    fn not_wins_over_wanted() {
        let (a, b) = (ruma::room_id!("!a:x"), ruma::room_id!("!b:x"));
        assert!(filter("{}").room(a));
        let filter = filter(r#"{"room":{"rooms":["!a:x","!b:x"],"not_rooms":["!b:x"]}}"#);
        assert!(filter.room(a) && !filter.room(b) && !filter.room(ruma::room_id!("!c:x")));
    }
}
