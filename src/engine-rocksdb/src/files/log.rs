//! RocksDB's log format, in which write-ahead logs and manifests are written ("Write Ahead Log File Format" in its wiki):
//! blocks of 32 KiB, records that do not cross them, each with a checksum over its type and content.
//!
//! RocksDB itself reads a damaged log up to the damage and takes that for the end that a power failure leaves. Here every
//! byte is held against its checksum.

use std::io::{self, Read};

const BLOCK_BYTES: usize = 32 * 1024;
const HEADER_BYTES: usize = 7;
/// Headers of records in reused files have the log's number, too.
const REUSED_HEADER_BYTES: usize = 11;

/// What is wrong with a log, and at which byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Damage {
    pub(crate) at: u64,
    pub(crate) what: &'static str,
}

/// Reads `log` to its end. `Ok(Err(…))`: the first thing that is wrong.
///
/// # Errors
/// The file's.
pub(crate) fn check(mut log: impl Read) -> io::Result<Result<(), Damage>> {
    let mut block = vec![0; BLOCK_BYTES];
    let (mut at, mut open) = (0, false);
    loop {
        let length = fill(&mut log, &mut block)?;
        if let Err((offset, what)) = check_block(&block[..length], length == BLOCK_BYTES, &mut open) {
            return Ok(Err(Damage { at: at + offset as u64, what }));
        }
        at += length as u64;
        if length < BLOCK_BYTES {
            return Ok(if open { Err(Damage { at, what: HALF }) } else { Ok(()) });
        }
    }
}

const HALF: &str = "the log ends within a record: a power failure leaves that (start and stop the server, then verify again), \
                    damage does, too";

fn fill(log: &mut impl Read, block: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < block.len() {
        match log.read(&mut block[length..]) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

/// `open`: whether a record began in an earlier block and has not ended.
fn check_block(block: &[u8], full: bool, open: &mut bool) -> Result<(), (usize, &'static str)> {
    let mut at = 0;
    while at < block.len() {
        let left = &block[at..];
        let zeros = left.iter().all(|byte| *byte == 0);
        if left.len() < HEADER_BYTES {
            // What no header fits into stays zero.
            return match (full, zeros) {
                (true, true) => Ok(()),
                (true, false) => Err((at, "bytes where there should be none")),
                (false, _) => Err((at, HALF)),
            };
        }
        // Room that was reserved and not used.
        if zeros {
            return Ok(());
        }
        at += check_record(left, open).map_err(|what| (at, what))?;
    }
    Ok(())
}

fn check_record(record: &[u8], open: &mut bool) -> Result<usize, &'static str> {
    let stored = u32::from_le_bytes([record[0], record[1], record[2], record[3]]);
    let content_bytes = usize::from(u16::from_le_bytes([record[4], record[5]]));
    let kind = record[6];
    let reused = matches!(kind, 5..=8 | 11 | 131);
    let header_bytes = if reused { REUSED_HEADER_BYTES } else { HEADER_BYTES };
    let end = header_bytes + content_bytes;
    let Some(checked) = record.get(6..end) else { return Err(HALF) };
    if masked(crc32c::crc32c(checked)) != stored {
        return Err("a record's checksum is wrong");
    }
    // The checksum covers the kind, so that only lost or doubled records get these wrong.
    match (kind, *open) {
        (1 | 5, false) | (3 | 7, true) | (9 | 10 | 11 | 130 | 131, _) => {}
        (2 | 6, false) => *open = true,
        (4 | 8, true) => *open = false,
        (1..=8, _) => return Err("parts of a record are missing"),
        _ => return Err("a record of an unknown kind"),
    }
    Ok(end)
}

/// As RocksDB stores checksums: a checksum over bytes that hold their own checksum would be a weak one.
pub(crate) fn masked(crc: u32) -> u32 {
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

/// Whether a record begins, with the right checksum, in `log` behind the byte `damaged`.
///
/// A group is one record, and is synced before the next is written. So what a power failure tears is the last record; where one
/// begins behind the damage, the damaged one was synced, and what it holds acknowledged.
pub(crate) fn goes_on_behind(log: &[u8], damaged: usize) -> bool {
    (damaged + 1..log.len().saturating_sub(HEADER_BYTES)).any(|at| {
        let record = &log[at..];
        let content_bytes = usize::from(u16::from_le_bytes([record[4], record[5]]));
        let end = HEADER_BYTES + content_bytes;
        matches!(record[6], 1 | 2)
            && content_bytes > 0
            && at % BLOCK_BYTES + end <= BLOCK_BYTES
            && record.get(6..end).is_some_and(|checked| {
                masked(crc32c::crc32c(checked)).to_le_bytes() == [record[0], record[1], record[2], record[3]]
            })
    })
}
