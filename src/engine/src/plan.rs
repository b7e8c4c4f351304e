//! What becomes of a group: pure, the same for every engine.
//!
//! An engine reads the versions of [`asserted_keys`], calls [`plan`], and writes what it returns in one step.

use std::collections::HashMap;

use bytes::Bytes;

use crate::{
    Assertion, Batch, EngineError, Expect, Group, GroupOutcome, JournalRow, Key, KeyTemplate, Outcome, Position,
    PositionSlot, Write, Writer, journal, value,
};

/// A change of the storage with all slots filled and values sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Store these bytes.
    Put(Key, Bytes),
    /// Remove this row.
    Delete(Key),
    /// Remove the rows from the first key to before the second.
    DeleteRange(Key, Key),
}

/// A decided group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What the callers are told once the changes are durable.
    pub outcome: GroupOutcome,
    /// To be applied in order, in one step. Empty when nobody won.
    pub changes: Vec<Change>,
}

/// The keys whose versions [`plan`] needs, without repetition.
#[must_use]
pub fn asserted_keys(group: &Group) -> Vec<Key> {
    let mut keys: Vec<Key> =
        group.batches.iter().flat_map(|batch| batch.assertions.iter().map(|assertion| assertion.key.clone())).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// Holds `group` against the stored version of [`crate::system::epoch_key`].
///
/// # Errors
/// [`EngineError::Conflict`] when it was built in another epoch.
pub fn check_epoch(group: &Group, stored: Option<u64>) -> Result<(), EngineError> {
    let actual = stored.unwrap_or(0);
    if actual == group.epoch { Ok(()) } else { Err(EngineError::Conflict { expected: group.epoch, actual }) }
}

/// Decides `group` on top of `newest`. `versions` holds the stored version of each asserted key that has a row.
#[must_use]
pub fn plan(group: &Group, newest: Position, versions: impl IntoIterator<Item = (Key, u64)>) -> Plan {
    let mut cells = Cells { asserted: asserted_keys(group), versions: versions.into_iter().collect() };
    let mut position = newest;
    let mut changes = Vec::new();
    let outcomes = group
        .batches
        .iter()
        .zip(0..)
        .map(|(batch, number)| {
            if let Some((assertion, losing)) = cells.first_lost(&batch.assertions) {
                return Outcome::Lost { assertion, losing };
            }
            let positions = take_positions(batch, &mut position);
            apply(batch, group.writer, number, &positions, &mut cells, &mut changes);
            Outcome::Won { positions }
        })
        .collect();
    Plan { outcome: GroupOutcome { outcomes, position }, changes }
}

/// The asserted cells as earlier winners of the group left them.
struct Cells {
    asserted: Vec<Key>,
    versions: HashMap<Key, u64>,
}

impl Cells {
    fn first_lost(&self, assertions: &[Assertion]) -> Option<(usize, crate::Losing)> {
        let lost = assertions.iter().position(|assertion| {
            let version = self.versions.get(&assertion.key).copied();
            match assertion.expect {
                Expect::Absent => version.is_some(),
                Expect::Version(expected) => version != Some(expected),
            }
        })?;
        Some((lost, assertions[lost].losing.clone()))
    }

    fn see(&mut self, change: &Change, version: u64) {
        match change {
            Change::Put(key, _) => {
                if self.asserted.binary_search(key).is_ok() {
                    self.versions.insert(key.clone(), version);
                }
            }
            Change::Delete(key) => {
                self.versions.remove(key);
            }
            Change::DeleteRange(from, to) => self.versions.retain(|key, _| key < from || key >= to),
        }
    }
}

fn take_positions(batch: &Batch, newest: &mut Position) -> Vec<Position> {
    let mut take = |least: Position| {
        *newest = newest.next().max(least);
        *newest
    };
    let least = batch.not_before.unwrap_or_default();
    batch.journal.iter().map(|_| take(least)).collect()
}

fn apply(
    batch: &Batch,
    writer: Writer,
    number: u16,
    positions: &[Position],
    cells: &mut Cells,
    changes: &mut Vec<Change>,
) {
    for write in &batch.writes {
        let (change, version) = match write {
            Write::Put { key, version, positions: slots, payload } => {
                let header: smallvec::SmallVec<[Position; 4]> =
                    slots.iter().map(|slot| fill(*slot, positions)).collect();
                let key = fill_key(key, positions);
                let stored = value::seal(&key, *version, &header, payload);
                (Change::Put(key, stored), *version)
            }
            Write::Delete(key) => (Change::Delete(key.clone()), 0),
            Write::DeleteRange { from, to } => (Change::DeleteRange(from.clone(), to.clone()), 0),
        };
        cells.see(&change, version);
        changes.push(change);
    }
    for (entry, position) in batch.journal.iter().zip(positions) {
        let row = JournalRow { position: *position, writer, batch: number, entry: entry.clone() };
        let key = journal::key(*position);
        let stored = value::seal(&key, 0, &[], &row.payload());
        changes.push(Change::Put(key, stored));
    }
}

fn fill(slot: PositionSlot, positions: &[Position]) -> Position {
    match slot {
        PositionSlot::Known(position) => position,
        // A batch whose slots name entries that it does not have never gets here: `Batch::validate`.
        PositionSlot::Entry(entry) => positions.get(entry).copied().unwrap_or_default(),
    }
}

fn fill_key(key: &KeyTemplate, positions: &[Position]) -> Key {
    match key.slot() {
        None => key.key().clone(),
        Some(slot) => key.filled(positions.get(slot.entry).copied().unwrap_or_default()),
    }
}
