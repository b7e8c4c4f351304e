//! What tables are called, for messages: a damaged row is named so that whoever reads it knows what it was. Parts keep their
//! tables to themselves, so this is a list; a test over the tree holds it to what they declare.

use wardstead_engine::{TableId, system};

/// Numbers, which are unique across access patterns, and names.
const NAMES: &[(u16, &str)] = &[
    (0x010, "short_id_counter"),
    (0x011, "installation"),
    (0x012, "nodes"),
    (0x013, "work_partitions"),
    (0x020, "user_names"),
    (0x021, "users"),
    (0x022, "devices"),
    (0x023, "access_tokens"),
    (0x024, "device_tokens"),
    (0x025, "session_floor"),
    (0x026, "account_data"),
    (0x027, "account_data_log"),
    (0x02c, "refresh_tokens"),
    (0x02e, "void_devices"),
    (0x036, "filters"),
    (0x037, "account_data_tombstones"),
    (0x040, "room_ids"),
    (0x041, "room_names"),
    (0x042, "room_heads"),
    (0x043, "events"),
    (0x044, "timeline"),
    (0x045, "arrivals"),
    (0x046, "state_at"),
    (0x047, "snapshots"),
    (0x048, "state_bases"),
    (0x049, "state_chunks"),
    (0x04a, "state_keys"),
    (0x04b, "state_events"),
    (0x04c, "members"),
    (0x04d, "user_rooms"),
    (0x04e, "member_log"),
    (0x04f, "transactions"),
    (0x050, "signing_keys"),
    (0x051, "signing_keyring"),
    (0x054, "gaps"),
    (0x055, "missing_events"),
    (0x058, "relations"),
    (0x059, "threads"),
    (0x05a, "redacted_events"),
    (0x05b, "awaited_events"),
    (0x05c, "reports"),
    (0x05d, "receipts"),
    (0x05e, "receipt_log"),
    (0x05f, "receipt_cells"),
    (0x060, "aliases"),
    (0x061, "room_aliases"),
    (0x064, "moments"),
    (0x080, "registration_tokens"),
    (0x081, "first_registration_token"),
    (0x082, "uia_session_key"),
    (0x083, "uia_sessions"),
    (0x08c, "failed_logins"),
    (0x08d, "known_places"),
    (0x0c0, "published_rooms"),
];

/// The name of a table; `None` for one of another version.
pub(crate) fn name(id: TableId) -> Option<&'static str> {
    match id {
        system::JOURNAL => Some("journal"),
        system::SYSTEM => Some("system"),
        system::LEASES => Some("leases"),
        _ => NAMES.iter().find(|(number, _)| *number == id.stored() & 0xfff).map(|(_, name)| *name),
    }
}
