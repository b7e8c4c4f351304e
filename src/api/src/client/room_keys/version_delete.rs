//! `DELETE /_matrix/client/v3/room_keys/version/{version}`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#delete_matrixclientv3room_keysversionversion>

use ruma::api::client::backup::delete_backup_version::v3::{Request, Response};

use crate::{ApiError, ruma_io::Ruma};

pub(super) async fn version_delete(Ruma { state, request, caller, .. }: Ruma<Request>) -> Result<Response, ApiError> {
    state.backups.remove(caller.user, &request.version).await?;
    Ok(Response::new())
}
