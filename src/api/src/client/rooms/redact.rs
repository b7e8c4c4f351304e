//! `PUT /_matrix/client/v3/rooms/{roomId}/redact/{eventId}/{txnId}`
//!
//! Section: <https://spec.matrix.org/v1.16/client-server-api/#put_matrixclientv3roomsroomidredacteventidtxnid>

use ruma::api::client::redact::redact_event::v3::{Request, Response};

use crate::{ApiError, ruma_io::Ruma};

/// An event that the room does not have is not found: whoever redacts is told when nothing was redacted.
pub(super) async fn redact(Ruma { state, request, caller, .. }: Ruma<Request>) -> Result<Response, ApiError> {
    let Request { room_id, event_id, txn_id, reason, .. } = request;
    let event_id = state.rooms.redact(&caller, &room_id, &event_id, reason, txn_id).await?;
    state.syncer.presence().acted(&caller);
    Ok(Response::new(event_id))
}
