//! `PUT /_matrix/client/v3/rooms/{roomId}/state/{eventType}/{stateKey}`
//!
//! Section: <https://spec.matrix.org/v1.16/client-server-api/#put_matrixclientv3roomsroomidstateeventtypestatekey>

use ruma::api::client::state::send_state_event::v3::{Request, Response};
use wardstead_rooms::Draft;

use crate::{ApiError, ruma_io::Ruma};

/// `ts` is for application services only, and ignored.
pub(super) async fn state_event_set(Ruma { state, request, caller, .. }: Ruma<Request>) -> Result<Response, ApiError> {
    let draft = Draft {
        event_type: request.event_type.to_string(),
        state_key: Some(request.state_key),
        content: request.body.into_json(),
        txn_id: None,
    };
    Ok(Response::new(state.rooms.send(&caller, &request.room_id, draft).await?))
}
