//! Bounds of pushers and of what is sent to push gateways.

/// Characters of an app id (Client-Server API, `POST /pushers/set`).
pub const APP_ID_CHARS: usize = 64;
/// Bytes of a push key (as above).
pub const PUSHKEY_BYTES: usize = 512;
/// Bytes of each of a pusher's names: of the app, of the device, of the profile.
pub const NAME_BYTES: usize = 255;
/// Bytes of a pusher's language: the longest tag that BCP 47 foresees has 35.
pub const LANG_BYTES: usize = 64;
/// Bytes of the URL of a push gateway.
pub const URL_BYTES: usize = 1_024;
/// Bytes of `data` beside the URL, as JSON: apps keep a few hundred bytes there, such as what a notification looks like.
pub const DATA_BYTES: usize = 4 * 1024;
/// Pushers of one user, who has a few devices. All stand in one row, which stays below 256 KiB.
pub const USER_PUSHER_ENTRIES: usize = 32;
/// Users who share one push key, as people who take turns at one device do.
pub const PUSHKEY_USERS: usize = 32;

/// Events that wait for one pusher; of more the oldest are not told one by one any more. An hour without a gateway on a busy ward.
pub const WAITING_EVENTS: usize = 100;
/// Milliseconds after which an event is not told by itself any more: who has been away for so long is told how much there is.
pub const WAITING_MS: u64 = 24 * 60 * 60 * 1_000;
/// Rooms of which a pusher's row remembers up to where their events were handed to it, so that one that is expanded again is not.
pub const REMEMBERED_ROOMS: usize = 32;
/// Notifications of one pusher that are sent before what was sent is written down: so many are sent twice at most when a node dies.
pub const SENT_EVENTS: usize = 8;
/// Pushers that one event is handed to at once.
pub const WRITES_AT_ONCE: usize = 64;
/// Users whose pushers are read at once.
pub const USERS_READ: usize = 1_000;
/// Users of whom a node remembers that they have no pusher: as many as there are in an installation where few have one.
pub const WITHOUT_ENTRIES: usize = 131_072;
/// What one of them takes, with the room that a table leaves free.
pub const WITHOUT_ENTRY_BYTES: usize = 18;
/// Rooms of a user whose counts are read at once.
pub const BADGE_ROOMS: usize = 256;
/// Times that a pusher's row is tried to be written where others write it too.
pub const WRITE_TRIES: usize = 16;

/// Requests that a node has under way to all gateways.
pub const REQUESTS_AT_ONCE: usize = 256;
/// Requests that a node has under way to one host: a gateway that hangs takes so many of [`REQUESTS_AT_ONCE`], and no more.
pub const HOST_REQUESTS_AT_ONCE: usize = 32;
/// Pushers with something to send that are counted for the metrics; there may be more.
pub const COUNTED_ENTRIES: usize = 10_000;
/// Failures without a success in between after which a host is tried by one pusher at a time, and no other waits for it.
pub const HOST_TRIES: u32 = 3;
/// Requests to a host that has failed so often.
pub const PROBE_REQUESTS: usize = 1;
/// Hosts that a node remembers; those that nobody waits for are forgotten beyond it.
pub const HOST_ENTRIES: usize = 1_024;
/// Pushers that a node is at, those that wait for their turn included.
pub const WORK_ENTRIES: usize = 4_096;
/// Milliseconds for a connection to a gateway.
pub const CONNECT_MS: u64 = 5_000;
/// Milliseconds for a request to a gateway, with its answer: gateways ask others before they answer.
pub const REQUEST_MS: u64 = 20_000;
/// Bytes of a gateway's answer: one push key, and some.
pub const ANSWER_BYTES: usize = 16 * 1024;
/// Milliseconds until a pusher whose gateway failed is tried again; twice as many after each failure.
pub const RETRY_MS: u64 = 2_000;
/// The most of them: a gateway that comes back is found within so many.
pub const RETRY_MOST_MS: u64 = 10 * 60 * 1_000;
/// Milliseconds that an unused connection to a gateway is kept.
pub const IDLE_MS: u64 = 60_000;
/// Unused connections to one gateway that are kept.
pub const IDLE_CONNECTIONS: usize = 8;
