//! RocksDB's table files (format 6 and later): blocks one after another, each followed by its compression and a checksum,
//! then a footer.
//!
//! The index that says where blocks end may itself be compressed or damaged. It is not needed: the checksum, which also
//! covers where in the file a block stands, tells where a block ends. Every byte is part of a block or of the footer.

use std::{fs::File, io::Read as _, path::Path};

use wardstead_limits::engine as limits;

use super::log::masked;

const FOOTER_BYTES: usize = 53;
const MAGIC: u64 = 0x88e2_41b7_85f4_cff7;
const EXTENDED_MAGIC: [u8; 4] = [0x3e, 0x00, 0x7a, 0x00];
/// Compression and checksum behind each block.
const TRAILER_BYTES: usize = 5;
const CRC32C: u8 = 1;
/// Kinds of compression that RocksDB itself has.
const COMPRESSIONS: u8 = 7;

/// Reads the table at `path`. `Ok(Err(…))`: what is wrong with it.
///
/// # Errors
/// The file's.
pub(crate) fn check(path: &Path) -> std::io::Result<Result<(), String>> {
    let mut bytes = Vec::new();
    File::open(path)?.read_to_end(&mut bytes)?;
    Ok(check_bytes(&bytes))
}

fn check_bytes(bytes: &[u8]) -> Result<(), String> {
    let end = bytes.len().checked_sub(FOOTER_BYTES).ok_or("too short for a table")?;
    let context = check_footer(&bytes[end..], end)?;
    let blocks = &bytes[..end];
    // Ends of blocks found so far, so that the newest can be doubted.
    let mut starts = vec![0];
    let (mut tries, mut furthest) = (limits::BLOCK_END_TRIES, 0);
    let mut from = TRAILER_BYTES;
    while let Some(start) = starts.last().copied() {
        if start == end {
            return Ok(());
        }
        furthest = furthest.max(start);
        match block_end(blocks, start, from, context) {
            Some(next) => {
                starts.push(next);
                from = next + TRAILER_BYTES;
            }
            None if tries == 0 || starts.len() == 1 => {
                return Err(format!("the checksum of the block at byte {furthest} is wrong"));
            }
            None => {
                tries -= 1;
                starts.pop();
                from = start + 1;
            }
        }
    }
    Err("without blocks".into())
}

/// The first byte behind the block at `start`, trailer included: the first at or above `from` where the checksum fits.
fn block_end(blocks: &[u8], start: usize, from: usize, context: u32) -> Option<usize> {
    let modifier = modifier(context, start);
    let first = from.saturating_sub(TRAILER_BYTES).max(start);
    let mut crc = crc32c::crc32c(blocks.get(start..first)?);
    for end in first..blocks.len().checked_sub(TRAILER_BYTES - 1)? {
        let trailer = &blocks[end..end + TRAILER_BYTES];
        if trailer[0] <= COMPRESSIONS {
            let stored = u32::from_le_bytes([trailer[1], trailer[2], trailer[3], trailer[4]]);
            let with_compression = crc32c::crc32c_append(crc, &trailer[..1]);
            if masked(with_compression).wrapping_add(modifier) == stored {
                return Some(end + TRAILER_BYTES);
            }
        }
        crc = crc32c::crc32c_append(crc, &blocks[end..=end]);
    }
    None
}

/// What RocksDB adds to a checksum so that a block in another place or file does not pass.
fn modifier(context: u32, offset: usize) -> u32 {
    let offset = offset as u64;
    let halves = (offset & 0xffff_ffff).wrapping_add(offset >> 32) & 0xffff_ffff;
    context ^ u32::try_from(halves).unwrap_or_default()
}

/// Checks the footer at `offset` and gives the number that goes into all checksums of the file.
fn check_footer(footer: &[u8], offset: usize) -> Result<u32, String> {
    let word = |at: usize| u32::from_le_bytes([footer[at], footer[at + 1], footer[at + 2], footer[at + 3]]);
    let magic = u64::from(word(45)) | u64::from(word(49)) << 32;
    if magic != MAGIC || footer[1..5] != EXTENDED_MAGIC || word(41) < 6 {
        return Err("its end is not that of a table".into());
    }
    let context = word(9);
    let mut unsealed = footer.to_vec();
    unsealed[5..9].fill(0);
    let computed = masked(crc32c::crc32c(&unsealed)).wrapping_add(modifier(context, offset));
    match footer[0] {
        CRC32C if computed == word(5) => Ok(context),
        CRC32C => Err("its footer's checksum is wrong".into()),
        kind => Err(format!("its checksums are of kind {kind}, which only programs before the first backup wrote")),
    }
}
