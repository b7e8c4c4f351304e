//! Bounds of accounts and sign-in.

/// Bytes of a user id (Matrix specification, Appendices, User Identifiers).
pub const USER_ID_BYTES: usize = 255;
/// Bytes of a password; more would let a request buy unbounded hashing time.
pub const PASSWORD_BYTES: usize = 512;
/// Characters of a new password, at least (NIST SP 800-63B, 3.1.1.2).
pub const PASSWORD_MIN_CHARS: usize = 8;
/// Bytes of a device id and of a device's display name.
pub const DEVICE_ID_BYTES: usize = 255;
/// Characters of an access token after its prefix: 256 bits.
pub const ACCESS_TOKEN_CHARS: usize = 43;
/// Password hashes computed at once; each takes tens of MiB and a core.
pub const HASHES_AT_ONCE: usize = 2;
/// Password hashes waiting; the next is answered 429.
pub const HASHES_WAITING: usize = 64;
/// Milliseconds that a user-interactive authentication session lives.
pub const UIA_SESSION_MS: u64 = 15 * 60 * 1_000;
