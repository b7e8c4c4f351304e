//! `[rooms]`

use std::{fmt, str::FromStr};

use ruma::RoomVersionId;
use serde::Deserialize;
use wardstead_rooms::ROOM_VERSIONS;

/// `[rooms]`
#[derive(Clone, Debug, confique::Config)]
#[config(partial_attr(derive(Debug, Clone)))]
#[config(partial_attr(serde(deny_unknown_fields)))]
pub struct Rooms {
    /// Room version of a room for which its creator asks for none: "6" to "12". Rooms that exist keep theirs. Clients read it
    /// from "/capabilities".
    #[config(default = "12")]
    pub default_version: DefaultVersion,
}

/// A room version that this server offers to clients.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct DefaultVersion(RoomVersionId);

impl DefaultVersion {
    /// The version.
    #[must_use]
    pub fn id(&self) -> &RoomVersionId {
        &self.0
    }
}

impl Default for DefaultVersion {
    fn default() -> Self {
        Self(RoomVersionId::V12)
    }
}

impl FromStr for DefaultVersion {
    type Err = String;

    fn from_str(version: &str) -> Result<Self, String> {
        let offered = ROOM_VERSIONS.iter().find(|offered| offered.as_str() == version);
        offered.cloned().map(Self).ok_or_else(|| {
            let offered: Vec<_> = ROOM_VERSIONS.iter().map(RoomVersionId::as_str).collect();
            format!("{version:?} is no room version that this server offers: {}", offered.join(", "))
        })
    }
}

impl TryFrom<String> for DefaultVersion {
    type Error = String;

    fn try_from(version: String) -> Result<Self, String> {
        version.parse()
    }
}

impl fmt::Display for DefaultVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}
