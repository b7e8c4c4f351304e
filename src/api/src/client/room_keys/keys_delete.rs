//! `DELETE /_matrix/client/v3/room_keys/keys`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#delete_matrixclientv3room_keyskeys>

use ruma::api::client::backup::delete_backup_keys::v3::{Request, Response};
use wardstead_e2ee::backup::Keys;

use super::bodies::told;
use crate::{ApiError, ruma_io::Ruma};

pub(super) async fn keys_delete(Ruma { state, request, caller, .. }: Ruma<Request>) -> Result<Response, ApiError> {
    let keys = Keys::All;
    let (etag, count) = told(state.backups.remove_keys(caller.user, &request.version, keys).await?);
    Ok(Response::new(etag, count))
}
