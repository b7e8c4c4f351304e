//! Typed tables with a declared owner, and rows with a format byte of their own.

use std::marker::PhantomData;

use bytes::Bytes;
use smallvec::SmallVec;
use wardstead_engine::{
    AccessPattern, Batch, Cell, EngineError, Key, KeyBuilder, KeyTemplate, Position, PositionSlot, TableId,
};

/// A stored form: one of our own types, never a serde form of a dependency's, behind a format byte.
pub trait Row: Sized {
    /// The bytes to store.
    fn encode(&self) -> Bytes;

    /// Reads them back; `None` when they are not such a row.
    fn decode(bytes: &Bytes) -> Option<Self>;
}

/// Implements [`Row`] for a serde type: the format byte, then postcard. Fields are only ever added behind a new format.
#[macro_export]
macro_rules! row {
    ($type:ty, $format:literal) => {
        impl $crate::Row for $type {
            fn encode(&self) -> ::bytes::Bytes {
                $crate::postcard_row::encode($format, self)
            }

            fn decode(bytes: &::bytes::Bytes) -> Option<Self> {
                $crate::postcard_row::decode($format, bytes)
            }
        }
    };
}

#[doc(hidden)]
pub mod postcard_row {
    use bytes::Bytes;
    use serde::{Serialize, de::DeserializeOwned};
    use wardstead_limits::store::ROW_BYTES;

    #[must_use]
    pub fn encode(format: u8, row: &impl Serialize) -> Bytes {
        // Room for nearly every row, so that writing one never grows it; what is queued then takes just its own bytes.
        let mut bytes = Vec::with_capacity(ROW_BYTES);
        bytes.push(format);
        // Postcard fails only on types of unknown length, which rows do not have; such a row would decode as `None`.
        Bytes::copy_from_slice(&postcard::to_extend(row, bytes).unwrap_or_default())
    }

    pub fn decode<R: DeserializeOwned>(format: u8, bytes: &Bytes) -> Option<R> {
        let (first, rest) = bytes.split_first()?;
        if *first != format {
            return None;
        }
        match postcard::take_from_bytes(rest) {
            Ok((row, [])) => Some(row),
            _ => None,
        }
    }
}

/// A table of rows `R`, named by its owner alone.
#[derive(Debug)]
pub struct Table<R> {
    id: TableId,
    name: &'static str,
    owner: &'static str,
    row: PhantomData<fn() -> R>,
}

impl<R: Row> Table<R> {
    /// Declares a table: `number` is unique across patterns, `owner` is the crate that declares it.
    #[must_use]
    pub const fn new(pattern: AccessPattern, number: u16, name: &'static str, owner: &'static str) -> Self {
        Self { id: TableId::new(pattern, number), name, owner, row: PhantomData }
    }

    /// Its name, for messages.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The part that reads and writes it.
    #[must_use]
    pub const fn owner(&self) -> &'static str {
        self.owner
    }

    /// Its number.
    #[must_use]
    pub const fn id(&self) -> TableId {
        self.id
    }

    /// Starts a key of this table.
    pub fn key(&self, scope: u64) -> KeyBuilder {
        Key::build(self.id, scope)
    }

    /// Reads a row.
    ///
    /// # Errors
    /// `Corrupt` when the payload is not a row of this table.
    pub fn decode(&self, key: &Key, cell: &Cell) -> Result<R, EngineError> {
        R::decode(&cell.payload).ok_or_else(|| EngineError::corrupt(key, format!("not a row of {}", self.name)))
    }

    /// Reads a row together with its version and positions.
    ///
    /// # Errors
    /// As [`Self::decode`].
    pub fn found(&self, key: Key, cell: Cell) -> Result<Found<R>, EngineError> {
        let row = self.decode(&key, &cell)?;
        Ok(Found { key, row, version: cell.version, positions: cell.positions })
    }

    /// Adds a row to `batch`.
    pub fn put(&self, batch: &mut Batch, key: impl Into<KeyTemplate>, row: &R) {
        self.put_with(batch, key, 0, &[], row);
    }

    /// Adds a row with version and positions to `batch`.
    pub fn put_with(
        &self,
        batch: &mut Batch,
        key: impl Into<KeyTemplate>,
        version: u64,
        positions: &[PositionSlot],
        row: &R,
    ) {
        batch.put_with(key, version, positions, row.encode());
    }
}

/// A row that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found<R> {
    /// Where.
    pub key: Key,
    /// What.
    pub row: R,
    /// The version that its writer stated.
    pub version: u64,
    /// The positions in its header.
    pub positions: SmallVec<[Position; 2]>,
}

impl<R> Found<R> {
    /// The first position of its header; zero where there is none.
    #[must_use]
    pub fn position(&self) -> Position {
        self.positions.first().copied().unwrap_or_default()
    }
}
