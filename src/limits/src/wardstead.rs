//! Bounds of the binary: the database's pool, health, metrics.

/// Connections for reading that a node has to its database, unless configured.
pub const DATABASE_CONNECTIONS: usize = 8;
/// The most that can be configured: PostgreSQL has a process for each.
pub const DATABASE_CONNECTIONS_MOST: usize = 256;

/// Upper ends of the buckets for times of requests and commits. The smallest is a commit on a fast disk, the largest a
/// long-poll.
pub const LATENCY_BUCKETS_S: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0, 30.0];
/// Between two looks at whether the engine answers.
pub const PROBE_STEP_MS: u64 = 250;
/// An engine that has not answered for so long is lost, and so are the requests that wait for it. With a step and the time
/// to answer them: within 2 s.
pub const PROBE_MS: u64 = 1_400;
/// A node whose tail is further behind than this is not ready: its clients would see old news.
pub const READY_BEHIND_MS: u64 = 2_000;
/// Bytes of the answer with all metrics that are set aside at once; it grows beyond when there is more.
pub const METRICS_BYTES: usize = 64 * 1024;
/// Reading the table of nodes for the metrics; after this they are told without.
pub const NODES_READ_MS: u64 = 500;
/// Asking a running server for its health. Shorter than the time for which what watches a container waits.
pub const HEALTH_ASK_MS: u64 = 3_000;
/// Bytes of that answer: a few checks with a sentence each.
pub const HEALTH_BYTES: u64 = 64 * 1024;
/// Bytes of a request or an answer on the control socket: paths and tokens.
pub const CONTROL_BYTES: u64 = 64 * 1024;
/// Commands on the control socket at once: an operator has one or two.
pub const CONTROL_CONNECTIONS: usize = 8;
/// A command says what it wants at once; after this it is not one.
pub const CONTROL_ASK_MS: u64 = 5_000;
/// Backups that are kept unless told otherwise: a week of daily ones.
pub const BACKUPS_KEPT_ENTRIES: usize = 7;
/// Between two words about how far a verification has come: some seconds of reading.
pub const PROGRESS_BYTES: u64 = 1024 * 1024 * 1024;
/// See [`PROGRESS_BYTES`].
pub const PROGRESS_ROWS: u64 = 1_000_000;
