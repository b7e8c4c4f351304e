//! `POST /_matrix/client/v3/rooms/{roomId}/leave`
//!
//! Section: <https://spec.matrix.org/v1.16/client-server-api/#post_matrixclientv3roomsroomidleave>

use ruma::api::client::membership::leave_room::v3::{Request, Response};
use wardstead_rooms::Membership;

use crate::{ApiError, ruma_io::Ruma};

/// Leaves a room, or refuses an invitation to it. Who leaves types there no more, not even when they come back at once.
pub(super) async fn leave(Ruma { state, request, caller, .. }: Ruma<Request>) -> Result<Response, ApiError> {
    let typing = state.syncer.typing();
    let room = if typing.is_quiet() { None } else { state.rooms.access(&caller, &request.room_id).await.ok() };
    state.rooms.set_membership(&caller, &request.room_id, &caller.user_id, Membership::Leave, request.reason).await?;
    if let Some(access) = room {
        typing.set(&caller, access.room.short, 0).await;
    }
    Ok(Response::new())
}
