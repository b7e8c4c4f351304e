//! Key grammar: `table u16 | scope u64 | rest`, big-endian, order-preserving, no key a prefix of another.

use bytes::Bytes;

use crate::Position;

/// How a table is read and written; engines keep each pattern in a place of its own (column family, SQL table).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AccessPattern {
    /// Small cells read and overwritten by key.
    Point,
    /// Rows read in order within a scope.
    Scan,
    /// Rows written once in ascending order, read from the end.
    Append,
    /// Rows that live briefly: queues, connection state.
    Churn,
}

impl AccessPattern {
    /// All patterns.
    pub const ALL: [Self; 4] = [Self::Point, Self::Scan, Self::Append, Self::Churn];
}

/// Number of a table. The highest four bits are its access pattern (1 point, 2 scan, 3 append, 4 churn), so that an
/// engine knows where a key belongs without a registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableId(u16);

impl TableId {
    /// The table with number `number` (below 4,096) within `pattern`.
    ///
    /// # Panics
    /// At compile time, when `number` is 4,096 or more.
    #[must_use]
    pub const fn new(pattern: AccessPattern, number: u16) -> Self {
        assert!(number < 0x1000, "a table number has twelve bits");
        let nibble: u16 = match pattern {
            AccessPattern::Point => 1,
            AccessPattern::Scan => 2,
            AccessPattern::Append => 3,
            AccessPattern::Churn => 4,
        };
        Self(nibble << 12 | number)
    }

    /// The table with this stored number, if its pattern is known.
    #[must_use]
    pub const fn from_stored(stored: u16) -> Option<Self> {
        match stored >> 12 {
            1..=4 => Some(Self(stored)),
            _ => None,
        }
    }

    /// The number as stored in keys.
    #[must_use]
    pub const fn stored(self) -> u16 {
        self.0
    }

    /// How the table is read and written.
    #[must_use]
    pub const fn pattern(self) -> AccessPattern {
        match self.0 >> 12 {
            1 => AccessPattern::Point,
            2 => AccessPattern::Scan,
            3 => AccessPattern::Append,
            _ => AccessPattern::Churn,
        }
    }
}

/// Bytes of table and scope, with which every key starts.
pub const PREFIX_BYTES: usize = 10;

/// A complete key. Ordered as its bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Bytes);

impl Key {
    /// Starts a key of `table` in `scope` (a short id of room, user or device; 0 where there is none).
    pub fn build(table: TableId, scope: u64) -> KeyBuilder {
        let mut bytes = Vec::with_capacity(48);
        bytes.extend_from_slice(&table.stored().to_be_bytes());
        bytes.extend_from_slice(&scope.to_be_bytes());
        KeyBuilder { bytes, slot: None }
    }

    /// A key as an engine stored it. `None` when it is too short or names no table.
    #[must_use]
    pub fn from_stored(bytes: Bytes) -> Option<Self> {
        let table = u16::from_be_bytes(bytes.get(..2)?.try_into().ok()?);
        TableId::from_stored(table)?;
        (bytes.len() >= PREFIX_BYTES).then_some(Self(bytes))
    }

    /// The bytes as stored.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes as stored, shared.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        self.0.clone()
    }

    /// The table.
    #[must_use]
    pub fn table(&self) -> TableId {
        TableId(u16::from_be_bytes([self.0[0], self.0[1]]))
    }

    /// The scope.
    #[must_use]
    pub fn scope(&self) -> u64 {
        read_u64(&self.0[2..PREFIX_BYTES])
    }

    /// What follows table and scope.
    #[must_use]
    pub fn rest(&self) -> &[u8] {
        &self.0[PREFIX_BYTES..]
    }

    /// The smallest key above this one.
    #[must_use]
    pub fn successor(&self) -> Self {
        let mut bytes = Vec::with_capacity(self.0.len() + 1);
        bytes.extend_from_slice(&self.0);
        bytes.push(0);
        Self(bytes.into())
    }

    /// The smallest key above every key that starts with this one's bytes.
    #[must_use]
    pub fn after_prefix(&self) -> Self {
        let mut bytes = self.0.to_vec();
        while let Some(last) = bytes.pop() {
            if last < u8::MAX {
                bytes.push(last + 1);
                break;
            }
        }
        Self(bytes.into())
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.len() < PREFIX_BYTES {
            return write!(f, "Key(bound {:02x?})", &self.0[..]);
        }
        write!(f, "Key({:#06x}/{}/", self.table().stored(), self.scope())?;
        for byte in self.rest() {
            write!(f, "{byte:02x}")?;
        }
        write!(f, ")")
    }
}

/// Where a position is filled into a key at commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeySlot {
    /// First of eight bytes.
    pub offset: usize,
    /// The batch's journal entry whose position it is.
    pub entry: usize,
}

/// A key to write, possibly with one position that is known only at commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyTemplate {
    key: Key,
    slot: Option<KeySlot>,
}

impl KeyTemplate {
    /// The key with its slot zeroed.
    #[must_use]
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// The slot, if there is one.
    #[must_use]
    pub fn slot(&self) -> Option<KeySlot> {
        self.slot
    }

    /// The key with `position` in its slot; unchanged where there is none.
    #[must_use]
    pub fn filled(&self, position: Position) -> Key {
        let Some(slot) = self.slot else { return self.key.clone() };
        let mut bytes = self.key.0.to_vec();
        bytes[slot.offset..slot.offset + 8].copy_from_slice(&position.0.to_be_bytes());
        Key(bytes.into())
    }
}

impl From<Key> for KeyTemplate {
    fn from(key: Key) -> Self {
        Self { key, slot: None }
    }
}

/// Appends parts to a key so that the order of keys is the order of the parts.
#[derive(Clone, Debug)]
#[must_use]
pub struct KeyBuilder {
    bytes: Vec<u8>,
    slot: Option<KeySlot>,
}

impl KeyBuilder {
    /// One byte.
    pub fn u8(mut self, part: u8) -> Self {
        self.bytes.push(part);
        self
    }

    /// A number of 32 bits.
    pub fn u32(mut self, part: u32) -> Self {
        self.bytes.extend_from_slice(&part.to_be_bytes());
        self
    }

    /// A number of 64 bits.
    pub fn u64(mut self, part: u64) -> Self {
        self.bytes.extend_from_slice(&part.to_be_bytes());
        self
    }

    /// A signed number; negative ones come first.
    pub fn i64(self, part: i64) -> Self {
        self.u64(part.cast_unsigned() ^ 1 << 63)
    }

    /// A position that is known.
    pub fn position(self, part: Position) -> Self {
        self.u64(part.0)
    }

    /// The position of the batch's journal entry number `entry`, filled in at commit. A key has at most one.
    pub fn slot(mut self, entry: usize) -> Self {
        self.slot = Some(KeySlot { offset: self.bytes.len(), entry });
        self.u64(0)
    }

    /// Bytes of a length that is always the same at this place, such as a hash.
    pub fn fixed(mut self, part: &[u8]) -> Self {
        self.bytes.extend_from_slice(part);
        self
    }

    /// Bytes of any length: 0 is written as 0 255, and 0 0 ends them, so that no key is a prefix of another.
    pub fn bytes(mut self, part: &[u8]) -> Self {
        for byte in part {
            self.bytes.push(*byte);
            if *byte == 0 {
                self.bytes.push(u8::MAX);
            }
        }
        self.bytes.extend_from_slice(&[0, 0]);
        self
    }

    /// Text of any length, as [`Self::bytes`].
    pub fn text(self, part: &str) -> Self {
        self.bytes(part.as_bytes())
    }

    /// The key, for reading or for a write without slot. A slot stays zero.
    #[must_use]
    pub fn key(self) -> Key {
        Key(self.bytes.into())
    }

    /// The key to write.
    #[must_use]
    pub fn template(self) -> KeyTemplate {
        KeyTemplate { slot: self.slot, key: Key(self.bytes.into()) }
    }
}

/// Reads the parts of a key back, in the order in which [`KeyBuilder`] appended them. Each method gives `None` when the
/// bytes do not hold such a part.
#[derive(Clone, Debug)]
pub struct KeyReader<'a> {
    rest: &'a [u8],
}

impl<'a> KeyReader<'a> {
    /// Reads what follows table and scope.
    #[must_use]
    pub fn new(key: &'a Key) -> Self {
        Self { rest: key.rest() }
    }

    /// `count` bytes.
    pub fn fixed(&mut self, count: usize) -> Option<&'a [u8]> {
        let (part, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(part)
    }

    /// One byte.
    pub fn u8(&mut self) -> Option<u8> {
        self.fixed(1).map(|part| part[0])
    }

    /// A number of 64 bits.
    pub fn u64(&mut self) -> Option<u64> {
        self.fixed(8).map(read_u64)
    }

    /// A signed number.
    pub fn i64(&mut self) -> Option<i64> {
        Some((self.u64()? ^ 1 << 63).cast_signed())
    }

    /// A position.
    pub fn position(&mut self) -> Option<Position> {
        self.u64().map(Position)
    }

    /// Bytes of any length.
    pub fn bytes(&mut self) -> Option<Vec<u8>> {
        let mut part = Vec::new();
        loop {
            match (self.u8()?, self.rest.first()) {
                (0, Some(0)) => {
                    self.rest = &self.rest[1..];
                    return Some(part);
                }
                (0, Some(&u8::MAX)) => {
                    self.rest = &self.rest[1..];
                    part.push(0);
                }
                (0, _) => return None,
                (byte, _) => part.push(byte),
            }
        }
    }

    /// Text of any length.
    pub fn text(&mut self) -> Option<String> {
        String::from_utf8(self.bytes()?).ok()
    }

    /// Whether all was read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }
}

fn read_u64(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TABLE: TableId = TableId::new(AccessPattern::Scan, 7);

    proptest! {
        /// The order of keys is the order of their parts, and parts read back.
        #[test]
        fn order_and_round_trip(a: (Vec<u8>, i64, u64), b: (Vec<u8>, i64, u64)) {
            let make = |parts: &(Vec<u8>, i64, u64)| {
                Key::build(TABLE, 1).bytes(&parts.0).i64(parts.1).u64(parts.2).key()
            };
            prop_assert_eq!(make(&a).cmp(&make(&b)), a.cmp(&b));
            let key = make(&a);
            let mut reader = KeyReader::new(&key);
            prop_assert_eq!((reader.bytes().unwrap(), reader.i64().unwrap(), reader.u64().unwrap()), a);
            prop_assert!(reader.is_empty());
        }

        /// No key is a proper prefix of another.
        #[test]
        fn no_prefixes(a: Vec<u8>, b: Vec<u8>) {
            let (one, two) = (Key::build(TABLE, 1).bytes(&a).key(), Key::build(TABLE, 1).bytes(&b).key());
            prop_assert_eq!(two.as_bytes().starts_with(one.as_bytes()), a == b);
        }
    }

    #[test]
    fn a_slot_is_filled_in_place() {
        let template = Key::build(TABLE, 3).u8(9).slot(0).u8(1).template();
        let expected = Key::build(TABLE, 3).u8(9).u64(77).u8(1).key();
        assert_eq!(template.filled(Position(77)), expected);
    }

    #[test]
    fn after_prefix_carries() {
        let key = Key::build(TABLE, u64::MAX).fixed(&[255, 255]).key();
        assert_eq!(key.after_prefix().as_bytes(), &[0x20, 8]);
    }
}
