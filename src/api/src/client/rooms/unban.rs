//! `POST /_matrix/client/v3/rooms/{roomId}/unban`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidunban>

use ruma::api::client::membership::unban_user::v3::{Request, Response};

use crate::{ApiError, ruma_io::Ruma};

pub(super) async fn unban(Ruma { state, request, caller, .. }: Ruma<Request>) -> Result<Response, ApiError> {
    state.rooms.unban(&caller, &request.room_id, &request.user_id, request.reason).await?;
    Ok(Response::new())
}
