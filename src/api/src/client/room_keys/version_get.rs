//! `GET /_matrix/client/v3/room_keys/version/{version}`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3room_keysversionversion>

use ruma::api::client::backup::get_backup_info::v3::Request;

use super::bodies::info;
use crate::{
    ApiError,
    ruma_io::{JsonBytes, Ruma},
};

pub(super) async fn version_get(Ruma { state, request, caller, .. }: Ruma<Request>) -> Result<JsonBytes, ApiError> {
    info(&state.backups.info(caller.user, &request.version).await?)
}
