//! `PUT /_matrix/client/v3/room_keys/keys/{roomId}/{sessionId}`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3room_keyskeysroomidsessionid>

use std::collections::BTreeMap;

use ruma::api::client::backup::add_backup_keys_for_session::v3::{Request, Response};
use wardstead_e2ee::backup::KeysByRoom;

use super::bodies::{sessions, told};
use crate::{ApiError, ruma_io::Ruma};

pub(super) async fn session_put(Ruma { state, request, caller, .. }: Ruma<Request>) -> Result<Response, ApiError> {
    let session = BTreeMap::from([(request.session_id, request.session_data)]);
    let keys = KeysByRoom::from([(request.room_id, sessions(session)?)]);
    let (etag, count) = told(state.backups.put_keys(caller.user, &request.version, &keys).await?);
    Ok(Response::new(etag, count))
}
