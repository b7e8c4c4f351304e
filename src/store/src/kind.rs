//! Kinds of journal entries. The kind says whether the scope is a room's short id (0x01…) or a user's (0x02…).

/// A live event in a room's timeline. Key: empty.
pub const ROOM_EVENT: u16 = 0x0101;
/// A change of a room's current state without a live event, by state resolution. Key: empty.
pub const ROOM_STATE: u16 = 0x0102;
/// A room was published, or is not any more. Key: empty.
pub const ROOM_PUBLISHED: u16 = 0x0110;
/// A room alias was set, moved or removed; no sync tells it. Scope: the room. Key: the alias.
pub const ROOM_ALIAS: u16 = 0x0301;
/// A receipt that is shown to the members of the room moved. Scope: the room. Key: the short id of its user, eight bytes
/// big-endian.
pub const RECEIPT: u16 = 0x0103;
/// A local user's membership changed. Scope: the user. Key: the room's short id, eight bytes big-endian, then one byte: 1 where the
/// user is in the room now, 0 where not.
pub const MEMBERSHIP: u16 = 0x0201;
/// A local user's account, devices or tokens changed. Key: empty.
pub const ACCOUNT: u16 = 0x0202;
/// A receipt that is shown to its own user alone moved. Scope: the user. Key: the room's short id, eight bytes big-endian.
pub const PRIVATE_RECEIPT: u16 = 0x0203;
/// Messages wait for devices of a local user. Scope: the user. Key: empty.
pub const TO_DEVICE: u16 = 0x0205;
/// A local user's devices or keys changed. Scope: the user, whom whoever shares a room with them has to ask about again. Key: empty.
pub const DEVICE_LIST: u16 = 0x0206;
/// One-time or fallback keys of a local user's device changed: uploaded, claimed, or gone. Scope: the user. Key: the device's short id,
/// eight bytes big-endian.
pub const KEY_COUNTS: u16 = 0x0207;
/// A local user's account data changed. Scope: the user. Key: the room's short id, eight bytes big-endian; 0: that of no room.
pub const ACCOUNT_DATA: u16 = 0x0204;
/// A local user's push rules changed. Key: empty.
pub const PUSH_RULES: u16 = 0x0210;
/// A local user's unread counts of a room are counted otherwise, because push rules changed. Key: the room's short id, eight bytes
/// big-endian.
pub const RECOUNTED: u16 = 0x0211;
/// A local user signed the keys of another with their user-signing key, which nobody else is told. Scope: who signed. Key: empty.
pub const SIGNED: u16 = 0x0208;

/// The stored form of an event changed: it was redacted, or got a first relation of some kind. Scope: the room. Key: a byte that is 1
/// when other events show parts of it, then the event's id. No sync reads it: nodes forget what they have of the event in memory.
pub const EVENT_CHANGED: u16 = 0x0302;

/// A field of a local user's profile changed; no sync reads it. Scope: the user. Key: the field's name; empty: the profile was emptied.
pub const PROFILE: u16 = 0x0303;

/// A local user set a pusher that was not there; no sync reads it. Scope: the user. Key: empty.
pub const PUSHER_SET: u16 = 0x0304;

/// Whose scope an entry is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScopeOf {
    /// A room.
    Room,
    /// A room, of which only receipts moved.
    Receipts,
    /// A user.
    User,
}

/// Whose scope entries of `kind` are in; `None` for kinds that no sync reads.
#[must_use]
pub fn scope_of(kind: u16) -> Option<ScopeOf> {
    match kind >> 8 {
        _ if kind == RECEIPT => Some(ScopeOf::Receipts),
        1 => Some(ScopeOf::Room),
        2 => Some(ScopeOf::User),
        _ => None,
    }
}
