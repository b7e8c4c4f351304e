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
/// Bytes of RocksDB's memtables, all column families together. Bounds both memory and the time of a restart's replay.
pub const MEMTABLE_BYTES: usize = 64 * 1024 * 1024;
/// Bytes of RocksDB's write-ahead log before it flushes the oldest column family.
pub const WAL_BYTES: u64 = 128 * 1024 * 1024;
/// Files RocksDB keeps open.
pub const OPEN_FILES: i32 = 1_024;
