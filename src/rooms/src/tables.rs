//! The tables of rooms (numbers 0x040–0x07f) and their rows. Formats and why: `docs/design/03-rooms.md`.

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Visitor};
use wardstead_engine::{AccessPattern, Key, KeyBuilder, Position};
use wardstead_store::{Envelope, Row, Table, postcard_row, row};

mod moments;
mod related;
mod versioned;

pub(crate) use moments::{MOMENTS, Moment, MomentRow, part_of};
pub(crate) use related::*;
pub(crate) use versioned::{ArrivalRow, EventRow};

use crate::{Membership, TimelineKey, state::Entry};

/// Room id → short id and version.
pub(crate) const ROOM_IDS: Table<RoomIdRow> = Table::new(AccessPattern::Point, 0x040, "room_ids", "rooms");
/// Short id → room id and version.
pub(crate) const ROOM_NAMES: Table<RoomNameRow> = Table::new(AccessPattern::Point, 0x041, "room_names", "rooms");
/// The head: versioned, its position that of the last event or state change.
pub(crate) const HEADS: Table<HeadRow> = Table::new(AccessPattern::Point, 0x042, "room_heads", "rooms");
/// Events by id; a live event's position stands in the header.
pub(crate) const EVENTS: Table<EventRow> = Table::new(AccessPattern::Point, 0x043, "events", "rooms");
/// Event ids by timeline key.
pub(crate) const TIMELINE: Table<TimelineRow> = Table::new(AccessPattern::Scan, 0x044, "timeline", "rooms");
/// Event ids by position.
pub(crate) const ARRIVALS: Table<ArrivalRow> = Table::new(AccessPattern::Append, 0x045, "arrivals", "rooms");
/// The current state's snapshot from a position on.
pub(crate) const STATE_AT: Table<StateAtRow> = Table::new(AccessPattern::Append, 0x046, "state_at", "rooms");
/// Snapshots by id.
pub(crate) const SNAPSHOTS: Table<SnapshotRow> = Table::new(AccessPattern::Point, 0x047, "snapshots", "rooms");
/// Bases by id.
pub(crate) const BASES: Table<BaseRow> = Table::new(AccessPattern::Point, 0x048, "state_bases", "rooms");
/// Chunks by id.
pub(crate) const CHUNKS: Table<ChunkRow> = Table::new(AccessPattern::Point, 0x049, "state_chunks", "rooms");
/// Ids of state keys that are neither well known nor a member's.
pub(crate) const STATE_KEYS: Table<StateKeyRow> = Table::new(AccessPattern::Point, 0x04a, "state_keys", "rooms");
/// Event ids of state events by short id.
pub(crate) const STATE_EVENTS: Table<StateEventRow> = Table::new(AccessPattern::Point, 0x04b, "state_events", "rooms");
/// Local users by room.
pub(crate) const MEMBERS: Table<MemberRow> = Table::new(AccessPattern::Scan, 0x04c, "members", "rooms");
/// Rooms by local user.
pub(crate) const USER_ROOMS: Table<UserRoomRow> = Table::new(AccessPattern::Scan, 0x04d, "user_rooms", "rooms");
/// Membership changes by local user and position.
pub(crate) const MEMBER_LOG: Table<MemberLogRow> = Table::new(AccessPattern::Append, 0x04e, "member_log", "rooms");
/// Event ids by transaction id.
pub(crate) const TRANSACTIONS: Table<TransactionRow> = Table::new(AccessPattern::Point, 0x04f, "transactions", "rooms");

/// Events of the timeline that lack events before them, by id.
pub(crate) const GAPS: Table<GapRow> = Table::new(AccessPattern::Point, 0x054, "gaps", "rooms");
/// Events that such events lack, by id.
pub(crate) const MISSING: Table<MissingRow> = Table::new(AccessPattern::Point, 0x055, "missing_events", "rooms");

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RoomIdRow {
    pub(crate) room: u64,
    pub(crate) version: String,
}
row!(RoomIdRow, 1);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RoomNameRow {
    pub(crate) room_id: String,
    pub(crate) version: String,
}
row!(RoomNameRow, 1);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HeadRow {
    /// Forward extremities with their depths.
    pub(crate) extremities: Vec<(String, u64)>,
    pub(crate) depth: u64,
    pub(crate) snapshot: u64,
    pub(crate) joined: u32,
    pub(crate) invited: u32,
    /// Reserved: the room was joined without its full state.
    pub(crate) partial: bool,
    /// Of the last live event.
    pub(crate) moment: Option<Moment>,
}
row!(HeadRow, 2);

/// What an event is to this server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// Known only because other events name it.
    Outlier,
    /// Live: it has a position.
    Timeline,
    /// Fetched later: it has a place in the timeline, no position.
    Backfilled,
    /// Allowed where it was made, not by the current state: never shown, never an extremity.
    SoftFailed,
    /// Not allowed.
    Rejected,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TimelineRow {
    pub(crate) event_id: String,
}
row!(TimelineRow, 1);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StateAtRow {
    pub(crate) snapshot: u64,
    pub(crate) joined: u32,
    pub(crate) invited: u32,
}
row!(StateAtRow, 1);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SnapshotRow {
    pub(crate) base: u64,
    pub(crate) delta: Vec<Entry>,
}
row!(SnapshotRow, 1);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BaseRow {
    /// First key and id of each chunk.
    pub(crate) chunks: Vec<(u64, u64)>,
}
row!(BaseRow, 1);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ChunkRow {
    pub(crate) entries: Vec<Entry>,
}
row!(ChunkRow, 1);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StateKeyRow {
    pub(crate) id: u64,
}
row!(StateKeyRow, 1);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StateEventRow {
    pub(crate) event_id: String,
}
row!(StateEventRow, 1);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MemberRow {
    pub(crate) membership: Membership,
    pub(crate) user_id: String,
    pub(crate) event_id: String,
}
row!(MemberRow, 1);

/// Versioned by the head's version, so that each change of the membership states another one. Header: position of the change,
/// position at which the user last stopped being joined (0: never).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UserRoomRow {
    pub(crate) room_id: String,
    pub(crate) membership: Membership,
    pub(crate) event_id: String,
    /// With an invitation or a knock: a JSON array of stripped state events.
    pub(crate) stripped: Option<Content>,
    /// The user does not want to know of the room any more (since format 2).
    pub(crate) forgotten: bool,
}

/// Before rooms could be forgotten.
#[derive(Serialize, Deserialize)]
struct UserRoomRow1 {
    room_id: String,
    membership: Membership,
    event_id: String,
    stripped: Option<Content>,
}
row!(UserRoomRow1, 1);

impl Row for UserRoomRow {
    fn encode(&self) -> Bytes {
        postcard_row::encode(2, self)
    }

    fn decode(bytes: &Bytes) -> Option<Self> {
        postcard_row::decode(2, bytes).or_else(|| {
            let UserRoomRow1 { room_id, membership, event_id, stripped } = UserRoomRow1::decode(bytes)?;
            Some(Self { room_id, membership, event_id, stripped, forgotten: false })
        })
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MemberLogRow {
    pub(crate) room: u64,
    pub(crate) room_id: String,
    pub(crate) event_id: String,
    pub(crate) membership: Membership,
    /// What the user was before.
    pub(crate) previous: Option<Membership>,
}
row!(MemberLogRow, 1);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct GapRow {
    /// Depth of the event in the timeline.
    pub(crate) depth: u64,
    /// The events before it that are still not here.
    pub(crate) missing: Vec<String>,
}
row!(GapRow, 1);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MissingRow {
    /// Smallest depth in the timeline of the events that name it.
    pub(crate) depth: u64,
    /// Those events.
    pub(crate) waiting: Vec<String>,
}
row!(MissingRow, 1);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TransactionRow {
    pub(crate) event_id: String,
    /// For a later sweep.
    pub(crate) at_ms: u64,
}
row!(TransactionRow, 1);

/// Content of events, in the envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Content(pub(crate) Bytes);

impl Serialize for Content {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&Envelope::plain(self.0.clone()).encode())
    }
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(ContentVisitor)
    }
}

struct ContentVisitor;

impl Visitor<'_> for ContentVisitor {
    type Value = Content;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a content envelope")
    }

    fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Content, E> {
        let envelope = Envelope::decode(&Bytes::copy_from_slice(bytes)).map_err(E::custom)?;
        Ok(Content(envelope.0))
    }
}

pub(crate) fn event_key(room: u64, event_id: &str) -> Key {
    EVENTS.key(room).text(event_id).key()
}

/// `depth | 0 for backfilled, 1 for live events | order`. The extra byte keeps a live event's order the plain position, as
/// the engine fills it in, and still sorts negative orders below it.
pub(crate) fn timeline_key(room: u64, key: TimelineKey) -> Key {
    let order = u64::from_be_bytes(key.order.to_be_bytes());
    TIMELINE.key(room).u64(key.depth).u8(u8::from(key.order >= 0)).u64(order).key()
}

/// The timeline key of a live event whose position is that of the batch's journal entry `entry`.
pub(crate) fn live_timeline_key(room: u64, depth: u64, entry: usize) -> KeyBuilder {
    TIMELINE.key(room).u64(depth).u8(1).slot(entry)
}

/// The part of a timeline row's key that orders it.
pub(crate) fn read_timeline_key(key: &Key) -> Option<TimelineKey> {
    let mut reader = wardstead_engine::KeyReader::new(key);
    let (depth, _, order) = (reader.u64()?, reader.u8()?, reader.u64()?);
    Some(TimelineKey { depth, order: i64::from_be_bytes(order.to_be_bytes()) })
}

/// First key of `table`'s rows in `room` above position `at`.
pub(crate) fn after<R: Row>(table: &Table<R>, scope: u64, at: Position) -> Key {
    table.key(scope).position(at.next()).key()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_users_room_of_before_forgetting_is_read() {
        let (room_id, event_id) = ("!room:example.org".to_owned(), "$event".to_owned());
        let stripped = Some(Content(Bytes::from_static(b"[]")));
        let old = UserRoomRow1 { room_id, membership: Membership::Leave, event_id, stripped };
        let read = UserRoomRow::decode(&old.encode()).unwrap();
        assert!(!read.forgotten && read.membership == Membership::Leave && read.event_id == "$event");
        let forgotten = UserRoomRow { forgotten: true, ..read };
        assert_eq!(UserRoomRow::decode(&forgotten.encode()), Some(forgotten));
    }

    #[test]
    fn timeline_keys_sort_as_they_read() {
        let keys = [(0, i64::MIN), (1, -5), (1, -1), (1, 0), (1, 7), (2, -9), (2, 3)]
            .map(|(depth, order)| TimelineKey { depth, order });
        let stored = keys.map(|key| timeline_key(9, key));
        assert!(stored.is_sorted());
        assert_eq!(stored.map(|key| read_timeline_key(&key).unwrap()), keys);
        let live = live_timeline_key(9, 1, 0).template().filled(Position(7));
        assert_eq!(live, timeline_key(9, keys[4]));
    }
}
