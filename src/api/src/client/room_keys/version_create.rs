//! `POST /_matrix/client/v3/room_keys/version`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3room_keysversion>

use ruma::api::client::backup::create_backup_version::v3::{Request, Response};

use super::bodies::Description;
use crate::{ApiError, ruma_io::Ruma};

pub(super) async fn version_create(Ruma { state, request, caller, .. }: Ruma<Request>) -> Result<Response, ApiError> {
    let Description { algorithm, auth_data, .. } = Description::read(request.algorithm.json())?;
    state.keys.verify_own(&caller, &auth_data).await?;
    let number = state.backups.create(caller.user, &algorithm, &auth_data).await?;
    Ok(Response::new(number.to_string()))
}
