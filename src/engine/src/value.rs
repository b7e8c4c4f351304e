//! How a value lies in the engine: `flags u8 | version u64? | positions u64 × 0–3 | payload | CRC-32C u32`, big-endian.
//!
//! Flags: bits 0–1 the number of positions, bit 2 whether there is a version, bits 3–7 the format, 0. The checksum covers
//! the key and everything before it, positions included, so that a value read from another key's place is found too.

use bytes::{BufMut, Bytes, BytesMut};

use crate::{EngineError, Key, Position};

/// A value read from an engine, its checksum verified.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    /// What the writer stated; 0 where it stated none.
    pub version: u64,
    /// The positions of the header.
    pub positions: smallvec::SmallVec<[Position; 2]>,
    /// The rest.
    pub payload: Bytes,
}

impl Cell {
    /// The first position of the header; zero where there is none.
    #[must_use]
    pub fn position(&self) -> Position {
        self.positions.first().copied().unwrap_or_default()
    }
}

const HAS_VERSION: u8 = 1 << 2;
const POSITIONS: u8 = 0b11;
const CRC_BYTES: usize = 4;

/// The bytes to store under `key`.
#[must_use]
pub fn seal(key: &Key, version: u64, positions: &[Position], payload: &[u8]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(1 + 8 + 8 * positions.len() + payload.len() + CRC_BYTES);
    let count = u8::try_from(positions.len()).unwrap_or(POSITIONS) & POSITIONS;
    bytes.put_u8(count | if version == 0 { 0 } else { HAS_VERSION });
    if version != 0 {
        bytes.put_u64(version);
    }
    for position in positions.iter().take(usize::from(count)) {
        bytes.put_u64(position.0);
    }
    bytes.put_slice(payload);
    let crc = checksum(key, &bytes);
    bytes.put_u32(crc);
    bytes.freeze()
}

/// Reads what [`seal`] wrote.
///
/// # Errors
/// [`EngineError::Corrupt`] when the checksum or the form is wrong.
pub fn open(key: &Key, stored: &Bytes) -> Result<Cell, EngineError> {
    let Some(body_bytes) = stored.len().checked_sub(CRC_BYTES).filter(|bytes| *bytes > 0) else {
        return Err(EngineError::corrupt(key, "too short"));
    };
    let (body, crc) = (stored.slice(..body_bytes), &stored[body_bytes..]);
    if checksum(key, &body).to_be_bytes() != crc {
        return Err(EngineError::corrupt(key, "checksum mismatch"));
    }
    let flags = body[0];
    if flags & !(POSITIONS | HAS_VERSION) != 0 {
        return Err(EngineError::corrupt(key, format!("unknown value format {flags:#04x}")));
    }
    let mut words = body[1..].chunks_exact(8).map(|word| word.iter().fold(0, |n: u64, byte| n << 8 | u64::from(*byte)));
    let mut next = || words.next().ok_or_else(|| EngineError::corrupt(key, "header cut short"));
    let version = if flags & HAS_VERSION == 0 { 0 } else { next()? };
    let positions =
        (0..flags & POSITIONS).map(|_| next().map(Position)).collect::<Result<smallvec::SmallVec<_>, _>>()?;
    let header = 1 + if version == 0 { 0 } else { 8 } + 8 * positions.len();
    Ok(Cell { version, positions, payload: body.slice(header..) })
}

fn checksum(key: &Key, body: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(key.as_bytes()), body)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{AccessPattern, TableId};

    fn key(number: u64) -> Key {
        Key::build(TableId::new(AccessPattern::Point, 9), number).key()
    }

    proptest! {
        #[test]
        fn round_trip(version: u64, positions in prop::collection::vec(any::<u64>(), 0..=3), payload: Vec<u8>) {
            let positions: Vec<_> = positions.into_iter().map(Position).collect();
            let cell = open(&key(1), &seal(&key(1), version, &positions, &payload)).unwrap();
            prop_assert_eq!((cell.version, cell.positions.to_vec(), cell.payload.to_vec()), (version, positions, payload));
        }

        /// One flipped bit anywhere, in the positions too, is found; so is a value under another key.
        #[test]
        fn a_flipped_bit_is_corrupt(payload: Vec<u8>, bit: prop::sample::Index) {
            let mut stored = seal(&key(1), 5, &[Position(6)], &payload).to_vec();
            prop_assert!(open(&key(2), &stored.clone().into()).is_err());
            let bit = bit.index(stored.len() * 8);
            stored[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(open(&key(1), &stored.into()).is_err());
        }
    }

    #[test]
    fn nothing_is_too_short_to_answer() {
        for length in 0..16 {
            assert!(open(&key(1), &vec![0; length].into()).is_err(), "{length} zero bytes");
        }
    }
}
