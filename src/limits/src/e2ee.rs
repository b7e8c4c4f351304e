//! Bounds of device keys, key backups and messages to devices.

/// Bytes of what a node remembers of how many keys devices have: of 50,000, more than sync at one node.
pub const COUNTED_DEVICES_BYTES: usize = 32 * 1024 * 1024;
/// Bytes that such an entry takes with two algorithms and the overhead of the cache.
pub const COUNTED_DEVICE_BYTES: usize = 640;
/// Bytes of a device's keys, or of a cross-signing key, with their signatures. Today's have below 1 KiB; keys that withstand a quantum computer
/// have some KiB.
pub const KEY_OBJECT_BYTES: usize = 16 * 1024;
/// One-time keys in one upload. Clients make 50 or 100.
pub const ONE_TIME_KEYS_PER_UPLOAD: usize = 500;
/// Bytes of a one-time or fallback key with its signature. 500 of them, with their ids, fit into one batch.
pub const ONE_TIME_KEY_BYTES: usize = 1_536;
/// Bytes of the id of a one-time or fallback key.
pub const KEY_ID_BYTES: usize = 128;
/// Bytes of the name of an algorithm.
pub const ALGORITHM_BYTES: usize = 64;
/// One-time keys that wait for one device: what a client uploads when it counts wrongly, a few times over.
pub const ONE_TIME_KEYS_PER_DEVICE: u64 = 2_000;
/// Fallback keys of one device, each of another algorithm. There is one today.
pub const FALLBACK_KEYS_PER_DEVICE: usize = 8;
/// Keys verified before others get their turn: some 0.5 ms.
pub const KEYS_VERIFIED_AT_ONCE: usize = 8;
/// Milliseconds for which the id of a claimed one-time key is remembered: 30 days. An upload that is repeated later would have the key claimed
/// twice; clients repeat within seconds.
pub const CLAIMED_ID_MS: u64 = 30 * 24 * 60 * 60 * 1_000;
/// Ids that one upload looks at to forget old ones: more than are claimed between two uploads.
pub const CLAIMED_IDS_LOOKED_AT: usize = 256;
/// Users in one query. Clients ask for 250.
pub const QUERY_USERS: usize = 5_000;
/// Devices named in one query or claim.
pub const QUERY_DEVICES: usize = 20_000;
/// Bytes of the keys in one answer: 10,000 devices.
pub const QUERY_BYTES: usize = 16 * 1024 * 1024;
/// Reads of one query or claim under way at a time.
pub const KEY_READ_REQUESTS: usize = 8;
/// Devices whose keys are claimed in one commit: three rows and a journal entry each.
pub const CLAIM_DEVICES_PER_BATCH: usize = 100;
/// One-time keys that a claim looks at beyond those that others on this node are just claiming.
pub const CLAIM_KEYS_AHEAD: usize = 4;
/// Times that a claim tries again when another node was quicker. Each time somebody got a key, so this many in a row happen to nobody.
pub const CLAIM_TRIES: usize = 256;
/// Keys in one upload of signatures.
pub const SIGNED_KEYS_PER_UPLOAD: usize = 500;
/// Signatures over one object in an upload: each is a verification.
pub const SIGNATURE_ENTRIES: usize = 100;
/// Signatures of devices that are kept over one master key.
pub const MASTER_SIGNATURE_ENTRIES: usize = 500;
/// Key backups of one user. Clients make one and remove the one before; each holds keys that only it holds.
pub const BACKUP_ROWS_PER_USER: usize = 100;
/// Keys in one backup: five hundred new ones each day of a working life of five years.
pub const BACKUP_KEYS: u64 = 1_000_000;
/// Bytes of the name of a backup's algorithm.
pub const BACKUP_ALGORITHM_BYTES: usize = 255;
/// Bytes of what a backup says about its encryption: a public key and the signatures of some hundred devices.
pub const BACKUP_AUTH_DATA_BYTES: usize = 64 * 1024;
/// Bytes of the id of a session in a backup, as of an event's id.
pub const BACKUP_SESSION_ID_BYTES: usize = 255;
/// Bytes of one key in a backup. An encrypted session has about one thousand.
pub const BACKUP_SESSION_DATA_BYTES: usize = 16 * 1024;
/// Keys that one commit adds to a backup. Clients upload up to two hundred at once; with what they take the place of they are read
/// into memory.
pub const BACKUP_BATCH_KEYS: usize = 512;
/// Bytes of the keys that one commit adds to a backup: half a group, so that others find room in it.
pub const BACKUP_BATCH_BYTES: usize = 512 * 1024;
/// Keys that one commit of the work behind removes, but for those of one room, which go together: what a database deletes while others
/// hardly wait.
pub const BACKUP_REMOVED_KEYS: u64 = 10_000;
/// Rooms of a removed backup that are read at once.
pub const BACKUP_PAGE_ROOMS: usize = 1_000;
/// Keys of a backup that are read at once while it is sent.
pub const BACKUP_PAGE_KEYS: usize = 1_000;
/// Bytes of the keys of a backup that are read at once while it is sent: a request holds two such pages, whatever the size of the backup.
pub const BACKUP_PAGE_BYTES: usize = 1024 * 1024;
/// Times that a change of a backup is built again when another node was quicker.
pub const BACKUP_TRIES: usize = 16;
/// Locks behind which the changes of one user's backups wait for each other on a node.
pub const BACKUP_SHARDS: usize = 64;
/// Bytes of the content of one message to a device: as much as an event. The largest that clients send are signed key requests and secrets,
/// well below.
pub const TO_DEVICE_BYTES: usize = 64 * 1024;
/// Bytes of the type of a message to a device, as of an event's (Client-Server API, Size limits).
pub const TO_DEVICE_TYPE_BYTES: usize = 255;
/// Bytes of a transaction id of such a request.
pub const TO_DEVICE_TRANSACTION_BYTES: usize = 255;
/// Users to whom one request sends: each is one journal entry of its batch. Clients send to some dozens or hundreds of devices at a time.
pub const TO_DEVICE_USERS: usize = 1_000;
/// Devices that one request names: each is one write of its batch.
pub const TO_DEVICE_NAMED_DEVICES: usize = 4_000;
/// Messages that may wait for a device that never fetches them; beyond, the oldest go. A device in a busy forum gets some hundreds a day.
pub const INBOX_MESSAGES: u64 = 100_000;
/// Bytes of such messages.
pub const INBOX_BYTES: u64 = 64 * 1024 * 1024;
/// One message in so many, by chance, has what waits for its device counted.
pub const INBOX_UNCOUNTED_MESSAGES: u64 = 32;
/// Messages that are counted, or removed, at once; of the largest a page has 68. Well above the former, so that counting does not fall behind.
pub const INBOX_COUNTED_MESSAGES: usize = 1_000;
/// Bytes of what a node remembers of which devices have nothing waiting.
pub const EMPTY_INBOXES_BYTES: usize = 4 * 1024 * 1024;
/// Bytes that such an entry takes with the overhead of the cache.
pub const EMPTY_INBOX_BYTES: usize = 80;
/// Bytes of a dehydrated device: the private halves of some hundred keys, encrypted.
pub const DEHYDRATED_DATA_BYTES: usize = 64 * 1024;
