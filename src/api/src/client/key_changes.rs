//! `GET /_matrix/client/v3/keys/changes`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3keyschanges>

use ruma::api::client::keys::get_key_changes::v3::{Request, Response};

use crate::{ApiError, ruma_io::Ruma};

/// What the answers of `/sync` between the two tokens told, or would have told.
pub(super) async fn key_changes(Ruma { state, request, caller, .. }: Ruma<Request>) -> Result<Response, ApiError> {
    let lists = state.syncer.key_changes(&caller, &request.from, &request.to).await?;
    Ok(Response::new(lists.changed.into_iter().collect(), lists.left.into_iter().collect()))
}
