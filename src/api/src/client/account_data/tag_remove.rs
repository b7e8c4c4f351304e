//! `DELETE /_matrix/client/v3/user/{userId}/rooms/{roomId}/tags/{tag}`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#delete_matrixclientv3useruseridroomsroomidtagstag>

use ruma::api::client::tag::delete_tag::v3::{Request, Response};

use super::named::Named;
use crate::{ApiError, ruma_io::Ruma};

/// Where there is none nothing happens.
pub(super) async fn tag_remove(
    Ruma { state, request, caller, .. }: Ruma<Named<Request>>,
) -> Result<Response, ApiError> {
    request.check_own(&caller)?;
    let room = request.room(&state, &caller).await?;
    state.accounts.remove_tag(caller.user, room, &request.name).await?;
    Ok(Response::new())
}
