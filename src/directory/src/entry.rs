//! A room as the directory shows it.

use serde::Serialize;
use wardstead_rooms::Overview;

/// A room in the list of published rooms (Matrix specification, Client-Server API, `PublishedRoomsChunk`); with the fields that only
/// summaries have (`RoomSummary`) where it was made by [`Self::summary`].
///
/// Not ruma's type: that leaves `join_rule` out where it is `public`, which not every client takes for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RoomEntry {
    /// Room id.
    pub room_id: String,
    /// Users in the room.
    pub num_joined_members: u32,
    /// Name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Topic as plain text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// Picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avatar_url: Option<String>,
    /// Canonical alias.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canonical_alias: Option<String>,
    /// Join rule.
    pub join_rule: String,
    /// Type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room_type: Option<String>,
    /// Whether everybody may read it.
    pub world_readable: bool,
    /// Whether guests may join.
    pub guest_can_join: bool,
    /// In a summary of a restricted room: the rooms whose members may join.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed_room_ids: Option<Vec<String>>,
    /// In a summary: algorithm of encryption.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encryption: Option<String>,
    /// In a summary: the room's version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room_version: Option<String>,
}

impl RoomEntry {
    /// For the list of published rooms.
    pub(crate) fn listed(overview: Overview) -> Self {
        Self {
            room_id: overview.room.room_id.as_str().to_owned(),
            num_joined_members: overview.joined,
            name: overview.name,
            topic: overview.topic,
            avatar_url: overview.avatar_url,
            canonical_alias: overview.canonical_alias,
            join_rule: overview.join_rule.name,
            room_type: overview.room_type,
            world_readable: overview.world_readable,
            guest_can_join: overview.guest_can_join,
            allowed_room_ids: None,
            encryption: None,
            room_version: None,
        }
    }

    /// For a summary, and a hierarchy.
    pub(crate) fn summary(overview: Overview) -> Self {
        let allowed = overview
            .join_rule
            .is_restricted()
            .then(|| overview.join_rule.allowed.iter().map(|room_id| room_id.as_str().to_owned()).collect());
        let encryption = overview.encryption.clone();
        let room_version = Some(overview.room.version.as_str().to_owned());
        Self { allowed_room_ids: allowed, encryption, room_version, ..Self::listed(overview) }
    }
}
