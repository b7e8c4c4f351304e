//! Bounds of files that people send, and of what is made of them.

/// Bytes of a file before encryption that are encrypted and authenticated together: what a reader gets at least, and what is held of a
/// transfer at least. Part of the stored form: another number needs another format.
pub const CHUNK_BYTES: usize = 64 * 1024;
/// Bytes read at once from a file on this machine's disk, of whole chunks.
pub const READ_BYTES: usize = 4 * CHUNK_BYTES;
/// Bytes of a part of an upload to a local disk; an object that has no more is written in one piece.
pub const LOCAL_PART_BYTES: usize = 4 * CHUNK_BYTES;
/// Bytes of a part in memory, for tests: small ones, so that there are several.
pub const MEMORY_PART_BYTES: usize = 2 * CHUNK_BYTES;
/// Bytes of a file that is uploaded, unless the configuration says otherwise: a scan or a short film.
pub const FILE_BYTES: u64 = 100 * 1024 * 1024;
/// Bytes of all files of one user, unless the configuration says otherwise.
pub const USER_TOTAL_BYTES: u64 = 20 * 1024 * 1024 * 1024;
/// Bytes of a picture that is held in memory to take out what it says about its making. A camera's have 15 MB. Larger ones are refused.
pub const PICTURE_BYTES: usize = 32 * 1024 * 1024;
/// Bytes that tell whether a file is a picture, whatever it is called.
pub const FILE_START_BYTES: usize = 16;
/// Pictures on one node whose metadata are taken out at one time: with [`PICTURE_BYTES`], twice over, what they take of its memory.
pub const PICTURE_UPLOAD_STREAMS: usize = 4;
/// Thumbnails that one node makes at one time: each takes a processor for some 100 ms, and the memory of a decoded picture.
pub const THUMBNAIL_MAKING_THREADS: usize = 2;
/// Characters of the id of a file, 5.95 bits each: nobody guesses one.
pub const MEDIA_ID_CHARS: usize = 32;
/// Bytes of the id of a file in a request; ours have fewer.
pub const MEDIA_ID_BYTES: usize = 255;
/// Bytes of a file's name. Longer ones are cut.
pub const FILE_NAME_BYTES: usize = 255;
/// Bytes of a content type. A longer one is none.
pub const CONTENT_TYPE_BYTES: usize = 255;
/// Milliseconds in which the id of a file that is uploaded later must be filled: 24 hours, as the specification recommends.
pub const UNUSED_MS: u64 = 24 * 60 * 60 * 1_000;
/// Ids of one user that wait for their files.
pub const AWAITED_FILES_PER_USER: u64 = 100;
/// Milliseconds that a request waits for a file that is uploaded later, whatever it says: what the specification has as default.
pub const WAIT_MS: u64 = 20_000;
/// Milliseconds between two looks at whether a file has been uploaded on another node.
pub const WAIT_POLL_MS: u64 = 500;
/// Requests on one node that wait for files at one time; more are answered at once.
pub const FILE_WAITERS: usize = 1_000;
/// Milliseconds between two pieces of an upload; who is slower is cut off.
pub const UPLOAD_PAUSE_MS: u64 = 60_000;
/// Milliseconds of an upload, however it goes on. Less than [`ORPHAN_MS`].
pub const UPLOAD_MS: u64 = 2 * 60 * 60 * 1_000;
/// Milliseconds after which an object that no row names is removed: its upload has ended long before.
pub const ORPHAN_MS: u64 = 6 * 60 * 60 * 1_000;
/// Seconds that a client or proxy may keep a file: a day. It never changes, but it may be locked away.
pub const CACHE_S: u64 = 24 * 60 * 60;
/// Files of a user that are looked at together when all are removed.
pub const REMOVED_FILES_AT_ONCE: usize = 100;
/// How often a commit that changes totals is built again when others were quicker: on each node they take turns, so as many nodes as there
/// are may be, a few times over.
pub const TOTAL_REBUILDS: u64 = 24;
/// Milliseconds by which the pause grows, at random, before it is built again.
pub const TOTAL_PAUSE_MS: u64 = 4;
