//! `POST /_matrix/client/v3/rooms/{roomId}/upgrade`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidupgrade>

use ruma::api::client::room::upgrade_room::v3::{Request, Response};

use crate::{ApiError, ruma_io::Ruma};

pub(super) async fn upgrade(Ruma { state, request, caller, .. }: Ruma<Request>) -> Result<Response, ApiError> {
    let Request { room_id, new_version, additional_creators, .. } = request;
    let new_id = state.rooms.upgrade(&caller, &room_id, &new_version, &additional_creators).await?;
    // Done again where the request is repeated: an upgrade that ended before this finds its room.
    state.directory.replace(&room_id, &new_id).await?;
    Ok(Response::new(new_id))
}
