//! `DELETE /_matrix/client/v3/room_keys/keys/{roomId}/{sessionId}`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#delete_matrixclientv3room_keyskeysroomidsessionid>

use ruma::api::client::backup::delete_backup_keys_for_session::v3::{Request, Response};
use wardstead_e2ee::backup::Keys;

use super::bodies::told;
use crate::{ApiError, ruma_io::Ruma};

pub(super) async fn session_delete(Ruma { state, request, caller, .. }: Ruma<Request>) -> Result<Response, ApiError> {
    let keys = Keys::Session(&request.room_id, &request.session_id);
    let (etag, count) = told(state.backups.remove_keys(caller.user, &request.version, keys).await?);
    Ok(Response::new(etag, count))
}
