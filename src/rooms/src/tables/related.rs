//! Tables of what follows from events beyond state: relations, redactions; and of reports. Formats and why:
//! `docs/design/13-reading.md`.

use serde::{Deserialize, Serialize};
use wardstead_engine::{AccessPattern, Key, KeyBuilder, KeyTemplate};
use wardstead_store::{Table, row};

use crate::TimelineKey;

use super::Content;

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
    pub(crate) fn below(self, prefix: KeyBuilder) -> KeyTemplate {
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
