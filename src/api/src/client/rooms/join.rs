//! `POST /_matrix/client/v3/rooms/{roomId}/join`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidjoin>

use ruma::api::client::membership::join_room_by_id::v3::{Request, Response};

use crate::{ApiError, client::join::Joining, ruma_io::Ruma};

pub(super) async fn join(Ruma { state, request, caller, .. }: Ruma<Joining<Request>>) -> Result<Response, ApiError> {
    state.rooms.join(&caller, &request.known.room_id, &request.body).await?;
    Ok(Response::new(request.known.room_id))
}
