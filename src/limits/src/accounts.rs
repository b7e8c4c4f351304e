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
/// Password hashes waiting; the next is answered 429. A shift of some hundreds begins within seconds, and is through in ten more.
pub const HASHES_WAITING: usize = 512;
/// Milliseconds that a user-interactive authentication session lives.
pub const UIA_SESSION_MS: u64 = 15 * 60 * 1_000;
/// Kibibytes of memory of one password hash (OWASP Password Storage Cheat Sheet, argon2id: 19 MiB, 2 passes, 1 lane).
pub const HASH_MEMORY_KIB: u32 = 19 * 1_024;
/// Passes over that memory.
pub const HASH_PASSES: u32 = 2;
/// Lanes of one password hash; more would let one request take several cores.
pub const HASH_LANES: u32 = 1;
/// Kibibytes of memory of a cheap password hash (development and tests): the least that argon2 takes.
pub const CHEAP_HASH_MEMORY_KIB: u32 = 8;
/// Passes of a cheap password hash.
pub const CHEAP_HASH_PASSES: u32 = 1;
/// Characters of a generated device id: 51 bits or more, unique within one user.
pub const GENERATED_DEVICE_ID_CHARS: usize = 10;
/// Characters of a generated user name: never met by chance, short enough to be copied by hand.
pub const GENERATED_USERNAME_CHARS: usize = 12;
/// Characters of a registration token: 190 bits, so that guessing needs no further bound.
pub const REGISTRATION_TOKEN_CHARS: usize = 32;
/// Characters of the secret with which scripts make accounts, at least: a shorter one could be guessed from one request overheard.
pub const REGISTRATION_SECRET_MIN_CHARS: usize = 16;
/// Bytes of a registration token that a client presents; longer ones are not looked up.
pub const REGISTRATION_TOKEN_BYTES: usize = 128;
/// Bytes of an access token that a client presents; longer ones are not looked up.
pub const ACCESS_TOKEN_BYTES: usize = 256;
/// Devices removed in one batch, each with its tokens and with what other parts keep for it, within a batch's writes. What a user has beyond
/// them is void from the first batch on where all sessions end, and removed by those that follow.
pub const DEVICES_PER_BATCH: usize = 64;
/// Bits of a device's version that count its changes; above them stands the device's short id, so that two devices of one name share no
/// version: 16 million refreshed tokens.
pub const DEVICE_VERSION_BITS: u32 = 24;
/// Milliseconds that an access token lives whose client can refresh it, where the operator chose nothing: long enough that an outage of the
/// store, in which nothing can be refreshed, shuts out few.
pub const ACCESS_TOKEN_LIFETIME_MS: u64 = 60 * 60 * 1_000;
/// Seconds that an operator may have access tokens live, at least: less, and clients refresh more than they ask.
pub const ACCESS_TOKEN_LEAST_S: u64 = 60;
/// Pairs of tokens of one device that were replaced and whose rows stay, so that who still has one is told to keep its keys: a day of
/// refreshing each hour, through which a second process of a client may sleep.
pub const REPLACED_PAIRS: u32 = 24;
/// Local users on one page of the list.
pub const USERS_PAGE: usize = 1_000;
/// Bytes of what a node remembers of the access tokens that it has seen: about 50,000 of them. A token that is forgotten costs one
/// read more.
pub const SEEN_TOKENS_BYTES: u64 = 8 * 1024 * 1024;
/// Bytes that one such token takes beside its device id, with the overhead of the cache.
pub const SEEN_TOKEN_BYTES: u64 = 144;
/// Bytes of what a client calls itself that are kept: enough to tell a browser from an app. What comes after them is cut.
pub const USER_AGENT_BYTES: usize = 255;
/// Milliseconds after which wrong passwords are forgotten, at most twice as many: no bucket of them takes longer to be full again.
pub const FAILED_WINDOW_MS: u64 = 60 * 60 * 1_000;
/// Milliseconds to wait for who failed at the same moment as so many others that the attempt could not be counted.
pub const FAILED_CONTENDED_MS: u64 = 1_000;
/// Milliseconds, at most twice as many, for which a place from where an account signed in is known: 90 days, longer than most are on
/// leave.
pub const KNOWN_WINDOW_MS: u64 = 90 * 24 * 60 * 60 * 1_000;
/// Milliseconds between two writes of when a device was last seen, at least: clients sync all the time.
pub const LAST_SEEN_MS: u64 = 60 * 1_000;
/// Bytes of what a node remembers of when devices were last seen: about 65,000 of them. One that is forgotten costs a read.
pub const NOTED_DEVICES_BYTES: usize = 4 * 1024 * 1024;
/// Bytes that one such device takes, with the overhead of the cache.
pub const NOTED_DEVICE_BYTES: usize = 64;
/// Milliseconds for which a login token is good: the time in which somebody carries it from one device to another (Matrix
/// specification, Client-Server API, `POST /login/get_token`).
pub const LOGIN_TOKEN_MS: u64 = 2 * 60 * 1_000;
/// Seconds for which an OpenID token is good: a third party asks at once.
pub const OPENID_TOKEN_S: u64 = 60 * 60;
