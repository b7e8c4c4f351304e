//! `PUT /_matrix/client/v3/rooms/{roomId}/send/{eventType}/{txnId}`
//!
//! Section: <https://spec.matrix.org/v1.16/client-server-api/#put_matrixclientv3roomsroomidsendeventtypetxnid>

use ruma::api::client::message::send_message_event::v3::{Request, Response};
use wardstead_rooms::Draft;

use crate::{ApiError, ruma_io::Ruma};

/// `ts` is for application services only, and ignored.
pub(super) async fn send(Ruma { state, request, caller, .. }: Ruma<Request>) -> Result<Response, ApiError> {
    let draft = Draft {
        event_type: request.event_type.to_string(),
        state_key: None,
        content: request.body.into_json(),
        txn_id: Some(request.txn_id),
    };
    let event_id = state.rooms.send(&caller, &request.room_id, draft).await?;
    state.syncer.presence().acted(&caller);
    Ok(Response::new(event_id))
}
