//! `POST /_matrix/client/v3/rooms/{roomId}/report`
//!
//! Section: <https://spec.matrix.org/v1.16/client-server-api/#post_matrixclientv3roomsroomidreport>

use ruma::api::client::room::report_room::v3::{Request, Response};
use wardstead_rooms::Complaint;

use crate::{ApiError, ruma_io::Ruma};

/// For everybody, in the room or not.
pub(super) async fn report(Ruma { state, request, caller, .. }: Ruma<Request>) -> Result<Response, ApiError> {
    let complaint = Complaint { reason: Some(request.reason), score: None };
    state.rooms.report_room(&caller, &request.room_id, complaint).await?;
    Ok(Response::new())
}
