//! `POST /_matrix/client/v3/rooms/{roomId}/join`
//!
//! Section: <https://spec.matrix.org/v1.16/client-server-api/#post_matrixclientv3roomsroomidjoin>

use ruma::api::client::membership::join_room_by_id::v3::{Request, Response};
use wardstead_rooms::Membership;

use crate::{ApiError, ruma_io::Ruma};

pub(super) async fn join(Ruma { state, request, caller, .. }: Ruma<Request>) -> Result<Response, ApiError> {
    state.rooms.set_membership(&caller, &request.room_id, &caller.user_id, Membership::Join, request.reason).await?;
    Ok(Response::new(request.room_id))
}
