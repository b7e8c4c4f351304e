//! `PUT /_matrix/client/v3/room_keys/keys/{roomId}`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3room_keyskeysroomid>

use ruma::api::client::backup::add_backup_keys_for_room::v3::{Request, Response};
use wardstead_e2ee::backup::KeysByRoom;

use super::bodies::{sessions, told};
use crate::{ApiError, ruma_io::Ruma};

pub(super) async fn room_put(Ruma { state, request, caller, .. }: Ruma<Request>) -> Result<Response, ApiError> {
    let keys = KeysByRoom::from([(request.room_id, sessions(request.sessions)?)]);
    let (etag, count) = told(state.backups.put_keys(caller.user, &request.version, &keys).await?);
    Ok(Response::new(etag, count))
}
