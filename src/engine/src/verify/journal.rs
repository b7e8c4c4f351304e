//! Whether the journal is whole.

use std::collections::BTreeSet;

use crate::{
    Cell, EngineError, JournalRow, Key, KeyReader, Position,
    system::{EPOCH_BEGINS, EndedEpoch},
};

use super::Place;

/// Hears of each finding.
type Tell<'a> = dyn FnMut(Place, String) + 'a;

/// The journal as far as it was read.
#[derive(Default)]
pub(super) struct Journal {
    ended: Vec<EndedEpoch>,
    first: Option<Position>,
    /// The last position; `None` before the first row, and after rows that could not be read.
    last: Option<Position>,
    /// The largest position seen, in whatever order.
    largest: Option<Position>,
    /// Rows that are there and cannot be read. They are known before those that stand before them on their page.
    corrupt: BTreeSet<Position>,
    /// Beginnings of epochs that were seen.
    begun: Vec<Position>,
    /// Some of it could not be read: no word about what is missing.
    unread: bool,
}

impl Journal {
    pub(super) fn new(ended: Vec<EndedEpoch>) -> Self {
        Self { ended, ..Self::default() }
    }

    /// The next row. Those of a descending read are not held against each other.
    pub(super) fn row(
        &mut self,
        key: &Key,
        cell: &Cell,
        in_order: bool,
        tell: &mut Tell<'_>,
    ) -> Result<(), EngineError> {
        let row = JournalRow::read(key, cell)?;
        let position = row.position;
        if *key != crate::journal::key(position) {
            self.unread = true;
            return Err(EngineError::corrupt(key, "not the key of a journal row"));
        }
        let begins = row.entry.kind == EPOCH_BEGINS;
        if begins {
            self.begun.push(position);
        }
        if in_order && let Some(last) = self.last {
            let mut next = last.next();
            while self.corrupt.contains(&next) {
                next = next.next();
            }
            if position != next && !(begins && self.jumps(last, position)) {
                tell(Place::Journal(next), format!("a hole: {position} follows {last}"));
            }
        }
        self.seen(position);
        Ok(())
    }

    /// A row that is there but cannot be read: reported by itself, not a hole.
    pub(super) fn corrupt(&mut self, key: &Key) {
        self.corrupt.extend(KeyReader::new(key).position());
        self.unread = true;
    }

    /// Rows could not be read.
    pub(super) fn lose_track(&mut self) {
        self.last = None;
        self.unread = true;
    }

    /// The first and the last position, when everything was read. `newest` is what the engine took for the newest before.
    pub(super) fn end(self, newest: Position, tell: &mut Tell<'_>) -> Option<(Position, Position)> {
        let largest = self.largest.unwrap_or_default();
        if largest < newest && !self.unread {
            tell(
                Place::Journal(largest.next()),
                format!("it ends at {largest}, and the engine's newest position is {newest}"),
            );
        }
        for ended in &self.ended {
            let within = self.first.is_some_and(|first| first <= ended.next);
            if within && !self.unread && !self.begun.contains(&ended.next) {
                tell(Place::Journal(ended.next), format!("the epoch after {} does not begin there", ended.epoch));
            }
        }
        Some((self.first?, largest))
    }

    /// Whether an epoch jumped from `last` to `position`. What the epoch's cell no longer remembers is believed.
    fn jumps(&self, last: Position, position: Position) -> bool {
        let oldest = self.ended.first().map(|ended| ended.last);
        last < position
            && (oldest.is_none_or(|oldest| position <= oldest)
                || self.ended.iter().any(|ended| (ended.last, ended.next) == (last, position)))
    }

    fn seen(&mut self, position: Position) {
        self.first = self.first.or(Some(position)).min(Some(position));
        self.last = Some(position);
        self.largest = self.largest.max(Some(position));
    }
}
