//! Bounds of what is kept for a user alone: account data, filters, what waits for a device.

/// Bytes of the content of one piece of account data. The list of ignored users is stored with the list before it, and both fit into
/// one value of the engine.
pub const ACCOUNT_DATA_BYTES: usize = 240 * 1024;
/// Bytes of the contents of all account data of one user for one room, or for none: what one answer carries of it.
pub const ACCOUNT_DATA_TOTAL_BYTES: usize = 2 * 1024 * 1024;
/// Types of account data of one user for one room, or for none, those among them that were removed of late.
pub const ACCOUNT_DATA_ROWS: usize = 1_000;
/// Bytes of a type of account data, as of an event's (Client-Server API, Size limits), and of the name of a tag.
pub const ACCOUNT_DATA_TYPE_BYTES: usize = 255;
/// Milliseconds for which it is kept that account data was removed, so that devices that come back learn it: 90 days. A token that
/// is older is answered as by a full sync.
pub const TOMBSTONE_MS: u64 = 90 * 24 * 60 * 60 * 1_000;
/// Bytes of a stored filter: a list of three hundred rooms fits.
pub const FILTER_BYTES: usize = 16 * 1024;
/// Characters of the id of a filter, hexadecimal digits of a hash: among the filters of one user no two ids meet.
pub const FILTER_ID_CHARS: usize = 18;
/// Filters of one user. Clients make a handful, each device the same ones, and equal filters are stored once.
pub const FILTER_ROWS_PER_USER: usize = 500;
/// Bytes of what a node remembers of whom users ignore.
pub const IGNORED_CACHE_BYTES: u64 = 8 * 1024 * 1024;
/// Bytes that such an entry takes with the overhead of the cache.
pub const IGNORED_ENTRY_BYTES: u64 = 96;
/// Bytes that each ignored user takes in it.
pub const IGNORED_USER_BYTES: u64 = 96;
/// Messages to a device in one answer; the rest comes with the next ones, which follow at once.
pub const TO_DEVICE_MESSAGES: usize = 100;
/// Bytes of the messages to a device in one answer; of larger ones there is one in an answer.
pub const TO_DEVICE_PAGE_BYTES: usize = 1024 * 1024;
/// Milliseconds by which a token counts as older than it is, against clocks that differ and a row that is removed on time.
pub const TOMBSTONE_MARGIN_MS: u64 = 24 * 60 * 60 * 1_000;
