//! `DELETE /_matrix/client/v3/directory/room/{roomAlias}`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#delete_matrixclientv3directoryroomroomalias>

use ruma::api::client::alias::delete_alias::v3::{Request, Response};

use crate::{ApiError, ruma_io::Ruma};

pub(super) async fn alias_remove(Ruma { state, request, caller, .. }: Ruma<Request>) -> Result<Response, ApiError> {
    state.rooms.remove_alias(&caller, &request.room_alias).await?;
    Ok(Response::new())
}
