//! `PUT /_matrix/client/v3/room_keys/version/{version}`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3room_keysversionversion>

use ruma::api::client::backup::update_backup_version::v3::{Request, Response};

use super::bodies::Description;
use crate::{ApiError, ruma_io::Ruma};

pub(super) async fn version_set(Ruma { state, request, caller, .. }: Ruma<Request>) -> Result<Response, ApiError> {
    let Description { algorithm, auth_data, version } = Description::read(request.algorithm.json())?;
    if version.is_some_and(|version| version != request.version) {
        return Err(ApiError::invalid_param("The body is about another version than the path."));
    }
    state.keys.verify_own(&caller, &auth_data).await?;
    state.backups.update(caller.user, &request.version, &algorithm, &auth_data).await?;
    Ok(Response::new())
}
