//! `POST /_matrix/client/v3/rooms/{roomId}/kick`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidkick>

use ruma::api::client::membership::kick_user::v3::{Request, Response};

use crate::{ApiError, ruma_io::Ruma};

pub(super) async fn kick(Ruma { state, request, caller, .. }: Ruma<Request>) -> Result<Response, ApiError> {
    state.rooms.kick(&caller, &request.room_id, &request.user_id, request.reason).await?;
    Ok(Response::new())
}
