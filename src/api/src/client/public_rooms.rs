//! `GET /_matrix/client/v3/publicRooms`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3publicrooms>

use ruma::{ServerName, UInt, api::client::directory::get_public_rooms::v3::Request};
use wardstead_directory::PublicRoomsQuery;

use crate::{
    ApiError, ApiState,
    ruma_io::{JsonBytes, Ruma},
};

/// Needs no token, as the specification has it.
pub(super) async fn public_rooms(Ruma { state, request, .. }: Ruma<Request>) -> Result<JsonBytes, ApiError> {
    ours(&state, request.server.as_deref())?;
    let query = PublicRoomsQuery {
        limit: request.limit.map(limit),
        since: given(request.since),
        ..PublicRoomsQuery::default()
    };
    JsonBytes::of(&state.directory.public_rooms(&query).await?)
}

/// The lists of other servers cannot be had yet. An empty list would say that they publish nothing.
pub(super) fn ours(state: &ApiState, server: Option<&ServerName>) -> Result<(), ApiError> {
    match server {
        Some(server) if server != state.rooms.server_name() => {
            Err(ApiError::not_found(format!("This server does not know the list of published rooms of {server}.")))
        }
        _ => Ok(()),
    }
}

/// More than a number of this machine is more than the bound of a page.
pub(super) fn limit(limit: UInt) -> usize {
    usize::try_from(u64::from(limit)).unwrap_or(usize::MAX)
}

/// There are clients that send an empty token where they have none.
pub(super) fn given(since: Option<String>) -> Option<String> {
    since.filter(|since| !since.is_empty())
}
