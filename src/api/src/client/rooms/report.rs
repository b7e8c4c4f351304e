//! `POST /_matrix/client/v3/rooms/{roomId}/report`
//!
//! Section: <https://spec.matrix.org/v1.16/client-server-api/#post_matrixclientv3roomsroomidreport>

use ruma::api::client::room::report_room::v3::{Request, Response};
use wardstead_rooms::Complaint;

use crate::{ApiError, ruma_io::Ruma};

/// For everybody, in the room or not. Whether there is such a room is not told.
pub(super) async fn report(Ruma { state, request, caller, .. }: Ruma<Request>) -> Result<Response, ApiError> {
    check_reported(request.room_id.as_str())?;
    let complaint = Complaint { reason: Some(request.reason), score: None };
    state.rooms.report_room(&caller, &request.room_id, complaint).await?;
    Ok(Response::new())
}

/// What is no identifier that anything can have is refused all the same.
///
/// # Errors
/// `M_INVALID_PARAM`.
pub(in crate::client) fn check_reported(id: &str) -> Result<(), ApiError> {
    let named = id.get(1..).and_then(|rest| rest.split(':').next()).is_some_and(|name| !name.is_empty());
    if named && id.is_ascii() { Ok(()) } else { Err(ApiError::invalid_param("The identifier names nothing.")) }
}
