//! `GET /_matrix/client/v3/room_keys/keys/{roomId}/{sessionId}`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3room_keyskeysroomidsessionid>

use ruma::api::client::backup::get_backup_keys_for_session::v3::Request;

use crate::{
    ApiError,
    ruma_io::{JsonBytes, Ruma},
};

pub(super) async fn session_get(Ruma { state, request, caller, .. }: Ruma<Request>) -> Result<JsonBytes, ApiError> {
    let Request { version, room_id, session_id, .. } = request;
    JsonBytes::of(&state.backups.key(caller.user, &version, &room_id, &session_id).await?)
}
