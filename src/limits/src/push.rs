//! Bounds of push rules and unread counts.

/// Bytes of one user's push rules as JSON. Clients make tens of rules; a rule for each of three hundred rooms fits.
pub const RULES_BYTES: usize = 64 * 1024;
/// Rules of one user, the server's among them: each is looked at for an event that concerns the user.
pub const USER_RULE_ENTRIES: usize = 500;
/// Words that one user's rules look for: each stands in the index of each of the user's rooms.
pub const USER_WORD_ENTRIES: usize = 100;
/// Classes of rules, beside that of the unchanged rules, that are counted in one room. Members of further ones are looked at one by one.
pub const ROOM_CLASS_ENTRIES: usize = 32;
/// Speakers and mentioned users whose corrections stand in a room's own cell; those of others have rows of their own.
pub const ROOM_ASIDE_ENTRIES: usize = 8;
/// Users who came, went or changed since a room's words were last put into one automaton; more, and that is made anew.
pub const INDEX_RECENT_USERS: usize = 256;
/// Bytes of the cache of rooms' members with what they look for: one forum of ten thousand takes about 6 MiB.
pub const INDEX_CACHE_BYTES: u64 = 48 * 1024 * 1024;
/// Rooms in that cache that it is laid out for.
pub const INDEX_CACHE_ENTRIES: usize = 2_048;
/// Classes that a node has ready to use.
pub const CLASS_CACHE_ENTRIES: usize = 4_096;
/// Times that a change of rules is tried in one room where others append meanwhile.
pub const SWITCH_TRIES: usize = 64;
/// Rooms of a user that a change of rules works on at once.
pub const SWITCH_ROOMS_AT_ONCE: usize = 16;
/// Times that rows which do not belong together are read again.
pub const READ_TRIES: usize = 8;
/// Changes of a user's class that are remembered while something of before them is unread.
pub const PAST_CLASS_ENTRIES: usize = 64;
/// Notifications in one page of `GET /notifications` at most.
pub const NOTIFICATION_EVENTS_PAGE: usize = 100;
/// The same where the client names no number.
pub const NOTIFICATION_EVENTS_DEFAULT: usize = 20;
/// Rows of one room that are read at once for such a page.
pub const NOTIFICATION_ROWS: usize = 64;
/// Rows after which such a page ends as it is, once each room was looked at: what mutes nearly all, or asks for highlights alone, makes
/// many of no use.
pub const NOTIFICATION_ROWS_SCANNED: usize = 4_096;
