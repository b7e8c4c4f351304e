//! `GET /_matrix/client/v3/rooms/{roomId}/joined_members`
//!
//! Section: <https://spec.matrix.org/v1.16/client-server-api/#get_matrixclientv3roomsroomidjoined_members>

use std::collections::BTreeMap;

use ruma::api::client::membership::joined_members::v3::Request;
use serde::{Deserialize, Serialize};
use wardstead_rooms::{Membership, StoredEvent};

use crate::{
    ApiError,
    ruma_io::{JsonBytes, Ruma},
};

#[derive(Serialize)]
struct Response<'a> {
    joined: BTreeMap<&'a str, Member>,
}

/// As ruma's, but that what is not known is `null`: clients look for the keys.
#[derive(Serialize)]
struct Member {
    display_name: Option<String>,
    avatar_url: Option<String>,
}

/// For members only.
pub(super) async fn joined_members(Ruma { state, request, caller, .. }: Ruma<Request>) -> Result<JsonBytes, ApiError> {
    let access = state.rooms.access(&caller, &request.room_id).await?;
    if access.membership != Some(Membership::Join) {
        return Err(ApiError::forbidden("You are not in this room."));
    }
    let events = state.rooms.members(&caller, &request.room_id).await?;
    let response = Response { joined: events.iter().filter_map(|event| joined(event)).collect() };
    Ok(JsonBytes(serde_json::to_vec(&response).map_err(ApiError::internal)?.into()))
}

/// Whoever is joined, with the name and picture that the member event shows; what cannot be read of those is left out.
fn joined(event: &StoredEvent) -> Option<(&str, Member)> {
    #[derive(Deserialize)]
    struct Content {
        membership: String,
        displayname: Option<serde_json::Value>,
        avatar_url: Option<serde_json::Value>,
    }
    let content: Content = serde_json::from_str(event.content.get()).ok()?;
    let words =
        |value: Option<serde_json::Value>| value.as_ref().and_then(serde_json::Value::as_str).map(str::to_owned);
    let member = Member { display_name: words(content.displayname), avatar_url: words(content.avatar_url) };
    (content.membership == Membership::Join.name()).then_some((event.state_key.as_deref()?, member))
}
