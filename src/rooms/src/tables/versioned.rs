//! Rows whose form has changed once: the older form is still read.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use wardstead_store::{Row, postcard_row};

use super::{Content, Status};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EventRow {
    pub(crate) status: Status,
    /// Short id; 0 for events that are not state.
    pub(crate) short: u64,
    /// Snapshot of the state before the event; 0 is no state at all.
    pub(crate) state_before: u64,
    /// Depth in the timeline, where it is not the one that the event states.
    pub(crate) clipped: Option<u64>,
    /// Order of a backfilled event; 0 for live ones, whose order is their position.
    pub(crate) order: i64,
    /// Events before it were not here when it came, so that it does not follow what arrived before it.
    pub(crate) gap: bool,
    /// The state event that this one took the place of.
    pub(crate) replaces: Option<String>,
    /// Short id of the sending device and its transaction id.
    pub(crate) transaction: Option<(u64, String)>,
    /// Marks for its children.
    pub(crate) marks: u8,
    /// The redaction that was applied to it.
    pub(crate) redacted_by: Option<String>,
    /// The event in canonical JSON, as it is hashed, signed and sent to other servers; pruned once it is redacted.
    pub(crate) pdu: Content,
}

/// Format 1: before there were events of other servers.
#[derive(Serialize, Deserialize)]
struct FirstEventRow {
    status: Status,
    short: u64,
    state_before: u64,
    order: i64,
    replaces: Option<String>,
    transaction: Option<(u64, String)>,
    pdu: Content,
}

impl Row for EventRow {
    fn encode(&self) -> Bytes {
        postcard_row::encode(2, self)
    }

    fn decode(bytes: &Bytes) -> Option<Self> {
        postcard_row::decode(2, bytes).or_else(|| {
            let FirstEventRow { status, short, state_before, order, replaces, transaction, pdu } =
                postcard_row::decode(1, bytes)?;
            Some(Self {
                status,
                short,
                state_before,
                clipped: None,
                order,
                gap: false,
                replaces,
                transaction,
                marks: 0,
                redacted_by: None,
                pdu,
            })
        })
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ArrivalRow {
    pub(crate) event_id: String,
    /// Depth in the timeline.
    pub(crate) depth: u64,
    /// Largest depth in the timeline of all that had arrived by then.
    pub(crate) top: u64,
}

/// Format 1: when every event stood below all others.
#[derive(Serialize, Deserialize)]
struct FirstArrivalRow {
    event_id: String,
    depth: u64,
}

impl Row for ArrivalRow {
    fn encode(&self) -> Bytes {
        postcard_row::encode(2, self)
    }

    fn decode(bytes: &Bytes) -> Option<Self> {
        postcard_row::decode(2, bytes).or_else(|| {
            let FirstArrivalRow { event_id, depth } = postcard_row::decode(1, bytes)?;
            Some(Self { event_id, depth, top: depth })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_of_the_first_format_are_read() {
        let (status, short, state_before, order) = (Status::Timeline, 7, 9, 0);
        let (replaces, transaction, pdu) = (Some("$a".to_owned()), None, Content(Bytes::from_static(b"{}")));
        let first = FirstEventRow {
            status,
            short,
            state_before,
            order,
            replaces: replaces.clone(),
            transaction: None,
            pdu: pdu.clone(),
        };
        let (clipped, gap, marks, redacted_by) = (None, false, 0, None);
        let now = EventRow {
            status,
            short,
            state_before,
            clipped,
            order,
            gap,
            replaces,
            transaction,
            marks,
            redacted_by,
            pdu,
        };
        assert_eq!(EventRow::decode(&postcard_row::encode(1, &first)), Some(now.clone()));
        assert_eq!(EventRow::decode(&now.encode()), Some(now));
    }
}
