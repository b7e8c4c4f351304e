//! Bounds of the HTTP interfaces.

/// Bytes of a request body outside media. An event is 64 KiB; createRoom carries several.
pub const BODY_BYTES: usize = 1024 * 1024;
/// Milliseconds that a client may take to send its request head.
pub const HEAD_TIMEOUT_MS: u64 = 10_000;
/// Milliseconds that a client may take to send its body.
pub const BODY_TIMEOUT_MS: u64 = 60_000;
/// Connections open at once; the next waits in the backlog.
pub const CONNECTIONS: usize = 20_000;
/// Milliseconds between SIGTERM and the end of the process when requests do not finish.
pub const DRAIN_MS: u64 = 8_000;
/// JSON nesting depth of a request body. Well below the 128 at which the JSON reader itself gives up.
pub const JSON_DEPTH: usize = 64;
/// Seconds that a client told to come back should wait.
pub const RETRY_AFTER_S: u64 = 1;
/// Bytes of the sentence in an error answer: it may quote what was sent, and what was sent may be a mebibyte.
pub const ERROR_SENTENCE_BYTES: usize = 400;
