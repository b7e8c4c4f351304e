//! Bounds of rooms and events.

/// Bytes of one event in canonical JSON (Matrix specification, Client-Server API, Size limits).
pub const EVENT_BYTES: usize = 65_536;
/// Bytes that are reserved to write an event: that of a message in most rooms fits.
pub const EVENT_USUAL_BYTES: usize = 1_024;
/// Bytes of a user id, room id, event type, state key, event id (Size limits).
pub const IDENTIFIER_BYTES: usize = 255;
/// Random letters and digits of the id of an event in a room of version 2: 2^107 ids of one server.
pub const EVENT_ID_CHARS: usize = 18;
/// Entries of a snapshot's own delta before it is merged into chunks.
pub const SNAPSHOT_DELTA_ENTRIES: usize = 64;
/// Entries of one state chunk (16 bytes each: 8 KiB). A full delta touches at most [`SNAPSHOT_DELTA_ENTRIES`] chunks, and
/// those have to fit into one batch together with the event that caused the merge.
pub const SNAPSHOT_CHUNK_ENTRIES: usize = 512;
/// Bytes of the cache of state chunks and snapshots.
pub const SNAPSHOT_CACHE_BYTES: u64 = 32 * 1024 * 1024;
/// Bytes of the cache of the short ids of users by their names.
pub const PEOPLE_CACHE_BYTES: u64 = 4 * 1024 * 1024;
/// Bytes of the cache of events by id.
pub const EVENT_CACHE_BYTES: u64 = 64 * 1024 * 1024;
/// Changes of stored events (redactions, first relations) that a node remembers, so that what was read before one of them is not kept in
/// memory after it. More of them than happen while one read is under way.
pub const CHANGED_EVENTS: usize = 1_024;
/// Bytes of the cache of event ids by short id.
pub const EVENT_ID_CACHE_BYTES: u64 = 8 * 1024 * 1024;
/// Bytes of the cache of room ids and their short ids, each direction.
pub const ROOM_CACHE_BYTES: u64 = 8 * 1024 * 1024;
/// Forward extremities that one event may have as prev events.
pub const PREV_EVENTS: usize = 10;
/// Largest depth: the largest integer of canonical JSON, 2^53 − 1.
pub const DEPTH_MAX: u64 = (1 << 53) - 1;
/// Depths by which an event may stand below what it follows in the timeline, whatever depth it states: one that states the largest
/// depth does not take the end of the timeline for ever.
pub const DEPTH_JUMP: u64 = 10_000;
/// Events that one state resolution may load. It takes seconds then; a room that needs more is under attack.
pub const RESOLUTION_EVENTS: usize = 100_000;
/// Soft-failed and rejected events through which one event is followed back to the extremities that it stands on.
pub const COVERED_EVENTS: usize = 1_000;
/// Events that are remembered to wait for one event that is not here.
pub const WAITING_EVENTS: usize = 64;
/// Batches of one room that may wait for the committer at once; the next is answered `Busy`.
pub const PENDING_PER_ROOM: usize = 512;
/// Times that a request takes its turn in a room (it lost, another's loss made its head void, it waited for a queued batch
/// to settle) before it is answered `Busy`. More than the rebuilds, because most of these turns cost no commit.
pub const APPEND_TURNS: usize = 32;
/// Initial state events and invitations of one createRoom. With eleven rows each, and the stripped state in each invitation,
/// they fit into one batch.
pub const CREATE_EVENTS: usize = 200;
/// Events of one page of `/messages`.
pub const MESSAGES_PAGE: usize = 1_000;
/// Events of one page of `/messages` when the client names no number (Client-Server API, GET messages).
pub const MESSAGES_DEFAULT: usize = 10;
/// Timeline rows that one `/messages` looks at when a filter or the history visibility hides most of them; the answer then
/// ends early, with a token to go on from.
pub const MESSAGES_SCANNED: usize = 4_000;
/// Timeline rows that `/messages` reads at once, at least: a filter may hide most of them.
pub const MESSAGES_LEAST_ROWS: usize = 32;
/// Bytes of the reason of a report.
pub const REPORT_BYTES: usize = 16_384;
/// Events of one page of `/relations`.
pub const RELATED_EVENTS_PAGE: usize = 500;
/// Events of one page of `/relations` when the client names no number.
pub const RELATED_EVENTS_DEFAULT: usize = 50;
/// Rows of relations that one request looks at where an event type, or what relates to what relates, makes it look at many.
pub const RELATED_EVENTS_SCANNED: usize = 1_000;
/// Levels of relations that `/relations` follows (Client-Server API, GET relations: at least 3).
pub const RELATION_STEPS: usize = 3;
/// Types of relations to one event that `/relations` lists without being asked for one.
pub const RELATION_TYPE_KEYS: usize = 32;
/// Newest edits of one event among which that with the latest time is looked for.
pub const EDIT_EVENTS_SCANNED: usize = 64;
/// References that are shown with an event; `/relations` has them all.
pub const REFERENCE_IDS: usize = 100;
/// Replies that are counted one by one where some of a thread are hidden from some members.
pub const THREAD_EVENTS_SCANNED: usize = 1_000;
/// Kinds of relation that a filter of what relates to events names and that are looked for; there are not that many.
pub const RELATED_BY_TYPE_KEYS: usize = 16;
/// Events of which what relates to them is read side by side.
pub const BUNDLED_EVENTS_AT_ONCE: usize = 16;
/// Threads of one page of `/threads`.
pub const THREADS_PAGE: usize = 100;
/// Threads of one page of `/threads` when the client names no number.
pub const THREADS_DEFAULT: usize = 20;
/// Replies read at once in search of threads.
pub const THREADS_ROWS: usize = 128;
/// Replies that one `/threads` looks at; the answer then ends early, with a token to go on from.
pub const THREADS_SCANNED: usize = 2_000;
/// Milliseconds of a part of the day in the index of `timestamp_to_event`: a quarter of an hour. A quiet room has a row for almost each
/// event, a busy one for one in hundreds; all events of a part that are in the way are looked at.
pub const TIME_PART_MS: u64 = 15 * 60 * 1_000;
/// Depths of a block of the timeline in that index.
pub const TIME_BLOCK_STEPS: u64 = 256;
/// Rows of that index that are read at once.
pub const TIME_ROWS: usize = 32;
/// Events that `timestamp_to_event` looks at in one step.
pub const TIME_PAGE_EVENTS: usize = 64;
/// Events after which it gives up, reached by who may not see what is nearest.
pub const TIME_EVENTS: usize = 20_000;
/// Rooms of one page of those that two users are both in.
pub const MUTUAL_ROOMS_PAGE: usize = 500;
/// Rows of a user's membership log read at once when looking for what the user was at a position.
pub const MEMBER_LOG_ROWS: usize = 256;
/// Timeline rows that a sync looks at, for one room, per visible event that it wants.
pub const TIMELINE_OVERREAD: usize = 4;
/// Changes of a room's state read at once to find its state at two positions: mostly they lie close together.
pub const STATE_SPAN_ROWS: usize = 8;
/// Membership rows looked at to find a room's heroes.
pub const HERO_ROWS: usize = 64;
/// Heroes of a room summary (Client-Server API, GET sync).
pub const HEROES: usize = 5;
/// Bytes of a transaction id.
pub const TRANSACTION_ID_BYTES: usize = 255;
/// Characters of an `order` in a space that counts (Client-Server API, `m.space.child`).
pub const CHILD_ORDER_CHARS: usize = 50;
/// Rooms whose state is read at once for a list of them.
pub const OVERVIEW_ROOMS: usize = 32;
/// Aliases of one room: they are listed in one answer.
pub const ROOM_ALIAS_ENTRIES: usize = 500;
/// Milliseconds within which [`CONFLICTS`] on one room mean that another node appends to it too.
pub const CONFLICT_WINDOW_MS: u64 = 1_000;
/// Conflicts on one room in [`CONFLICT_WINDOW_MS`] after which a node appends in shares of time, in turn with the others.
pub const CONFLICTS: u32 = 2;
/// Milliseconds that a node goes on so after the last sign of another one.
pub const CONTENDED_MS: u64 = 2_000;
/// Milliseconds of one share: the longest that a message waits for another node's, and long enough that changing over costs little.
pub const SHARE_MS: u64 = 500;
/// Milliseconds before its end at which a share builds nothing more, so that what is queued is committed within it.
pub const SHARE_MARGIN_MS: u64 = 100;
/// Milliseconds between two tries to have a share.
pub const SHARE_POLL_MS: u64 = 10;
/// Milliseconds that a node leaves between two shares of its own, more than [`SHARE_POLL_MS`], so that the others come in.
pub const SHARE_PAUSE_MS: u64 = 30;
/// Milliseconds after which a node that appends without pause looks whether another one has taken a share.
pub const SHARE_LOOK_MS: u64 = 50;
/// Milliseconds between taking the first share and using it: all others have looked by then, and what they had queued is committed.
pub const SHARE_QUIET_MS: u64 = 100;
/// Milliseconds that a request waits for its node's share before it is answered `Busy`.
pub const SHARE_WAIT_MS: u64 = 5_000;
/// Rooms of which a node remembers at once that others append to them; with one more, those without a sign of that are forgotten.
pub const CONTENDED_ROOMS: usize = 4_096;
/// Relations followed from an event to the root of its thread (Client-Server API, Threaded read receipts, recommends three).
pub const THREAD_STEPS: usize = 3;
/// Rooms named by the join rule of a restricted room that are looked at: a rule lists the spaces of an organisation, not its rooms.
pub const JOIN_RULE_ROOMS: usize = 64;
/// Users with power who are looked at, and members read at once, when somebody is sought who authorises a restricted join.
pub const JOIN_AUTHORISING_USERS: usize = 64;
/// Signing keys that are kept and published: one a month for more than twenty years.
pub const KEYS: usize = 256;
/// Milliseconds after which a node that signs reads the signing keys again.
pub const KEYRING_MS: u64 = 10_000;
/// Milliseconds between the making of a signing key and its first use: more than [`KEYRING_MS`], the time that a batch waits and what
/// the nodes' clocks differ by, so that all nodes know the key by then.
pub const KEY_ROTATION_MS: u64 = 60_000;
/// Milliseconds for which other servers may rely on the published signing keys. They ask again at half of that.
pub const KEYS_VALID_MS: u64 = 24 * 60 * 60 * 1_000;
