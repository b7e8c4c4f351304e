//! One room in a few words (Matrix specification, Client-Server API, GET `room_summary`).

use ruma::{RoomId, RoomOrAliasId};
use serde::Serialize;
use wardstead_accounts::Session;
use wardstead_rooms::{Looker, Membership};

use crate::{Directory, DirectoryError, RoomEntry};

/// A room, and what the user is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// The room.
    #[serde(flatten)]
    pub room: RoomEntry,
    /// What the user is in it; `None` where nobody knows who asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub membership: Option<&'static str>,
}

impl Directory {
    /// The summary of a room, for a user or for somebody who is not signed in.
    ///
    /// # Errors
    /// `NotFound` for rooms and aliases that do not exist, and for rooms that are not shown.
    pub async fn summary(&self, by: Option<&Session>, room: &RoomOrAliasId) -> Result<Summary, DirectoryError> {
        const UNKNOWN: DirectoryError =
            DirectoryError::NotFound("There is no such room on this server, or it is not shown to you.");
        let rooms = &self.inner.rooms;
        let room_id = match <&ruma::RoomAliasId>::try_from(room) {
            Ok(alias) => rooms.resolve_alias(alias).await?.ok_or(UNKNOWN)?,
            Err(room_id) => RoomId::parse(room_id.as_str()).map_err(|_| UNKNOWN)?,
        };
        let room = rooms.room(&room_id).await?.ok_or(UNKNOWN)?;
        let looker = by.map_or(Looker::Anybody, Looker::User);
        let glimpse = rooms.glimpse(looker, &[room]).await?.pop().flatten().ok_or(UNKNOWN)?;
        let membership = by.map(|_| glimpse.membership.unwrap_or(Membership::Leave).name());
        Ok(Summary { room: RoomEntry::summary(glimpse.overview), membership })
    }
}
