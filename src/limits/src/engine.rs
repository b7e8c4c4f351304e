//! Bounds of the engine: batches, groups, pages, keys, values.

/// Batches in one commit group. At 256 the cost of the fsync per event is below the cost of the event itself.
pub const GROUP_BATCHES: usize = 256;
/// Bytes of keys and values in one commit group. Keeps a group's write well below the time of an fsync on a small disk.
pub const GROUP_BYTES: usize = 1024 * 1024;
/// Bytes of keys and values in one batch. An event is at most 65,536 bytes; the rest is indices and state chunks.
pub const BATCH_BYTES: usize = 1024 * 1024;
/// Writes in one batch: what PostgreSQL takes in one statement without losing its stride.
pub const BATCH_WRITES: usize = 4_096;
/// Journal entries in one batch.
pub const BATCH_JOURNAL_ENTRIES: usize = 1_024;
/// Bytes of one key, with table and scope.
pub const KEY_BYTES: usize = 1_024;
/// Bytes of one value's payload.
pub const VALUE_BYTES: usize = 512 * 1024;
/// Position slots in the header of one value.
pub const VALUE_POSITIONS: usize = 3;
/// Rows of one scan page, at most.
pub const PAGE_ROWS: usize = 10_000;
/// Bytes of one scan page; a page with one larger row holds that row alone.
pub const PAGE_BYTES: usize = 4 * 1024 * 1024;
/// Keys of one `get_many`.
pub const GET_KEYS: usize = 10_000;
/// Threads that serve reads which are not in RocksDB's block cache. A disk gains nothing from more.
pub const READ_THREADS: usize = 4;
/// Reads waiting for such a thread; the next is answered `Busy`.
pub const READ_QUEUE: usize = 4_096;
/// Bytes of RocksDB's one block cache, by default.
pub const BLOCK_CACHE_BYTES: usize = 256 * 1024 * 1024;
/// Bytes of that cache, at least: with less, indices and filters push each other out.
pub const BLOCK_CACHE_LEAST_BYTES: usize = 8 * 1024 * 1024;
/// Bytes of RocksDB's memtables, all column families together. Bounds both memory and the time of a restart's replay.
pub const MEMTABLE_BYTES: usize = 64 * 1024 * 1024;
/// Bytes of RocksDB's write-ahead log before it flushes the oldest column family.
pub const WAL_BYTES: u64 = 128 * 1024 * 1024;
/// Files RocksDB keeps open.
pub const OPEN_FILES: i32 = 1_024;
/// Bits of RocksDB's bloom filters per key: one useless read in a hundred.
pub const BLOOM_BITS_PER_KEY: f64 = 10.0;
/// Bytes of a block of rows that are read in order; point rows have RocksDB's 4 KiB.
pub const SCAN_BLOCK_BYTES: usize = 16 * 1024;
/// Bytes of RocksDB's own log before it starts a new file.
pub const INFO_LOG_BYTES: usize = 1024 * 1024;
/// Files of RocksDB's own log that are kept.
pub const INFO_LOG_FILES: usize = 2;
/// Groups waiting for RocksDB's committer thread; the next is answered `Busy`. The store sends one at a time; the rest is
/// for leases and tests.
pub const COMMIT_QUEUE_GROUPS: usize = 64;
/// Rows and keys of a read that is tried on the async thread; a larger one would hold that thread for milliseconds.
pub const INLINE_READ_ROWS: usize = 256;
/// Rows of a `delete_range` that RocksDB deletes one by one; more are one range tombstone. Each range tombstone in the
/// memtable costs all later reads of the column family, so the many small ranges must not become tombstones.
pub const RANGE_POINT_DELETES: usize = 256;
/// Rows among which [`CHURN_DELETED_ROWS`] deleted ones have RocksDB compact a file of the churn family: what scans of
/// queues have to step over.
pub const CHURN_WINDOW_ROWS: usize = 4_096;
/// See [`CHURN_WINDOW_ROWS`].
pub const CHURN_DELETED_ROWS: usize = 2_048;
/// Bytes of one message on the bus. As base64 with its topic it stays below the 8,000 bytes of a PostgreSQL notification.
pub const BUS_PAYLOAD_BYTES: usize = 5_900;
/// Messages that a receiver of the bus may lag behind before it loses the oldest.
pub const BUS_BACKLOG_MESSAGES: usize = 4_096;
/// Positions that a change of epoch jumps: more than any lost tail held. Ten thousand a second take 3.5 years to fill it, and
/// eight million such jumps fit below 2^63, the largest position of a PostgreSQL `bigint`.
pub const EPOCH_JUMP_POSITIONS: u64 = 1 << 40;
/// Ended epochs that the epoch's cell remembers. Every group reads the cell, so it stays near 2 KiB; a token of an epoch that
/// is forgotten gets a gappy sync.
pub const EPOCH_ENTRIES: usize = 64;
/// Findings of one verification that are told one by one; the rest is counted. Nobody reads more.
pub const VERIFY_ENTRIES: usize = 100;
/// Bytes read at a time while a file of a backup is copied or checked.
pub const COPY_BYTES: usize = 1024 * 1024;
/// A commit that takes longer has an unknown outcome for its callers, although it goes on. A disk that is busy with other
/// things can take seconds for an fsync.
pub const COMMIT_STALL_MS: u64 = 10_000;
/// Blocks of a table that are tried again with a later end when what follows fits nowhere: one end in 2^32 is found by chance.
pub const BLOCK_END_TRIES: usize = 2;
