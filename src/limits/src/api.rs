//! Bounds of the HTTP interfaces.

/// Bytes of a request body outside media. An event is 64 KiB; createRoom carries several.
pub const BODY_BYTES: usize = 1024 * 1024;
/// Milliseconds that a client may take to send its next request head, so also how long an idle connection is kept. More
/// than the 60 s for which common reverse proxies keep theirs: else they send into a connection that is being closed.
pub const HEAD_TIMEOUT_MS: u64 = 75_000;
/// Milliseconds after which a connection is looked at again whose first bytes do not tell the version of HTTP. No client sends them one
/// by one.
pub const FIRST_BYTES_RETRY_MS: u64 = 20;
/// Milliseconds that a client may take to send its body.
pub const BODY_TIMEOUT_MS: u64 = 60_000;
/// Milliseconds for which the rest of a body is read that a refused request did not need. A client that sends slower than this loses
/// its connection, and is told so.
pub const BODY_LEFT_MS: u64 = 2_000;
/// Connections open at once; the next waits in the backlog.
pub const CONNECTIONS: usize = 20_000;
/// HTTP/2 requests open at once on one connection.
pub const STREAMS_PER_CONNECTION: u32 = 128;
/// Milliseconds until the next try after a connection could not be accepted.
pub const ACCEPT_RETRY_MS: u64 = 50;
/// Milliseconds between SIGTERM and the end of the process when requests do not finish.
pub const DRAIN_MS: u64 = 8_000;
/// Milliseconds between the moments at which a server that ends tells waiting requests so.
pub const DRAIN_STEP_MS: u64 = 50;
/// Milliseconds that work on other threads is waited for once everything else has ended.
pub const RUNTIME_END_MS: u64 = 500;
/// JSON nesting depth of a request body. Well below the 128 at which the JSON reader itself gives up.
pub const JSON_DEPTH: usize = 64;
/// Seconds that a client told to come back should wait.
pub const RETRY_AFTER_S: u64 = 1;
/// Bytes of the sentence in an error answer: it may quote what was sent, and what was sent may be a mebibyte.
pub const ERROR_SENTENCE_BYTES: usize = 400;
/// Proxies of ours that a request may have come through, one behind the other. What stands further left in `X-Forwarded-For` is not
/// looked at, so that a header of nothing but our proxies costs no more.
pub const PROXY_STEPS: usize = 16;
/// Bytes of what a node remembers of accounts and, as many, of addresses that asked for something limited: 80,000 of each.
pub const RATE_LIMIT_BYTES: usize = 8 * 1024 * 1024;
/// Bytes that one such account or address takes, with the overhead of a map that has just grown.
pub const RATE_LIMIT_ENTRY_BYTES: usize = 96;
