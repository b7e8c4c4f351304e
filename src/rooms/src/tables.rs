//! The tables of rooms (numbers 0x040–0x07f) and their rows. Formats and why: `docs/design/03-rooms.md`.

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Visitor};
use wardstead_engine::{AccessPattern, Key, KeyBuilder, Position};
use wardstead_store::{Envelope, Row, Table, postcard_row, row};

mod versioned;

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
/// Receipts by room, user, type and thread; versioned.
pub(crate) const RECEIPTS: Table<ReceiptRow> = Table::new(AccessPattern::Scan, 0x05d, "receipts", "rooms");
/// What receipt moved last at a position: by room those that all members are shown, by user those that the user alone is. One row
/// for each row of [`RECEIPTS`].
pub(crate) const RECEIPT_LOG: Table<ReceiptLogRow> = Table::new(AccessPattern::Scan, 0x05e, "receipt_log", "rooms");
/// Position at which a receipt of the room, one that all members are shown, moved last.
pub(crate) const RECEIPT_CELLS: Table<ReceiptCellRow> =
    Table::new(AccessPattern::Point, 0x05f, "receipt_cells", "rooms");
/// Events by what they relate to, how, and timeline key.
pub(crate) const RELATIONS: Table<RelationRow> = Table::new(AccessPattern::Scan, 0x058, "relations", "rooms");
/// Threads by root, who speaks in them, and their replies by timeline key.
pub(crate) const THREADS: Table<ThreadRow> = Table::new(AccessPattern::Scan, 0x059, "threads", "rooms");
/// What redacted events said. No client reads it.
pub(crate) const ORIGINALS: Table<OriginalRow> = Table::new(AccessPattern::Point, 0x05a, "redacted_events", "rooms");
/// What is known of events that others name and that are not here.
pub(crate) const AWAITED: Table<AwaitedRow> = Table::new(AccessPattern::Point, 0x05b, "awaited_events", "rooms");
/// What users reported, by number.
pub(crate) const REPORTS: Table<ReportRow> = Table::new(AccessPattern::Append, 0x05c, "reports", "rooms");

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
}
row!(HeadRow, 1);

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

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReceiptRow {
    pub(crate) event_id: String,
    /// The event's timeline key: receipts never move backwards.
    pub(crate) depth: u64,
    pub(crate) order: i64,
    /// When it was moved, in milliseconds since 1970.
    pub(crate) at_ms: u64,
}
row!(ReceiptRow, 1);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReceiptLogRow {
    pub(crate) room: u64,
    pub(crate) user: u64,
    pub(crate) user_id: String,
    /// `main` or the root's event id; `None`: of no thread.
    pub(crate) thread: Option<String>,
    pub(crate) event_id: String,
    pub(crate) at_ms: u64,
}
row!(ReceiptLogRow, 1);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReceiptCellRow;
row!(ReceiptCellRow, 1);
/// An event that relates to another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RelationRow {
    pub(crate) event_id: String,
    pub(crate) event_type: String,
    pub(crate) sender: String,
    pub(crate) origin_server_ts: u64,
    /// Snapshot of the state before the event, by which is decided who sees it.
    pub(crate) state_before: u64,
    /// Whether it can replace another event, as far as it alone tells.
    pub(crate) replaces: bool,
}
row!(RelationRow, 1);

/// Of three kinds, told apart by the byte after the scope of their keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ThreadRow {
    /// By root.
    Thread(Thread),
    /// By root and local user: how many replies are theirs.
    Speaker(u64),
    /// By timeline key of the reply.
    Reply { root: String, event_id: String },
}
row!(ThreadRow, 1);

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Thread {
    pub(crate) replies: u64,
    /// The newest reply and its depth.
    pub(crate) latest: String,
    pub(crate) depth: u64,
    /// Some reply was made while not everybody who is in the room could see it: there is no one answer for all.
    pub(crate) restricted: bool,
}

/// What a redacted event said, for who may look into the record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OriginalRow {
    pub(crate) pdu: Content,
    pub(crate) redacted_by: String,
    pub(crate) at_ms: u64,
}
row!(OriginalRow, 1);

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AwaitedRow {
    /// Marks for its children.
    pub(crate) marks: u8,
    /// A redaction of it.
    pub(crate) redacted_by: Option<String>,
}
row!(AwaitedRow, 1);

/// A report of an event (with its room), a room or a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReportRow {
    pub(crate) reporter: String,
    pub(crate) room_id: Option<String>,
    pub(crate) event_id: Option<String>,
    pub(crate) user_id: Option<String>,
    pub(crate) score: Option<i64>,
    pub(crate) at_ms: u64,
    pub(crate) reason: Content,
}
row!(ReportRow, 1);

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

/// Where the relations to `parent` of the type `rel_type` start: timeline keys follow.
pub(crate) fn relations_of(room: u64, parent: &str, rel_type: &str) -> KeyBuilder {
    RELATIONS.key(room).text(parent).text(rel_type)
}

const THREAD_ROOTS: u8 = 0;
const THREAD_SPEAKERS: u8 = 1;
const THREAD_REPLIES: u8 = 2;

/// The row of the thread below the event `start`.
pub(crate) fn thread_key(room: u64, start: &str) -> Key {
    THREADS.key(room).u8(THREAD_ROOTS).text(start).key()
}

/// The row of what the local `user` said in the thread below the event `start`.
pub(crate) fn speaker_key(room: u64, start: &str, user: u64) -> Key {
    THREADS.key(room).u8(THREAD_SPEAKERS).text(start).u64(user).key()
}

/// Where the replies of all threads start: timeline keys follow.
pub(crate) fn thread_replies(room: u64) -> KeyBuilder {
    THREADS.key(room).u8(THREAD_REPLIES)
}

/// Where an event stands in the order of the timeline: known, or once its batch's journal entry has its position.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Spot {
    At(TimelineKey),
    Live { depth: u64, entry: usize },
}

impl Spot {
    /// The key below `prefix` for it, in the form of [`timeline_key`].
    pub(crate) fn below(self, prefix: KeyBuilder) -> wardstead_engine::KeyTemplate {
        match self {
            Self::At(TimelineKey { depth, order }) => {
                prefix.u64(depth).u8(u8::from(order >= 0)).u64(u64::from_be_bytes(order.to_be_bytes())).template()
            }
            Self::Live { depth, entry } => prefix.u64(depth).u8(1).slot(entry).template(),
        }
    }
}

/// The timeline key at the end of a key that has it below a prefix ([`Spot::below`]).
pub(crate) fn read_timeline_tail(key: &Key) -> Option<TimelineKey> {
    let (_, tail) = key.as_bytes().split_last_chunk::<17>()?;
    let (depth, rest) = tail.split_first_chunk()?;
    let order = rest.get(1..)?.try_into().ok()?;
    Some(TimelineKey { depth: u64::from_be_bytes(*depth), order: i64::from_be_bytes(order) })
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
