//! `GET /_matrix/client/v3/rooms/{roomId}/state`
//!
//! Section: <https://spec.matrix.org/v1.16/client-server-api/#get_matrixclientv3roomsroomidstate>

use ruma::api::client::state::get_state_events::v3::{Request, Response};

use super::shown::show_all;
use crate::{ApiError, ruma_io::Ruma};

pub(super) async fn state(Ruma { state, request, caller, .. }: Ruma<Request>) -> Result<Response, ApiError> {
    let events = state.rooms.state(&caller, &request.room_id).await?;
    Ok(Response::new(show_all(&state, &caller, &events)?))
}
