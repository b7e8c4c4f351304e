//! `PUT /_matrix/client/v3/user/{userId}/rooms/{roomId}/tags/{tag}`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3useruseridroomsroomidtagstag>

use ruma::api::client::tag::create_tag::v3::{Request, Response};

use super::named::Named;
use crate::{ApiError, ruma_io::Ruma};

/// What the body holds is kept as it is, its `order` being a number if it has one.
pub(super) async fn tag_set(Ruma { state, request, caller, .. }: Ruma<Named<Request>>) -> Result<Response, ApiError> {
    request.check_own(&caller)?;
    let info = request.fields()?;
    if info.get("order").is_some_and(|order| !order.is_number()) {
        return Err(ApiError::bad_json("The order of a tag is a number."));
    }
    let room = request.room(&state, &caller).await?;
    state.accounts.set_tag(caller.user, room, &request.name, &info).await?;
    Ok(Response::new())
}
