//! `GET /_matrix/client/v3/user/{userId}/rooms/{roomId}/tags`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3useruseridroomsroomidtags>

use ruma::api::client::tag::get_tags::v3::Request;
use serde::Serialize;
use serde_json::{Map, Value};

use super::named::check_own;
use crate::{
    ApiError,
    ruma_io::{JsonBytes, Ruma},
};

#[derive(Serialize)]
struct Response {
    tags: Map<String, Value>,
}

/// Of a room that concerns the user: one in which they are or were anything.
pub(super) async fn tags(Ruma { state, request, caller, .. }: Ruma<Request>) -> Result<JsonBytes, ApiError> {
    check_own(&request.user_id, &caller)?;
    let room = state.rooms.concerning(&caller, &request.room_id).await?;
    let tags = state.accounts.tags(caller.user, room.short).await?;
    JsonBytes::of(&Response { tags })
}
