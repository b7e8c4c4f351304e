//! Bounds of the PostgreSQL engine and of the bus over it: connections, waits, statements.
//!
//! A lost database must be told within 2 s and the server must be well within 5 s of its return, so what waits for a
//! connection waits about a second. A COMMIT that was sent is never cut short; only its caller is told `Unknown`.

/// Connections that serve reads, by default. A backend is a process; more of them than a few per core wait for each other.
pub const READ_CONNECTIONS: usize = 8;
/// Reads waiting for such a connection; the next is answered `Busy`.
pub const READ_QUEUE: usize = 4_096;
/// A connection is made within this time, authentication and session settings included.
pub const CONNECT_MS: u64 = 1_500;
/// A read takes at most this time on the server: no snapshot of ours is held longer.
pub const READ_MS: u64 = 5_000;
/// A read waits this long for a position that is not visible yet before it is `Unavailable`.
pub const FLOOR_WAIT_MS: u64 = 200;
/// Pause between two looks at the newest position while a read waits for its floor.
pub const FLOOR_POLL_MS: u64 = 20;
/// Groups and leases waiting for the node's writing connection; the next is answered `Busy`. The store sends one at a
/// time; the rest is for leases and tests.
pub const COMMIT_QUEUE_GROUPS: usize = 64;
/// A group waits this long for the position row, on the server. Other nodes hold it for one group at a time.
pub const POSITION_LOCK_MS: u64 = 5_000;
/// A statement of a group may take this long on the server (a large `delete_range`); a COMMIT is not bounded by it.
pub const WRITE_STATEMENT_MS: u64 = 30_000;
/// A transaction of ours that does nothing for this long is ended by the server: a node that stopped (SIGSTOP, swapped
/// out, cut off) must not keep the position row from the others.
pub const IDLE_IN_TRANSACTION_MS: u64 = 3_000;
/// The caller of a COMMIT without an answer is told `Unknown` after this time; the COMMIT goes on.
pub const COMMIT_ANSWER_MS: u64 = 5_000;
/// Those who wait for a commit are told after this time that its outcome is unknown: within the 2 s in which a lost database
/// is told. It goes on.
pub const COMMIT_STALL_MS: u64 = 1_700;
/// COMMITs without an answer that a node lets stand at once; while there are as many, further groups are `Unavailable`.
pub const STANDING_COMMITS: usize = 4;
/// Rows of one writing statement; more go into the next.
pub const STATEMENT_ROWS: usize = 4_096;
/// Bytes of keys and values of one writing statement; a single larger row stands alone.
pub const STATEMENT_BYTES: usize = 1024 * 1024;
/// Rows of a page up to which the server is asked for rows alone; larger pages are cut by bytes on the server as well, so
/// that large values neither travel nor fill memory in vain.
pub const PLAIN_PAGE_ROWS: usize = 64;
/// Pause between two looks whether the database is there.
pub const PING_MS: u64 = 500;
/// A look without an answer after this time means that the database is not there.
pub const PING_ANSWER_MS: u64 = 1_200;
/// Pause between two checks of what makes a COMMIT durable (standby, settings) and of the timeline.
pub const DURABILITY_CHECK_MS: u64 = 10_000;
/// Times that opening looks for a standby in state `sync`, with [`STANDBY_POLL_MS`] between: it may be about to connect.
pub const STANDBY_LOOKS: usize = 10;
/// See [`STANDBY_LOOKS`].
pub const STANDBY_POLL_MS: u64 = 500;
/// Silence on a connection after which TCP asks whether the other side is there.
pub const KEEPALIVE_IDLE_MS: u64 = 5_000;
/// Pause between two such questions.
pub const KEEPALIVE_INTERVAL_MS: u64 = 2_000;
/// Unanswered questions after which the connection is lost.
pub const KEEPALIVE_RETRIES: u32 = 3;
/// What was sent and is not acknowledged by TCP after this time means that the connection is lost.
pub const TCP_USER_MS: u64 = 5_000;
/// Pause before the first attempt to connect again; doubled up to [`RECONNECT_MOST_MS`].
pub const RECONNECT_LEAST_MS: u64 = 50;
/// Longest pause between two attempts to connect again.
pub const RECONNECT_MOST_MS: u64 = 1_000;
/// A message of the bus is handed to the server within this time or dropped.
pub const NOTIFY_MS: u64 = 1_000;
/// Messages of the bus that wait for the server; the next is dropped with an error.
pub const NOTIFY_QUEUE_MESSAGES: usize = 1_024;
/// Bytes of a notification's payload that PostgreSQL takes, less one (its manual, NOTIFY).
pub const NOTIFY_PAYLOAD_BYTES: usize = 7_999;
/// Closing waits this long for COMMITs on their way.
pub const CLOSE_MS: u64 = 5_000;
