//! `GET /_matrix/client/v3/directory/list/room/{roomId}`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3directorylistroomroomid>

use ruma::api::client::{
    directory::get_room_visibility::v3::{Request, Response},
    room::Visibility,
};

use crate::{ApiError, ruma_io::Ruma};

/// Needs no token, as the specification has it: a room id is not to be guessed.
pub(super) async fn listed_get(Ruma { state, request, .. }: Ruma<Request>) -> Result<Response, ApiError> {
    let published = state.directory.is_published(&request.room_id).await?;
    Ok(Response::new(if published { Visibility::Public } else { Visibility::Private }))
}
