//! `PUT /_matrix/client/v3/directory/room/{roomAlias}`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3directoryroomroomalias>

use ruma::api::client::alias::create_alias::v3::{Request, Response};

use crate::{ApiError, ruma_io::Ruma};

pub(super) async fn alias_set(Ruma { state, request, caller, .. }: Ruma<Request>) -> Result<Response, ApiError> {
    state.rooms.add_alias(&caller, &request.room_alias, &request.room_id).await?;
    Ok(Response::new())
}
