//! `GET /_matrix/client/v3/joined_rooms`
//!
//! Section: <https://spec.matrix.org/v1.16/client-server-api/#get_matrixclientv3joined_rooms>

use ruma::api::client::membership::joined_rooms::v3::{Request, Response};

use crate::{ApiError, ruma_io::Ruma};

pub(super) async fn joined_rooms(Ruma { state, caller, .. }: Ruma<Request>) -> Result<Response, ApiError> {
    Ok(Response::new(state.rooms.joined_rooms(&caller).await?))
}
