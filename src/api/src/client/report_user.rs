//! `POST /_matrix/client/v3/users/{userId}/report`
//!
//! Section: <https://spec.matrix.org/v1.16/client-server-api/#post_matrixclientv3usersuseridreport>

use ruma::api::client::reporting::report_user::v3::{Request, Response};
use wardstead_rooms::Complaint;

use super::rooms::check_reported;
use crate::{ApiError, ruma_io::Ruma};

/// Whether there is such a user is not told.
pub(super) async fn report_user(Ruma { state, request, caller, .. }: Ruma<Request>) -> Result<Response, ApiError> {
    check_reported(request.user_id.as_str())?;
    let complaint = Complaint { reason: Some(request.reason), score: None };
    state.rooms.report_user(&caller, &request.user_id, complaint).await?;
    Ok(Response::new())
}
