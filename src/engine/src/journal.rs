//! The journal: one row for everything durable that a client can see, in one order.

use bytes::{BufMut, Bytes, BytesMut};

use crate::{Cell, EngineError, Key, Position, Writer, key::KeyReader, system};

/// What a batch adds to the journal. It has no content: readers find that under the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalEntry {
    /// What changed; the numbers are declared by `store`.
    pub kind: u16,
    /// Short id of the room or user.
    pub scope: u64,
    /// Where to look; its meaning depends on the kind.
    pub key: Bytes,
}

/// A journal entry with its position and its writer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalRow {
    /// Its place.
    pub position: Position,
    /// Who wrote it, so that a commit of unknown outcome can be looked up.
    pub writer: Writer,
    /// Number of its batch within the writer's group.
    pub batch: u16,
    /// The entry.
    pub entry: JournalEntry,
}

const FORMAT: u8 = 1;
const HEADER_BYTES: usize = 29;

/// Key of the journal row at `position`.
#[must_use]
pub fn key(position: Position) -> Key {
    Key::build(system::JOURNAL, 0).position(position).key()
}

impl JournalRow {
    /// The row's payload: format, incarnation, group, batch, kind, scope, key.
    #[must_use]
    pub fn payload(&self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(HEADER_BYTES + self.entry.key.len());
        bytes.put_u8(FORMAT);
        bytes.put_u64(self.writer.incarnation);
        bytes.put_u64(self.writer.group);
        bytes.put_u16(self.batch);
        bytes.put_u16(self.entry.kind);
        bytes.put_u64(self.entry.scope);
        bytes.put_slice(&self.entry.key);
        bytes.freeze()
    }

    /// Reads a row back.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`] when key or payload are not a journal row's.
    pub fn read(key: &Key, cell: &Cell) -> Result<Self, EngineError> {
        let corrupt = || EngineError::corrupt(key, "not a journal row");
        let position = KeyReader::new(key).position().ok_or_else(corrupt)?;
        let payload = &cell.payload;
        if payload.len() < HEADER_BYTES || payload[0] != FORMAT {
            return Err(corrupt());
        }
        let number = |at: usize| payload[at..at + 8].iter().fold(0, |n: u64, byte| n << 8 | u64::from(*byte));
        Ok(Self {
            position,
            writer: Writer { incarnation: number(1), group: number(9) },
            batch: u16::from_be_bytes([payload[17], payload[18]]),
            entry: JournalEntry {
                kind: u16::from_be_bytes([payload[19], payload[20]]),
                scope: number(21),
                key: payload.slice(HEADER_BYTES..),
            },
        })
    }
}
