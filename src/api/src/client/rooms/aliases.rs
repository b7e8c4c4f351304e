//! `GET /_matrix/client/v3/rooms/{roomId}/aliases`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidaliases>

use ruma::api::client::room::aliases::v3::{Request, Response};

use crate::{ApiError, ruma_io::Ruma};

pub(super) async fn aliases(Ruma { state, request, caller, .. }: Ruma<Request>) -> Result<Response, ApiError> {
    Ok(Response::new(state.rooms.aliases(&caller, &request.room_id).await?))
}
