//! Room versions (Matrix specification, Room Versions).

use ruma::{RoomVersionId, room_version_rules::RoomVersionRules};

/// Versions in which this server makes rooms and takes part in them, oldest first. Older ones have no strict canonical JSON.
pub const ROOM_VERSIONS: [RoomVersionId; 7] = [
    RoomVersionId::V6,
    RoomVersionId::V7,
    RoomVersionId::V8,
    RoomVersionId::V9,
    RoomVersionId::V10,
    RoomVersionId::V11,
    RoomVersionId::V12,
];

/// The rules of `version`; `None` when this server does not know it.
#[must_use]
pub fn rules(version: &RoomVersionId) -> Option<RoomVersionRules> {
    if ROOM_VERSIONS.contains(version) { version.rules() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_version_has_rules_and_the_unsafe_ones_have_none() {
        assert!(ROOM_VERSIONS.iter().all(|version| rules(version).is_some()));
        for version in ["1", "5", "13", "org.example.v1"] {
            assert!(rules(&RoomVersionId::try_from(version).unwrap()).is_none(), "{version}");
        }
    }
}
