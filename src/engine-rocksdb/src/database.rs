//! Keys and cells on top of RocksDB; blocking.

use std::{
    collections::{BTreeSet, HashMap},
    path::Path,
};

use bytes::Bytes;
use rocksdb::{
    ColumnFamily, ColumnFamilyDescriptor, DB, ErrorKind, FlushOptions, Options, ReadOptions, ReadTier, WriteBatch,
    WriteOptions,
};
use wardstead_engine::{
    AccessPattern, Cell, EngineError, JournalRow, Key, PREFIX_BYTES, Page, PageBuilder, PageLimit, Position, ScanRange,
    TableId, plan::Change, system, value,
};
use wardstead_limits::engine as limits;

use crate::options;

/// Where a read may look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tier {
    /// Memtables and block cache. Rows that are not there make the whole answer `None`.
    Memory,
    /// Everywhere.
    Disk,
}

/// An open RocksDB.
pub(crate) struct Database {
    rocks: DB,
    /// Opened without its lock, to be read and left as it is.
    read_only: bool,
}

impl Database {
    pub(crate) fn open(
        path: &Path,
        options: &Options,
        families: Vec<ColumnFamilyDescriptor>,
    ) -> Result<Self, EngineError> {
        match DB::open_cf_descriptors(options, path, families) {
            Ok(rocks) => Ok(Self { rocks, read_only: false }),
            // RocksDB has no error class for it.
            Err(error) if error.as_ref().contains("lock") && error.as_ref().contains("LOCK") => {
                let what = format!("{} is in use by another server or by this one: {error}", path.display());
                Err(EngineError::Unavailable(what))
            }
            Err(error) => Err(EngineError::Unavailable(format!("{} cannot be opened: {error}", path.display()))),
        }
    }

    /// Opens a folder that nobody writes, and leaves it as it is.
    pub(crate) fn open_read_only(
        path: &Path,
        options: &Options,
        families: Vec<ColumnFamilyDescriptor>,
    ) -> Result<Self, EngineError> {
        let opened = DB::open_cf_descriptors_read_only(options, path, families, false);
        let cannot = |error| EngineError::Unavailable(format!("{} cannot be read: {error}", path.display()));
        Ok(Self { rocks: opened.map_err(cannot)?, read_only: true })
    }

    pub(crate) fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// RocksDB itself, for backups and checkpoints.
    pub(crate) fn rocks(&self) -> &DB {
        &self.rocks
    }

    /// Writes the memtables out, so that the next opening has no log to replay.
    pub(crate) fn flush(&self) -> Result<(), EngineError> {
        if self.read_only {
            return Ok(());
        }
        let families = AccessPattern::ALL.map(|pattern| self.family(pattern));
        let families = families.into_iter().collect::<Result<Vec<_>, _>>()?;
        self.rocks.flush_cfs_opt(&families, &FlushOptions::default()).map_err(unavailable)
    }

    /// Position of the newest journal row: one seek from the end, however long the journal.
    pub(crate) fn newest_position(&self) -> Result<Position, EngineError> {
        let newest = ScanRange::scope(system::JOURNAL, 0).descending();
        let page = self.page(&newest, PageLimit::rows(1), Tier::Disk)?.ok_or_else(half)?;
        page.rows.first().map_or(Ok(Position::ZERO), |(key, cell)| Ok(JournalRow::read(key, cell)?.position))
    }

    /// The cells of `keys`, in their order.
    pub(crate) fn cells(&self, keys: &[Key], tier: Tier) -> Result<Option<Vec<Option<Cell>>>, EngineError> {
        let families = keys.iter().map(|key| self.family(key.table().pattern())).collect::<Result<Vec<_>, _>>()?;
        let wanted = families.into_iter().zip(keys.iter().map(Key::as_bytes));
        let found = self.rocks.multi_get_cf_opt(wanted, &read_options(tier));
        let mut cells = Vec::with_capacity(keys.len());
        for (key, found) in keys.iter().zip(found) {
            match found {
                // RocksDB's MultiGet answers Ok with nothing, not Incomplete, where a block is not in the cache. No value
                // that was stored is empty.
                Ok(Some(stored)) if stored.is_empty() && tier == Tier::Memory => return Ok(None),
                Ok(stored) => cells.push(stored.map(|stored| value::open(key, &Bytes::from(stored))).transpose()?),
                Err(error) if not_cached(&error, tier) => return Ok(None),
                Err(error) => return Err(read_error(&error, key)),
            }
        }
        Ok(Some(cells))
    }

    /// The versions of those of `keys` that have a row.
    pub(crate) fn versions(&self, keys: &[Key]) -> Result<HashMap<Key, u64>, EngineError> {
        let cells = self.cells(keys, Tier::Disk)?.ok_or_else(half)?;
        Ok(keys.iter().zip(cells).filter_map(|(key, cell)| Some((key.clone(), cell?.version))).collect())
    }

    /// One page of `range`.
    pub(crate) fn page(&self, range: &ScanRange, limit: PageLimit, tier: Tier) -> Result<Option<Page>, EngineError> {
        let mut page = PageBuilder::new(range, limit);
        let mut patterns = AccessPattern::ALL.to_vec();
        patterns.retain(|pattern| touches(range, *pattern));
        if range.reverse {
            patterns.reverse();
        }
        for pattern in patterns {
            match self.fill(pattern, range, tier, &mut page)? {
                Filled::All => {}
                Filled::PageFull => break,
                Filled::NotCached => return Ok(None),
            }
        }
        Ok(Some(page.finish()))
    }

    fn fill(
        &self,
        pattern: AccessPattern,
        range: &ScanRange,
        tier: Tier,
        page: &mut PageBuilder,
    ) -> Result<Filled, EngineError> {
        let mut rows = self.rocks.raw_iterator_cf_opt(self.family(pattern)?, scan_options(range, tier));
        if range.reverse {
            rows.seek_to_last();
        } else {
            rows.seek(range.from.as_bytes());
        }
        while let Some((key, stored)) = rows.item() {
            if !page.add(stored_key(key, range)?, &Bytes::copy_from_slice(stored))? {
                return Ok(Filled::PageFull);
            }
            if range.reverse {
                rows.prev();
            } else {
                rows.next();
            }
        }
        match rows.status() {
            Ok(()) => Ok(Filled::All),
            Err(error) if not_cached(&error, tier) => Ok(Filled::NotCached),
            Err(error) => Err(read_error(&error, &range.from)),
        }
    }

    /// `changes` as one write batch.
    pub(crate) fn batch(&self, changes: &[Change]) -> Result<WriteBatch, EngineError> {
        let mut batch = WriteBatch::default();
        // What this batch has put so far: a range deletes that too.
        let mut put = BTreeSet::new();
        for change in changes {
            match change {
                Change::Put(key, stored) => {
                    batch.put_cf(self.family(key.table().pattern())?, key.as_bytes(), stored);
                    put.insert(key);
                }
                Change::Delete(key) => batch.delete_cf(self.family(key.table().pattern())?, key.as_bytes()),
                Change::DeleteRange(from, to) if from < to => {
                    let family = self.family(from.table().pattern())?;
                    match self.few_rows(&ScanRange::new(from.clone(), to.clone()))? {
                        None => batch.delete_range_cf(family, from.as_bytes(), to.as_bytes()),
                        Some(stored) => {
                            let put = put.range::<Key, _>(from..to).map(|key| key.as_bytes());
                            for key in stored.iter().map(AsRef::as_ref).chain(put) {
                                batch.delete_cf(family, key);
                            }
                        }
                    }
                }
                Change::DeleteRange(..) => {}
            }
        }
        Ok(batch)
    }

    /// The stored keys of `range`, unless there are more than are deleted one by one.
    fn few_rows(&self, range: &ScanRange) -> Result<Option<Vec<Box<[u8]>>>, EngineError> {
        let family = self.family(range.from.table().pattern())?;
        let mut rows = self.rocks.raw_iterator_cf_opt(family, scan_options(range, Tier::Disk));
        let mut keys = Vec::new();
        rows.seek(range.from.as_bytes());
        while let Some(key) = rows.key() {
            if keys.len() == limits::RANGE_POINT_DELETES {
                return Ok(None);
            }
            keys.push(key.into());
            rows.next();
        }
        rows.status().map_err(|error| read_error(&error, &range.from))?;
        Ok(Some(keys))
    }

    /// Writes `batch` and syncs it.
    pub(crate) fn write(&self, batch: WriteBatch) -> Result<(), WriteError> {
        let mut durable = WriteOptions::default();
        durable.set_sync(true);
        self.rocks.write_opt(batch, &durable).map_err(|error| match error.kind() {
            // RocksDB gives these before it touches its log.
            ErrorKind::Busy | ErrorKind::TimedOut | ErrorKind::TryAgain | ErrorKind::InvalidArgument => {
                WriteError::NotWritten(error.into_string())
            }
            _ => WriteError::Unknown(error.into_string()),
        })
    }

    pub(crate) fn family(&self, pattern: AccessPattern) -> Result<&ColumnFamily, EngineError> {
        let name = options::family(pattern);
        self.rocks.cf_handle(name).ok_or_else(|| EngineError::Unavailable(format!("no column family {name}")))
    }
}

/// How a write failed.
#[derive(Debug)]
pub(crate) enum WriteError {
    /// Nothing of it is on disk.
    NotWritten(String),
    /// It may be on disk.
    Unknown(String),
}

enum Filled {
    All,
    PageFull,
    NotCached,
}

fn read_options(tier: Tier) -> ReadOptions {
    let mut options = ReadOptions::default();
    options.set_read_tier(match tier {
        Tier::Memory => ReadTier::BlockCache,
        Tier::Disk => ReadTier::All,
    });
    options
}

fn scan_options(range: &ScanRange, tier: Tier) -> ReadOptions {
    let mut options = read_options(tier);
    options.set_iterate_lower_bound(range.from.as_bytes());
    options.set_iterate_upper_bound(range.to.as_bytes());
    // The prefix filters of files know the seeked key's prefix only: good for an ascending scan within one. A descending
    // one seeks its upper bound, which is often the next prefix.
    if !range.reverse && within_one_prefix(range) {
        options.set_prefix_same_as_start(true);
    } else {
        options.set_total_order_seek(true);
    }
    options
}

fn within_one_prefix(range: &ScanRange) -> bool {
    let Some(prefix) = range.from.as_bytes().get(..PREFIX_BYTES) else { return false };
    let scope_end = Key::build(range.from.table(), range.from.scope()).key().after_prefix();
    range.to.as_bytes().starts_with(prefix) || range.to == scope_end
}

/// Whether `range` can hold keys of tables with `pattern`. An upside-down range holds none.
fn touches(range: &ScanRange, pattern: AccessPattern) -> bool {
    let first = Key::build(TableId::new(pattern, 0), 0).key();
    // The pattern is the highest four bits of a key.
    let nibble = |key: &Key| key.as_bytes().first().map_or(0, |byte| byte >> 4);
    range.from < range.to && nibble(&range.from) <= nibble(&first) && range.to > first
}

fn stored_key(key: &[u8], range: &ScanRange) -> Result<Key, EngineError> {
    let stored = Key::from_stored(Bytes::copy_from_slice(key));
    stored.ok_or_else(|| EngineError::corrupt(&range.from, format!("{key:02x?} in its range is not a key")))
}

fn not_cached(error: &rocksdb::Error, tier: Tier) -> bool {
    tier == Tier::Memory && error.kind() == ErrorKind::Incomplete
}

fn read_error(error: &rocksdb::Error, key: &Key) -> EngineError {
    match error.kind() {
        ErrorKind::Corruption => EngineError::corrupt(key, error.as_ref()),
        _ => EngineError::Unavailable(error.to_string()),
    }
}

/// `None` means that something is not in memory. A read of the disk that says so must not pass for one that found nothing:
/// the newest position would be zero, and every `Absent` would hold.
pub(crate) fn half() -> EngineError {
    EngineError::Unavailable("RocksDB gave half an answer".into())
}

pub(crate) fn unavailable(error: rocksdb::Error) -> EngineError {
    EngineError::Unavailable(error.into_string())
}
