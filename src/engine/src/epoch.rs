//! Epochs: stretches of the journal between which part of it may have been lost.
//!
//! A restore from a backup, a failover to a standby that lacks the newest commits, and an import all leave clients with
//! tokens of positions that no longer exist, or that mean something else. Each begins a new epoch: a number that tokens
//! carry, and a jump of the position far beyond what can have been lost.

use bytes::{BufMut, Bytes, BytesMut};
use wardstead_limits::engine as limits;

use crate::{
    Batch, Cell, EngineError, Expect, JournalEntry, Losing, Position,
    system::{EPOCH_BEGINS, epoch_key},
};

/// Why an epoch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EpochReason {
    /// Another database server took over; it may lack what the old one acknowledged to nobody but itself.
    Failover,
    /// The data was restored from a backup.
    Restore,
    /// Data came in from elsewhere.
    Import,
}

impl EpochReason {
    const ALL: [Self; 3] = [Self::Failover, Self::Restore, Self::Import];

    const fn stored(self) -> u8 {
        match self {
            Self::Failover => 1,
            Self::Restore => 2,
            Self::Import => 3,
        }
    }
}

/// An epoch that is over. What it wrote up to `last` is part of this journal; what it wrote beyond is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndedEpoch {
    /// Its number.
    pub epoch: u64,
    /// Its last position in this journal.
    pub last: Position,
    /// The first position of the epoch that follows.
    pub next: Position,
    /// Why it ended.
    pub reason: EpochReason,
    /// When, in milliseconds since 1970.
    pub ended_ms: u64,
}

const FORMAT: u8 = 1;
const ENTRY_BYTES: usize = 33;

/// The batch that ends the epoch of the cell `stored` (`None`: epoch 0) after `newest` and begins the next one.
///
/// It asserts the cell as it was read, so that of several nodes which see the same failover one raises the epoch; the others
/// lose with `Rebuild` and find it raised. Commit it alone, in a group of the epoch that ends; later groups state the new
/// one, which is the version of the batch's one write.
///
/// The new number is one more than the old, and at least the second since 1970: restoring the same backup twice, or
/// failing over to a standby that does not know of an earlier failover, must not give one number to two different journals.
///
/// # Errors
/// `Corrupt` when the cell does not hold what this function wrote.
pub fn raise_epoch(
    stored: Option<&Cell>,
    newest: Position,
    reason: EpochReason,
    now_ms: u64,
) -> Result<Batch, EngineError> {
    let mut ended = epochs(stored)?;
    let epoch = stored.map_or(0, |cell| cell.version);
    let next = Position(newest.0.saturating_add(limits::EPOCH_JUMP_POSITIONS));
    ended.push(EndedEpoch { epoch, last: newest, next, reason, ended_ms: now_ms });
    let forgotten = ended.len().saturating_sub(limits::EPOCH_ENTRIES);

    let raised = (epoch + 1).max(seconds(now_ms));
    let expect = if stored.is_none() { Expect::Absent } else { Expect::Version(epoch) };
    let mut batch = Batch::new();
    batch.expect(epoch_key(), expect, Losing::Rebuild);
    batch.put_with(epoch_key(), raised, &[], payload(&ended[forgotten..]));
    batch.journal(JournalEntry { kind: EPOCH_BEGINS, scope: raised, key: Bytes::new() });
    batch.not_before = Some(next);
    Ok(batch)
}

/// The ended epochs that the epoch's cell remembers, the oldest first; at most [`limits::EPOCH_ENTRIES`].
///
/// # Errors
/// `Corrupt` when the cell does not hold what [`raise_epoch`] wrote.
pub fn epochs(stored: Option<&Cell>) -> Result<Vec<EndedEpoch>, EngineError> {
    let Some(cell) = stored else { return Ok(Vec::new()) };
    let corrupt = || EngineError::corrupt(&epoch_key(), "not a list of epochs");
    let (format, entries) = cell.payload.split_first().ok_or_else(corrupt)?;
    let (entries, rest) = entries.as_chunks::<ENTRY_BYTES>();
    if *format != FORMAT || !rest.is_empty() {
        return Err(corrupt());
    }
    entries.iter().map(|entry| read(entry).ok_or_else(corrupt)).collect()
}

/// Tokens hold 32 bits of the epoch: enough until 2106, from when on the numbers count up by one.
fn seconds(now_ms: u64) -> u64 {
    u32::try_from(now_ms / 1_000).map_or(0, u64::from)
}

fn payload(ended: &[EndedEpoch]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(1 + ended.len() * ENTRY_BYTES);
    bytes.put_u8(FORMAT);
    for ended in ended {
        bytes.put_u64(ended.epoch);
        bytes.put_u64(ended.last.0);
        bytes.put_u64(ended.next.0);
        bytes.put_u8(ended.reason.stored());
        bytes.put_u64(ended.ended_ms);
    }
    bytes.freeze()
}

fn read(entry: &[u8; ENTRY_BYTES]) -> Option<EndedEpoch> {
    let number = |at: usize| entry[at..at + 8].iter().fold(0, |n: u64, byte| n << 8 | u64::from(*byte));
    Some(EndedEpoch {
        epoch: number(0),
        last: Position(number(8)),
        next: Position(number(16)),
        reason: EpochReason::ALL.into_iter().find(|reason| reason.stored() == entry[24])?,
        ended_ms: number(25),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{Group, Key, Outcome, Write, Writer, plan, value};

    const SECOND: u64 = 1_767_225_600;

    /// Commits `batch` onto `stored` at `newest`; the cell afterwards and the positions, or `None` where it lost.
    fn commit(batch: Batch, stored: Option<&Cell>, newest: Position) -> Option<(Cell, Vec<Position>)> {
        let group = Group { epoch: 0, writer: Writer { incarnation: 1, group: 1 }, batches: vec![Arc::new(batch)] };
        let plan = plan::plan(&group, newest, stored.map(|cell| (epoch_key(), cell.version)));
        let Outcome::Won { positions } = plan.outcome.outcomes[0].clone() else { return None };
        let put = plan.changes.iter().find_map(|change| match change {
            plan::Change::Put(key, stored) if *key == epoch_key() => Some(value::open(key, stored).unwrap()),
            _ => None,
        });
        Some((put.unwrap(), positions))
    }

    #[test]
    fn the_first_epoch_ends_where_the_journal_does() {
        let now_ms = SECOND * 1_000 + 7;
        let batch = raise_epoch(None, Position(40), EpochReason::Restore, now_ms).unwrap();
        assert_eq!(batch.journal[0].kind, EPOCH_BEGINS);
        let (cell, positions) = commit(batch, None, Position(40)).unwrap();
        let next = Position(40 + limits::EPOCH_JUMP_POSITIONS);
        assert_eq!((cell.version, positions), (SECOND, vec![next]));
        let ended = EndedEpoch { epoch: 0, last: Position(40), next, reason: EpochReason::Restore, ended_ms: now_ms };
        assert_eq!(epochs(Some(&cell)).unwrap(), [ended]);
        assert_eq!(epochs(None).unwrap(), []);
    }

    #[test]
    fn of_two_nodes_one_raises() {
        for stored in [None, Some(Cell { version: 3, payload: Bytes::from_static(&[FORMAT]), ..Cell::default() })] {
            let stored = stored.as_ref();
            let raise = || raise_epoch(stored, Position(40), EpochReason::Failover, 5_000).unwrap();
            let (first, _) = commit(raise(), stored, Position(40)).unwrap();
            assert_eq!(commit(raise(), Some(&first), Position(50)), None);
        }
    }

    #[test]
    fn epochs_follow_each_other_and_the_oldest_are_forgotten() {
        let (mut stored, mut newest) = (None, Position(10));
        for round in 1..=limits::EPOCH_ENTRIES as u64 + 3 {
            let reason = EpochReason::ALL[usize::try_from(round).unwrap() % 3];
            // A clock that stands still, as one that went back would: the number grows all the same.
            let batch = raise_epoch(stored.as_ref(), newest, reason, SECOND * 1_000).unwrap();
            let (cell, positions) = commit(batch, stored.as_ref(), newest).unwrap();
            assert_eq!(cell.version, SECOND + round - 1);
            let ended = epochs(Some(&cell)).unwrap();
            let last = ended.last().unwrap();
            assert_eq!((last.last, last.next, last.reason), (newest, positions[0], reason));
            assert!(ended.len() <= limits::EPOCH_ENTRIES);
            assert!(ended.windows(2).all(|two| two[0].epoch < two[1].epoch && two[0].next <= two[1].last));
            (stored, newest) = (Some(cell), positions[0]);
        }
    }

    /// Two restores of one backup are two journals: a token of the first must not pass for one of the second.
    #[test]
    fn the_same_backup_restored_twice_gives_two_epochs() {
        let raised = |now_ms| {
            let batch = raise_epoch(None, Position(40), EpochReason::Restore, now_ms).unwrap();
            commit(batch, None, Position(40)).unwrap().0.version
        };
        assert!(raised(SECOND * 1_000) < raised((SECOND + 1) * 1_000));
        assert_eq!(raised(u64::MAX), 1, "a clock beyond what a token holds counts by one");
    }

    #[test]
    fn a_foreign_payload_is_corrupt() {
        for payload in [&b""[..], b"\x02", b"\x01 and a half entry", &[1; 1 + ENTRY_BYTES * 2 + 1], &[9; 34]] {
            let cell = Cell { version: 1, payload: Bytes::from_static(payload), ..Cell::default() };
            let corrupt = |error: &EngineError| matches!(error, EngineError::Corrupt { .. });
            assert!(corrupt(&epochs(Some(&cell)).unwrap_err()), "{payload:?}");
            assert!(corrupt(&raise_epoch(Some(&cell), Position(1), EpochReason::Import, 1).unwrap_err()));
        }
    }

    #[test]
    fn the_batch_writes_the_epochs_cell_alone() {
        let batch = raise_epoch(None, Position(1), EpochReason::Import, 1).unwrap();
        let keys: Vec<&Key> = batch
            .writes
            .iter()
            .filter_map(|write| if let Write::Put { key, .. } = write { Some(key.key()) } else { None })
            .collect();
        assert_eq!((keys, batch.writes.len()), (vec![&epoch_key()], 1));
    }
}
