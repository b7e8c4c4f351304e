//! `GET /_matrix/client/v3/rooms/{roomId}/event/{eventId}`
//!
//! Section: <https://spec.matrix.org/v1.16/client-server-api/#get_matrixclientv3roomsroomideventeventid>

use ruma::api::client::room::get_room_event::v3::{Request, Response};
use wardstead_rooms::RoomError;

use super::shown::show;
use crate::{ApiError, ruma_io::Ruma};

/// Who may not see the event is told that it was not found, as the specification wants it here.
pub(super) async fn event(Ruma { state, request, caller, .. }: Ruma<Request>) -> Result<Response, ApiError> {
    match state.rooms.event(&caller, &request.room_id, &request.event_id).await {
        Ok((event, membership)) => Ok(Response::new(show(&state, &caller, &event, Some(membership))?)),
        Err(RoomError::Forbidden(_)) => Err(ApiError::not_found("There is no such event, or you may not see it.")),
        Err(error) => Err(error.into()),
    }
}
