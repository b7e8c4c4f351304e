//! `GET /_matrix/client/v3/directory/room/{roomAlias}`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3directoryroomroomalias>

use ruma::{
    ServerName,
    api::client::alias::get_alias::v3::{Request, Response},
};

use crate::{ApiError, ruma_io::Ruma};

/// Needs no token and no membership. An alias of another server is one that this one does not know.
pub(super) async fn alias_get(Ruma { state, request, .. }: Ruma<Request>) -> Result<Response, ApiError> {
    let alias = &request.room_alias;
    let room_id = state.rooms.resolve_alias(alias).await?;
    let room_id = room_id.ok_or_else(|| ApiError::not_found(format!("There is no room with the alias {alias}.")))?;
    let ours = ServerName::parse(alias.server_name().as_str()).map_err(ApiError::internal)?;
    Ok(Response::new(room_id, vec![ours]))
}
