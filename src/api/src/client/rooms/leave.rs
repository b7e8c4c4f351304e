//! `POST /_matrix/client/v3/rooms/{roomId}/leave`
//!
//! Section: <https://spec.matrix.org/v1.16/client-server-api/#post_matrixclientv3roomsroomidleave>

use ruma::api::client::membership::leave_room::v3::{Request, Response};
use wardstead_rooms::Membership;

use crate::{ApiError, ruma_io::Ruma};

/// Leaves a room, or refuses an invitation to it.
pub(super) async fn leave(Ruma { state, request, caller, .. }: Ruma<Request>) -> Result<Response, ApiError> {
    state.rooms.set_membership(&caller, &request.room_id, &caller.user_id, Membership::Leave, request.reason).await?;
    Ok(Response::new())
}
