//! `GET /_matrix/client/v3/rooms/{roomId}/joined_members`
//!
//! Section: <https://spec.matrix.org/v1.16/client-server-api/#get_matrixclientv3roomsroomidjoined_members>

use ruma::{
    OwnedMxcUri, OwnedUserId,
    api::client::membership::joined_members::v3::{Request, Response, RoomMember},
};
use serde::Deserialize;
use wardstead_rooms::{Membership, StoredEvent};

use crate::{ApiError, ruma_io::Ruma};

/// For members only.
pub(super) async fn joined_members(Ruma { state, request, caller, .. }: Ruma<Request>) -> Result<Response, ApiError> {
    let access = state.rooms.access(&caller, &request.room_id).await?;
    if access.membership != Some(Membership::Join) {
        return Err(ApiError::forbidden("You are not in this room."));
    }
    let events = state.rooms.members(&caller, &request.room_id).await?;
    Ok(Response::new(events.iter().filter_map(|event| joined(event)).collect()))
}

/// Whoever is joined, with the name and picture that the member event shows; what cannot be read of those is left out.
fn joined(event: &StoredEvent) -> Option<(OwnedUserId, RoomMember)> {
    #[derive(Deserialize)]
    struct Content {
        membership: String,
        displayname: Option<serde_json::Value>,
        avatar_url: Option<serde_json::Value>,
    }
    let content: Content = serde_json::from_str(event.content.get()).ok()?;
    let user_id = OwnedUserId::try_from(event.state_key.as_deref()?).ok()?;
    let mut member = RoomMember::new();
    member.display_name = content.displayname.as_ref().and_then(serde_json::Value::as_str).map(str::to_owned);
    member.avatar_url = content.avatar_url.as_ref().and_then(serde_json::Value::as_str).map(OwnedMxcUri::from);
    (content.membership == Membership::Join.name()).then_some((user_id, member))
}
