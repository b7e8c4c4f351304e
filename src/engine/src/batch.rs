//! A batch: assertions, writes and journal entries that are committed together or not at all.

use bytes::Bytes;
use smallvec::SmallVec;
use wardstead_limits::engine as limits;

use crate::{EngineLimits, JournalEntry, Key, KeyTemplate, Position};

/// Whether somebody waits for the batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Urgency {
    /// Something is promised: commit with the next group.
    #[default]
    Now,
    /// Nothing was promised (delivered marks, last-seen, connection state): rides in the next group, at the latest after
    /// [`wardstead_limits::store::SOON_MS`].
    Soon,
}

/// What a cell must be for the batch to win.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// No such row.
    Absent,
    /// The row exists and its writer stated this version.
    Version(u64),
}

/// What it means when an assertion does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Losing {
    /// The batch was built on something old (a room head): read again and rebuild.
    Rebuild,
    /// The act was done before (transaction id, event id): read this row and answer from it.
    Done(Key),
    /// The act cannot be done (alias or user name taken): the code names why.
    Fail(&'static str),
}

/// A condition on one cell. It sees the writes of earlier winners of the same group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assertion {
    /// The cell.
    pub key: Key,
    /// What it must be.
    pub expect: Expect,
    /// What losing means.
    pub losing: Losing,
}

/// A position in the header of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PositionSlot {
    /// That of the batch's journal entry with this number, filled in at commit.
    Entry(usize),
    /// A known one.
    Known(Position),
}

/// One change of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Writes a row.
    Put {
        /// Where.
        key: KeyTemplate,
        /// What later [`Expect::Version`] assertions compare with; 0 where nobody does.
        version: u64,
        /// Positions in the value's header, at most [`limits::VALUE_POSITIONS`].
        positions: SmallVec<[PositionSlot; 2]>,
        /// The rest of the value.
        payload: Bytes,
    },
    /// Removes a row, if it is there.
    Delete(Key),
    /// Removes the rows from `from` (inclusive) to `to` (exclusive), both of one table and scope.
    DeleteRange {
        /// First key removed.
        from: Key,
        /// First key kept; may also be the end of the scope.
        to: Key,
    },
}

/// Assertions, writes and journal entries of one act.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Whether somebody waits.
    pub urgency: Urgency,
    /// All must hold; the first that does not decides what losing means.
    pub assertions: Vec<Assertion>,
    /// Applied in order.
    pub writes: Vec<Write>,
    /// Each takes the next position, in order.
    pub journal: Vec<JournalEntry>,
    /// The first journal entry takes at least this position. Used once, by the change of epoch, to jump.
    pub not_before: Option<Position>,
}

/// Why a batch can never be committed, whatever the rows are. A fault of the code that built it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBatch {
    /// More than the engine takes at once.
    #[error("the batch has {actual} {what}, at most {most} are allowed")]
    TooLarge {
        /// Of what.
        what: &'static str,
        /// How many.
        actual: usize,
        /// The bound.
        most: usize,
    },
    /// A key that does not start with a table and a scope.
    #[error("a key of {0} bytes has no table and scope")]
    Key(usize),
    /// A slot that names a journal entry which the batch does not have, or stands outside the key.
    #[error("a position slot names entry {entry} of {entries}")]
    Slot {
        /// The entry it names.
        entry: usize,
        /// Entries of the batch.
        entries: usize,
    },
    /// A range that leaves its table and scope, or is upside down.
    #[error("a range must lie within one table and scope")]
    Range,
}

impl Batch {
    /// An empty batch that somebody waits for.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a condition.
    pub fn expect(&mut self, key: Key, expect: Expect, losing: Losing) -> &mut Self {
        self.assertions.push(Assertion { key, expect, losing });
        self
    }

    /// Writes a row without version or positions.
    pub fn put(&mut self, key: impl Into<KeyTemplate>, payload: impl Into<Bytes>) -> &mut Self {
        self.put_with(key, 0, &[], payload)
    }

    /// Writes a row.
    pub fn put_with(
        &mut self,
        key: impl Into<KeyTemplate>,
        version: u64,
        positions: &[PositionSlot],
        payload: impl Into<Bytes>,
    ) -> &mut Self {
        let (key, payload) = (key.into(), payload.into());
        self.writes.push(Write::Put { key, version, positions: SmallVec::from_slice(positions), payload });
        self
    }

    /// Removes a row.
    pub fn delete(&mut self, key: Key) -> &mut Self {
        self.writes.push(Write::Delete(key));
        self
    }

    /// Removes the rows from `from` to before `to`.
    pub fn delete_range(&mut self, from: Key, to: Key) -> &mut Self {
        self.writes.push(Write::DeleteRange { from, to });
        self
    }

    /// Adds a journal entry and returns its number, for slots.
    pub fn journal(&mut self, entry: JournalEntry) -> usize {
        self.journal.push(entry);
        self.journal.len() - 1
    }

    /// Bytes of keys and payloads, for the bound of a group.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let writes: usize = self.writes.iter().map(write_bytes).sum();
        let journal: usize = self.journal.iter().map(|entry| entry.key.len() + 64).sum();
        writes + journal
    }

    /// Checks sizes, keys, slots and ranges.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn validate(&self, engine: &EngineLimits) -> Result<(), InvalidBatch> {
        at_most("bytes", self.bytes(), engine.batch_bytes)?;
        at_most("writes", self.writes.len(), engine.batch_writes)?;
        at_most("assertions", self.assertions.len(), engine.batch_writes)?;
        at_most("journal entries", self.journal.len(), engine.batch_journal_entries)?;
        self.assertions.iter().try_for_each(|assertion| check_key(&assertion.key))?;
        self.writes.iter().try_for_each(|write| self.check_write(write))
    }

    fn check_write(&self, write: &Write) -> Result<(), InvalidBatch> {
        match write {
            Write::Put { key, positions, payload, .. } => {
                check_key(key.key())?;
                at_most("bytes in a value", payload.len(), limits::VALUE_BYTES)?;
                at_most("positions in a value", positions.len(), limits::VALUE_POSITIONS)?;
                let in_key = key.slot().map(|slot| slot.entry);
                let in_value = positions.iter().filter_map(|slot| match slot {
                    PositionSlot::Entry(entry) => Some(*entry),
                    PositionSlot::Known(_) => None,
                });
                let entries = self.journal.len();
                let lost = in_key.into_iter().chain(in_value).find(|entry| *entry >= entries);
                lost.map_or(Ok(()), |entry| Err(InvalidBatch::Slot { entry, entries }))
            }
            Write::Delete(key) => check_key(key),
            Write::DeleteRange { from, to } => {
                check_key(from)?;
                let prefix = &from.as_bytes()[..crate::key::PREFIX_BYTES];
                let scope_end = Key::build(from.table(), from.scope()).key().after_prefix();
                let inside = to.as_bytes().starts_with(prefix) || *to == scope_end;
                if inside && from <= to { Ok(()) } else { Err(InvalidBatch::Range) }
            }
        }
    }
}

fn write_bytes(write: &Write) -> usize {
    match write {
        Write::Put { key, payload, .. } => key.key().as_bytes().len() + payload.len() + 16,
        Write::Delete(key) => key.as_bytes().len(),
        Write::DeleteRange { from, to } => from.as_bytes().len() + to.as_bytes().len(),
    }
}

pub(crate) fn check_key(key: &Key) -> Result<(), InvalidBatch> {
    let bytes = key.as_bytes().len();
    if bytes < crate::key::PREFIX_BYTES || Key::from_stored(key.to_bytes()).is_none() {
        return Err(InvalidBatch::Key(bytes));
    }
    at_most("bytes in a key", bytes, limits::KEY_BYTES)
}

fn at_most(what: &'static str, actual: usize, most: usize) -> Result<(), InvalidBatch> {
    if actual <= most { Ok(()) } else { Err(InvalidBatch::TooLarge { what, actual, most }) }
}
