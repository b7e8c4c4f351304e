//! `GET /_matrix/client/v3/room_keys/version`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3room_keysversion>

use ruma::api::client::backup::get_latest_backup_info::v3::Request;

use super::bodies::info;
use crate::{
    ApiError,
    ruma_io::{JsonBytes, Ruma},
};

pub(super) async fn version_latest(Ruma { state, caller, .. }: Ruma<Request>) -> Result<JsonBytes, ApiError> {
    info(&state.backups.newest(caller.user).await?)
}
