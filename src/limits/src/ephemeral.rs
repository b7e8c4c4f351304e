//! Bounds of typing and presence: state that lives in each node's memory and travels on the bus.

/// Milliseconds for which one request may mark a user as typing; clients that still type say so again.
pub const TYPING_TIMEOUT_MS: u64 = 60_000;
/// Milliseconds for which it is remembered that somebody stopped typing. A client that comes back later, with a token that
/// says that somebody typed, is told that nobody types in any of its rooms.
pub const TYPING_REMEMBERED_MS: u64 = 120_000;
/// Milliseconds by which a request has to move the end of somebody's typing to be told to the other nodes.
pub const TYPING_MOVED_MS: u64 = 1_000;
/// Bytes of what a node remembers of typing. At about 200 bytes a user in a room: 40,000 of them.
pub const TYPING_BYTES: usize = 8 * 1024 * 1024;
/// Seconds between two answers of a sync that hold only ephemeral news.
pub const EPHEMERAL_APART_S: u64 = 1;
/// Seconds after an answer with ephemeral news until the next that contradicts it for no reason that this node knows. The
/// bus, if it is not cut, tells the reason within this time. Less than [`PRESENCE_APART_S`], whose answers defer it.
pub const TYPING_DOUBT_S: u64 = 4;
/// Milliseconds by which the nodes' clocks may differ, and by which a message may be late on the bus, before somebody is told
/// something twice or once too few.
pub const BUS_LATE_MS: u64 = 2_000;
/// Milliseconds by which a message of the bus may be ahead of this node's time; one beyond is dropped, because nothing that
/// is said later would prevail over it.
pub const BUS_AHEAD_MS: u64 = 60_000;
/// Milliseconds that a request waits for the bus to take its message. The state is soft: later it would be of no use.
pub const BUS_PUBLISH_MS: u64 = 1_000;
/// Bytes of a status message.
pub const PRESENCE_STATUS_BYTES: usize = 512;
/// Milliseconds after the end of a user's last sync until the user is offline: the next one usually begins at once.
pub const PRESENCE_GONE_MS: u64 = 30_000;
/// Milliseconds after a user's last act until the user is unavailable (Client-Server API, Presence, Idle timeout).
pub const PRESENCE_IDLE_MS: u64 = 5 * 60_000;
/// Milliseconds between two acts of a user that are worth telling the other nodes.
pub const PRESENCE_ACT_MS: u64 = 60_000;
/// Milliseconds for which a node vouches that a device is there. When the node dies its users are offline after this time.
pub const PRESENCE_VOUCHED_MS: u64 = 90_000;
/// Milliseconds before the end of that time at which the node vouches again: every 60 s, so that a restarted node learns.
pub const PRESENCE_RENEWED_MS: u64 = 30_000;
/// Devices that nodes vouch for, of one user; beyond it the one that was vouched for first is forgotten.
pub const PRESENCE_ENTRIES_PER_USER: usize = 32;
/// Entries waiting to be told to the other nodes; further ones are dropped, and are told when they are next renewed.
pub const PRESENCE_WAITING_ENTRIES: usize = 65_536;
/// Milliseconds between two looks for devices to vouch for again, and for those that are gone.
pub const PRESENCE_TICK_MS: u64 = 1_000;
/// Milliseconds for which it is remembered when an offline user was last active, and what their status message was.
pub const PRESENCE_REMEMBERED_MS: u64 = 24 * 60 * 60_000;
/// Bytes of what a node remembers of presence. At about 400 bytes a user: 80,000 users.
pub const PRESENCE_BYTES: usize = 32 * 1024 * 1024;
/// Seconds between two answers of a sync that hold only presence. With other news it travels at once.
pub const PRESENCE_APART_S: u64 = 5;
/// Users whose presence one answer looks at, those that changed last; more come as they change.
pub const PRESENCE_USERS: usize = 4_096;
/// Users whose presence an answer with news of rooms tells. Of more it tells none: messages do not wait for the presence of
/// hundreds, which has an answer of its own.
pub const PRESENCE_BESIDE_USERS: usize = 64;
/// Milliseconds of which is known in which rooms presence changed. A client that was last told longer ago looks at each who changed.
pub const PRESENCE_RECENT_MS: u64 = 60_000;
/// Users in rooms who are remembered for that; while it would be more, each client looks at each who changed.
pub const PRESENCE_RECENT_ENTRIES: usize = 262_144;
/// Bytes that one takes.
pub const PRESENCE_RECENT_ENTRY_BYTES: usize = 16;
/// Seconds after which presence is told beside news of rooms, however much it is: a client may never see an answer without any.
pub const PRESENCE_LATE_S: u64 = 30;
/// Bytes of the cache of who is in which rooms, for typing and presence alone.
pub const JOINED_CACHE_BYTES: u64 = 16 * 1024 * 1024;
