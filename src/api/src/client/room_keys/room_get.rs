//! `GET /_matrix/client/v3/room_keys/keys/{roomId}`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3room_keyskeysroomid>

use ruma::api::client::backup::get_backup_keys_for_room::v3::Request;

use super::pages::{Form, KeysJson};
use crate::{ApiError, ruma_io::Ruma};

pub(super) async fn room_get(Ruma { state, request, caller, .. }: Ruma<Request>) -> Result<KeysJson, ApiError> {
    let pages = state.backups.keys(caller.user, &request.version, Some(&request.room_id)).await?;
    KeysJson::of(pages, Form::Sessions).await
}
