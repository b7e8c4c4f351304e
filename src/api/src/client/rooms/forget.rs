//! `POST /_matrix/client/v3/rooms/{roomId}/forget`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidforget>

use ruma::api::client::membership::forget_room::v3::{Request, Response};

use crate::{ApiError, ruma_io::Ruma};

pub(super) async fn forget(Ruma { state, request, caller, .. }: Ruma<Request>) -> Result<Response, ApiError> {
    state.rooms.forget(&caller, &request.room_id).await?;
    Ok(Response::new())
}
