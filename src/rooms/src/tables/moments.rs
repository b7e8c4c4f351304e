//! Which stretches of a room's timeline hold events of which time. Format and why: `docs/design/13-reading.md`.

use serde::{Deserialize, Serialize};
use wardstead_engine::{AccessPattern, Key, KeyReader};
use wardstead_limits::rooms as limits;
use wardstead_store::{Table, row};

use crate::Event;

/// Blocks of the timeline by time. A row may stand where no event is any more; none is missing where one is.
pub(crate) const MOMENTS: Table<MomentRow> = Table::new(AccessPattern::Scan, 0x064, "moments", "rooms");

/// There is an event in this part of the timeline that says it was made in this part of the day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Moment {
    /// `origin_server_ts` in units of [`limits::TIME_PART_MS`].
    pub(crate) part: u64,
    /// Depth in the timeline in units of [`limits::TIME_BLOCK_STEPS`].
    pub(crate) block: u64,
}

/// Its key says it all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MomentRow;
row!(MomentRow, 1);

impl Moment {
    /// Of an event that stands at `depth`.
    pub(crate) fn of(event: &Event, depth: u64) -> Self {
        Self { part: part_of(event.origin_server_ts), block: depth / limits::TIME_BLOCK_STEPS }
    }

    pub(crate) fn key(self, room: u64) -> Key {
        MOMENTS.key(room).u64(self.part).u64(self.block).key()
    }

    pub(crate) fn read(key: &Key) -> Option<Self> {
        let mut reader = KeyReader::new(key);
        Some(Self { part: reader.u64()?, block: reader.u64()? })
    }

    /// The depths of its block, both included.
    pub(crate) fn depths(self) -> (u64, u64) {
        let first = self.block.saturating_mul(limits::TIME_BLOCK_STEPS);
        (first, first.saturating_add(limits::TIME_BLOCK_STEPS - 1))
    }
}

/// The part of the day in which `at_ms` (milliseconds since 1970) is.
pub(crate) fn part_of(at_ms: u64) -> u64 {
    at_ms / limits::TIME_PART_MS
}
