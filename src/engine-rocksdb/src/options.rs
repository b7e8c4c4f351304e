//! How RocksDB is set up: four column families by access pattern, one block cache, a log that is synced with each group.

use rocksdb::{
    BlockBasedOptions, Cache, ChecksumType, ColumnFamilyDescriptor, DBCompressionType, DBRecoveryMode, LogLevel,
    Options, SliceTransform,
};
use wardstead_engine::{AccessPattern, PREFIX_BYTES};
use wardstead_limits::engine as limits;

/// What an operator may choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RocksOptions {
    /// Bytes of the one block cache; blocks, indices and filters of all column families share it.
    pub cache_bytes: usize,
    /// Bytes of all memtables together.
    pub memtable_bytes: usize,
}

impl Default for RocksOptions {
    fn default() -> Self {
        Self { cache_bytes: limits::BLOCK_CACHE_BYTES, memtable_bytes: limits::MEMTABLE_BYTES }
    }
}

/// The column family of a pattern.
pub(crate) const fn family(pattern: AccessPattern) -> &'static str {
    match pattern {
        AccessPattern::Point => "point",
        AccessPattern::Scan => "scan",
        AccessPattern::Append => "append",
        AccessPattern::Churn => "churn",
    }
}

pub(crate) fn database(options: &RocksOptions) -> Options {
    let mut rocks = Options::default();
    rocks.create_if_missing(true);
    rocks.create_missing_column_families(true);
    // A torn end of the log is what a power failure leaves; everything acknowledged stands before it.
    rocks.set_wal_recovery_mode(DBRecoveryMode::PointInTime);
    // A whole log file that vanished is found instead of silently skipped.
    rocks.set_track_and_verify_wals_in_manifest(true);
    rocks.set_max_total_wal_size(limits::WAL_BYTES);
    rocks.set_db_write_buffer_size(options.memtable_bytes);
    rocks.set_max_open_files(limits::OPEN_FILES);
    rocks.set_log_level(LogLevel::Warn);
    rocks.set_max_log_file_size(limits::INFO_LOG_BYTES);
    rocks.set_keep_log_file_num(limits::INFO_LOG_FILES);
    rocks.set_stats_dump_period_sec(0);
    rocks.set_stats_persist_period_sec(0);
    rocks
}

pub(crate) fn families(options: &RocksOptions) -> Vec<ColumnFamilyDescriptor> {
    let cache = Cache::new_lru_cache(options.cache_bytes);
    let named = AccessPattern::ALL.map(|pattern| (family(pattern), Some(pattern)));
    // RocksDB insists on `default`; it stays empty.
    let all = named.into_iter().chain([(rocksdb::DEFAULT_COLUMN_FAMILY_NAME, None)]);
    all.map(|(name, pattern)| ColumnFamilyDescriptor::new(name, family_options(&cache, pattern))).collect()
}

fn family_options(cache: &Cache, pattern: Option<AccessPattern>) -> Options {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(cache);
    blocks.set_cache_index_and_filter_blocks(true);
    blocks.set_pin_l0_filter_and_index_blocks_in_cache(true);
    blocks.set_bloom_filter(limits::BLOOM_BITS_PER_KEY, false);
    if pattern != Some(AccessPattern::Point) {
        blocks.set_block_size(limits::SCAN_BLOCK_BYTES);
    }
    // What `files` can read; as fast as RocksDB's own choice where the processor has the instruction.
    blocks.set_checksum_type(ChecksumType::CRC32c);
    let mut family = Options::default();
    family.set_prefix_extractor(SliceTransform::create_fixed_prefix(PREFIX_BYTES));
    family.set_compression_type(DBCompressionType::Lz4);
    if pattern == Some(AccessPattern::Churn) {
        // The ratio is of a whole file; 0 leaves the decision to the window.
        family.add_compact_on_deletion_collector_factory(limits::CHURN_WINDOW_ROWS, limits::CHURN_DELETED_ROWS, 0.0);
    }
    family.set_block_based_table_factory(&blocks);
    family
}
