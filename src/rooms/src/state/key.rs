//! Short ids of state keys.
//!
//! Three ranges, so that a snapshot's order puts all members last and a reader who does not want them stops before:
//! well-known types with an empty state key have fixed numbers; other keys have a number from the installation's short ids
//! (a row maps the name to it); a local member's key is the user's short id, and needs no row.

/// Ids of keys that have a row.
pub(crate) const NAMED: u64 = 1 << 62;
/// Ids of members' keys.
pub(crate) const MEMBERS: u64 = 1 << 63;

pub(crate) const CREATE: u64 = 1;
pub(crate) const POWER_LEVELS: u64 = 2;
pub(crate) const JOIN_RULES: u64 = 3;
pub(crate) const HISTORY_VISIBILITY: u64 = 4;
pub(crate) const GUEST_ACCESS: u64 = 5;
pub(crate) const NAME: u64 = 6;
pub(crate) const TOPIC: u64 = 7;
pub(crate) const AVATAR: u64 = 8;
pub(crate) const CANONICAL_ALIAS: u64 = 9;
pub(crate) const ENCRYPTION: u64 = 10;
pub(crate) const TOMBSTONE: u64 = 11;

/// Types with an empty state key, by number. Numbers are stored: add at the end, never change one.
const WELL_KNOWN: [(&str, u64); 15] = [
    ("m.room.create", CREATE),
    ("m.room.power_levels", POWER_LEVELS),
    ("m.room.join_rules", JOIN_RULES),
    ("m.room.history_visibility", HISTORY_VISIBILITY),
    ("m.room.guest_access", GUEST_ACCESS),
    ("m.room.name", NAME),
    ("m.room.topic", TOPIC),
    ("m.room.avatar", AVATAR),
    ("m.room.canonical_alias", CANONICAL_ALIAS),
    ("m.room.encryption", ENCRYPTION),
    ("m.room.tombstone", TOMBSTONE),
    ("m.room.server_acl", 12),
    ("m.room.pinned_events", 13),
    ("org.wardstead.org", 14),
    ("m.room.policy", 15),
];

/// Keys of the events that an invited user is shown (Client-Server API, Stripped state).
pub(crate) const STRIPPED: [u64; 7] = [CREATE, JOIN_RULES, NAME, 7, 8, CANONICAL_ALIAS, 10];

pub(crate) fn well_known(event_type: &str, state_key: &str) -> Option<u64> {
    if !state_key.is_empty() {
        return None;
    }
    WELL_KNOWN.iter().find(|(name, _)| *name == event_type).map(|(_, id)| *id)
}

/// The key of a user's membership.
pub(crate) const fn member(user: u64) -> u64 {
    MEMBERS | user
}

/// The key of the membership of a user who has no account here, with the row's number.
pub(crate) const fn foreign_member(id: u64) -> u64 {
    MEMBERS | NAMED | id
}

/// The key with the row's number.
pub(crate) const fn named(id: u64) -> u64 {
    NAMED | id
}

/// The local user whose membership the key names.
pub(crate) const fn member_of(key: u64) -> Option<u64> {
    if is_member(key) && key & NAMED == 0 { Some(key & !MEMBERS) } else { None }
}

/// Whether the key names somebody's membership.
pub(crate) const fn is_member(key: u64) -> bool {
    key & MEMBERS != 0
}

/// Whether a number in the place of a user's short id, in a row by room, is that of somebody who has no account here.
pub(crate) const fn is_foreign(user: u64) -> bool {
    user & NAMED != 0
}
