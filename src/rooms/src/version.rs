//! Room versions (Matrix specification, Room Versions).

use ruma::{RoomVersionId, room_version_rules::RoomVersionRules};

/// Versions that this server advertises, oldest first: those with strict canonical JSON.
pub const ROOM_VERSIONS: [RoomVersionId; 7] = [
    RoomVersionId::V6,
    RoomVersionId::V7,
    RoomVersionId::V8,
    RoomVersionId::V9,
    RoomVersionId::V10,
    RoomVersionId::V11,
    RoomVersionId::V12,
];

/// Versions in which this server makes rooms, and takes part in them, when they are asked for by name. Their JSON is not
/// strict, so two servers may disagree on an event; nobody should come to them by default.
pub const OLD_ROOM_VERSIONS: [RoomVersionId; 4] =
    [RoomVersionId::V2, RoomVersionId::V3, RoomVersionId::V4, RoomVersionId::V5];

/// The rules of `version`; `None` when this server does not take part in rooms of it: version 1, whose state resolution is
/// unsafe, and those that it does not know.
#[must_use]
pub fn rules(version: &RoomVersionId) -> Option<RoomVersionRules> {
    let usable = ROOM_VERSIONS.contains(version) || OLD_ROOM_VERSIONS.contains(version);
    if usable { version.rules() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_version_has_rules_and_the_unsafe_ones_have_none() {
        assert!(ROOM_VERSIONS.iter().chain(&OLD_ROOM_VERSIONS).all(|version| rules(version).is_some()));
        for version in ["1", "13", "org.example.v1"] {
            assert!(rules(&RoomVersionId::try_from(version).unwrap()).is_none(), "{version}");
        }
    }
}
