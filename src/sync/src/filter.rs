//! What of an answer a client wants (Client-Server API, Filtering): every field of a filter. See `docs/design/20-filters.md`.
//!
//! The limit of `timeline` is honoured. Those of the other sections are not: what these would leave out no page could be turned to, and the
//! client's token moves past it.

use std::sync::Arc;

use ruma::{OwnedUserId, RoomId, UserId};
use serde::{Deserialize, de::Error as _};
use serde_json::value::RawValue;
use wardstead_accounts::{Ignored, Unwelcome};
use wardstead_limits::{rooms, sync as limits};
use wardstead_rooms::{Asked, Event, EventFilter};

use crate::{shape::Shape, sliding::Wants};

/// A filter as a client states it. The default one lets everything pass.
#[derive(Clone, Debug, Default)]
pub struct SyncFilter(Arc<Definition>);

impl SyncFilter {
    /// The filter that `json` states. Fields of other names are left alone.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(json: &str) -> Result<Self, serde_json::Error> {
        // serde takes an array for a structure whose fields may all be missing.
        if !json.trim_start().starts_with('{') {
            return Err(serde_json::Error::custom("a filter is an object"));
        }
        Ok(Self(Arc::new(serde_json::from_str(json)?)))
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Definition {
    event_fields: Option<Vec<String>>,
    event_format: EventFormat,
    presence: EventFilter,
    account_data: EventFilter,
    room: RoomFilter,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum EventFormat {
    #[default]
    Client,
    Federation,
}

/// `rooms` and `not_rooms` are those of an [`EventFilter`] that says nothing else.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RoomFilter {
    #[serde(flatten)]
    which: Which,
    include_leave: bool,
    account_data: EventFilter,
    ephemeral: EventFilter,
    state: EventFilter,
    timeline: EventFilter,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Which {
    rooms: Option<std::collections::BTreeSet<ruma::OwnedRoomId>>,
    not_rooms: std::collections::BTreeSet<ruma::OwnedRoomId>,
}

/// A filter, ready for use in an answer to one user.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    definition: Arc<Definition>,
    shape: Shape,
    /// Account data passes, of no room and of rooms, as far as its sender, which is the user, tells.
    own: (bool, bool),
    /// Whom the user ignores, and what is asked of timelines then.
    ignored: Ignored,
    ignoring: Option<Arc<EventFilter>>,
    /// The user wants no invitations.
    blocks_invitations: bool,
    /// The state that a sliding sync wants.
    wants: Option<Arc<Wants>>,
}

/// Members that are wanted of a room's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MembersWanted {
    All,
    /// Those whose events are shown.
    Lazy,
    /// The same, again where they were sent before.
    LazyRedundant,
}

impl Filter {
    pub(crate) fn new(stated: SyncFilter, user: &UserId) -> Self {
        let definition = stated.0;
        let federation = definition.event_format == EventFormat::Federation;
        let shape = Shape::new(definition.event_fields.as_deref(), federation);
        let own = (definition.account_data.passes_sender(user), definition.room.account_data.passes_sender(user));
        let ignored = Ignored::default();
        Self { definition, shape, own, ignored, ignoring: None, blocks_invitations: false, wants: None }
    }

    /// The same for a room of which this state is wanted.
    pub(crate) fn wanting(&self, wants: Wants) -> Self {
        Self { wants: Some(Arc::new(wants)), ..self.clone() }
    }

    /// Users whose members are wanted, whoever is shown.
    pub(crate) fn named_members(&self) -> Vec<OwnedUserId> {
        self.wants.as_ref().map(|wants| wants.members()).unwrap_or_default()
    }

    /// From now on for a user who wants to hear nothing from these.
    pub(crate) fn ignore(&mut self, unwelcome: Unwelcome) {
        let Unwelcome { ignored, invitations } = unwelcome;
        self.blocks_invitations = invitations;
        if ignored != self.ignored {
            let timeline = &self.definition.room.timeline;
            self.ignoring = (!ignored.is_empty()).then(|| Arc::new(timeline.ignoring(ignored.clone())));
            self.ignored = ignored;
        }
    }

    /// Whether the user wants no invitations.
    pub(crate) fn blocks_invitations(&self) -> bool {
        self.blocks_invitations
    }

    /// Whom the user ignores.
    pub(crate) fn ignored(&self) -> &Ignored {
        &self.ignored
    }

    fn timeline(&self) -> &EventFilter {
        self.ignoring.as_deref().unwrap_or(&self.definition.room.timeline)
    }

    /// Events of one timeline in an answer that shows `rooms` timelines.
    pub(crate) fn timeline_limit(&self, rooms: usize) -> usize {
        let asked = self.timeline().limit().unwrap_or(limits::TIMELINE_DEFAULT);
        // None at all is asked for by clients that want state alone.
        asked.min(limits::TIMELINE_MAX).min((limits::TIMELINE_TOTAL / rooms.max(1)).max(1))
    }

    /// Rows of one timeline to look at, in an answer that shows `rooms` timelines.
    pub(crate) fn timeline_scan(rooms: usize) -> usize {
        (limits::TOTAL_SCANNED_ROWS / rooms.max(1)).clamp(rooms::MESSAGES_LEAST_ROWS, limits::TIMELINE_SCANNED_ROWS)
    }

    /// What is asked of a timeline, with these bounds.
    pub(crate) fn asked(&self, limit: usize, scan: usize) -> Asked<'_> {
        Asked { limit, filter: self.timeline(), scan }
    }

    /// Whether no event of the timeline of `room` is wanted: there is no need to look, and nothing is missing.
    pub(crate) fn no_timeline(&self, room: &RoomId) -> bool {
        self.timeline().is_shut_in(room)
    }

    /// Whether every event of every timeline passes, for certain.
    pub(crate) fn is_whole(&self) -> bool {
        self.timeline().is_open()
    }

    /// Whether left rooms belong into an initial answer.
    pub(crate) fn include_leave(&self) -> bool {
        self.definition.room.include_leave
    }

    /// Whether `room` is asked for at all.
    pub(crate) fn room(&self, room: &RoomId) -> bool {
        let Which { rooms, not_rooms } = &self.definition.room.which;
        !not_rooms.contains(room) && rooms.as_ref().is_none_or(|rooms| rooms.contains(room))
    }

    /// Whether a state section shows an event.
    pub(crate) fn state(&self, event: &Event) -> bool {
        match &self.wants {
            Some(wants) => wants.passes(event),
            None => self.definition.room.state.passes(event),
        }
    }

    /// Which members a state section shows. Only the filter of state asks for fewer (Client-Server API, GET sync).
    pub(crate) fn members(&self) -> MembersWanted {
        match (self.definition.room.state.lazy_members(), self.definition.room.state.redundant_members()) {
            (false, _) => MembersWanted::All,
            (true, false) => MembersWanted::Lazy,
            (true, true) => MembersWanted::LazyRedundant,
        }
    }

    /// Whether unread counts are wanted by thread.
    #[expect(dead_code, reason = "for the section of unread counts")]
    pub(crate) fn thread_counts(&self) -> bool {
        self.definition.room.timeline.thread_counts()
    }

    /// The form of events.
    pub(crate) fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Whether anybody is to be shown typing.
    pub(crate) fn typing(&self) -> bool {
        self.definition.room.ephemeral.passes_type("m.typing")
    }

    /// Whether what is unread in threads is counted for each of them.
    pub(crate) fn unread_threads(&self) -> bool {
        self.definition.room.timeline.thread_counts()
    }

    /// Whether any receipts are to be shown.
    pub(crate) fn receipts(&self) -> bool {
        self.definition.room.ephemeral.passes_type("m.receipt")
    }

    /// Receipts of one room in an answer that shows those of `rooms` rooms.
    pub(crate) fn receipts_limit(rooms: usize) -> usize {
        (limits::TOTAL_RECEIPT_ROWS / rooms.max(1)).clamp(limits::LEAST_RECEIPT_ROWS, limits::ROOM_RECEIPT_ROWS)
    }

    /// Whether account data of no room, of type `event_type`, is to be shown.
    pub(crate) fn account_data(&self, event_type: &str) -> bool {
        self.own.0 && self.definition.account_data.passes_type(event_type)
    }

    /// Whether account data for `room`, of type `event_type`, is to be shown.
    pub(crate) fn account_data_in(&self, room: &RoomId, event_type: &str) -> bool {
        let filter = &self.definition.room.account_data;
        self.own.1 && self.room(room) && filter.passes_room(room) && filter.passes_type(event_type)
    }

    /// Whether account data for a room with this content is to be shown, as far as that tells.
    pub(crate) fn room_data_content(&self, content: &RawValue) -> bool {
        self.definition.room.account_data.passes_content(content)
    }

    /// Whether typing and receipts are to be shown in `room`.
    pub(crate) fn ephemeral_in(&self, room: &RoomId) -> bool {
        self.room(room) && self.definition.room.ephemeral.passes_room(room)
    }

    /// Whether typing and receipts of `user` are to be shown.
    pub(crate) fn ephemeral_of(&self, user: &UserId) -> bool {
        self.definition.room.ephemeral.passes_sender(user)
    }

    /// Whether it is to be shown that `user` types.
    pub(crate) fn typing_of(&self, user: &UserId) -> bool {
        self.ephemeral_of(user) && !self.ignored.contains(user)
    }

    /// Whether anybody's presence is to be shown.
    pub(crate) fn presence(&self) -> bool {
        self.definition.presence.passes_type("m.presence")
    }

    /// Whether that of `user` is.
    pub(crate) fn presence_of(&self, user: &UserId) -> bool {
        self.definition.presence.passes_sender(user) && !self.ignored.contains(user)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(json: &str) -> Filter {
        Filter::new(SyncFilter::parse(json).unwrap(), ruma::user_id!("@anna:x"))
    }

    #[test]
    fn limits_are_clamped_and_shared() {
        assert_eq!(filter("{}").timeline_limit(1), limits::TIMELINE_DEFAULT);
        assert_eq!(filter(r#"{"room":{"timeline":{"limit":1000000}}}"#).timeline_limit(1), limits::TIMELINE_MAX);
        assert_eq!(filter(r#"{"room":{"timeline":{"limit":0}}}"#).timeline_limit(1), 0, "state alone");
        assert_eq!(filter("{}").timeline_limit(10 * limits::TIMELINE_TOTAL), 1);
        assert_eq!(Filter::timeline_scan(1), limits::TIMELINE_SCANNED_ROWS);
        assert_eq!(Filter::timeline_scan(limits::TOTAL_SCANNED_ROWS), rooms::MESSAGES_LEAST_ROWS);
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
        let anna_only = filter(
            r#"{"presence":{"senders":["@anna:x","@ben:x"],"not_senders":["@ben:x"]},
                "room":{"ephemeral":{"not_senders":["@ben:x"]}}}"#,
        );
        assert!(anna_only.presence_of(anna) && !anna_only.presence_of(ben));
        assert!(anna_only.ephemeral_of(anna) && !anna_only.ephemeral_of(ben));
    }

    #[test]
    fn account_data_is_ones_own() {
        let room = ruma::room_id!("!a:x");
        let data = |json: &str| {
            let filter = filter(json);
            (filter.account_data("m.direct"), filter.account_data_in(room, "m.tag"))
        };
        assert_eq!(data("{}"), (true, true));
        assert_eq!(data(r#"{"account_data":{"types":["m.d*"],"senders":["@anna:x"]}}"#), (true, true));
        assert_eq!(data(r#"{"account_data":{"not_senders":["@anna:x"]}}"#), (false, true));
        assert_eq!(data(r#"{"account_data":{"not_types":["m.direct"]}}"#), (false, true));
        assert_eq!(data(r#"{"room":{"account_data":{"senders":[]}}}"#), (true, false));
        assert_eq!(data(r#"{"room":{"account_data":{"not_rooms":["!a:x"]}}}"#), (true, false));
        assert_eq!(data(r#"{"room":{"account_data":{"types":["m.*"],"not_types":["m.t*"]}}}"#), (true, false));
    }

    #[test]
    fn members() {
        let members = |state: &str| filter(&format!(r#"{{"room":{{"state":{{{state}}}}}}}"#)).members();
        assert_eq!(members(r#""include_redundant_members":true"#), MembersWanted::All);
        assert_eq!(members(r#""lazy_load_members":true"#), MembersWanted::Lazy);
        let redundant = members(r#""lazy_load_members":true,"include_redundant_members":true"#);
        assert_eq!(redundant, MembersWanted::LazyRedundant);
        let of_timeline = filter(r#"{"room":{"timeline":{"lazy_load_members":true}}}"#);
        assert_eq!(of_timeline.members(), MembersWanted::All, "only that of state counts");
    }

    #[test]
    fn not_wins_over_wanted() {
        let (a, b) = (ruma::room_id!("!a:x"), ruma::room_id!("!b:x"));
        assert!(filter("{}").room(a));
        let filter = filter(r#"{"room":{"rooms":["!a:x","!b:x"],"not_rooms":["!b:x"]}}"#);
        assert!(filter.room(a) && !filter.room(b) && !filter.room(ruma::room_id!("!c:x")));
    }

    #[test]
    fn what_is_no_filter() {
        for json in [
            "[]",
            r#"{"room":1}"#,
            r#"{"room":{"timeline":{"limit":"ten"}}}"#,
            r#"{"room":{"not_rooms":["ward"]}}"#,
            r#"{"presence":{"senders":["anna"]}}"#,
            r#"{"event_format":"xml"}"#,
            r#"{"event_fields":"content"}"#,
        ] {
            assert!(SyncFilter::parse(json).is_err(), "{json}");
        }
    }
}
