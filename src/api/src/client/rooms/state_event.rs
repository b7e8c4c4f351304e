//! `GET /_matrix/client/v3/rooms/{roomId}/state/{eventType}/{stateKey}`
//!
//! Section: <https://spec.matrix.org/v1.16/client-server-api/#get_matrixclientv3roomsroomidstateeventtypestatekey>

use ruma::{
    api::client::state::get_state_event_for_key::v3::{Request, Response, StateEventFormat},
    events::AnyStateEvent,
};

use super::shown::show;
use crate::{ApiError, ruma_io::Ruma};

pub(super) async fn state_event(Ruma { state, request, caller, .. }: Ruma<Request>) -> Result<Response, ApiError> {
    if !matches!(request.format, StateEventFormat::Content | StateEventFormat::Event) {
        return Err(ApiError::invalid_param("The format is either content or event."));
    }
    let event_type = request.event_type.to_string();
    let event = state.rooms.state_event(&caller, &request.room_id, &event_type, &request.state_key).await?;
    match request.format {
        StateEventFormat::Event => Ok(show::<AnyStateEvent>(&state, &caller, &event, None)?.into()),
        _ => Ok(Response::new(event.content.clone())),
    }
}
