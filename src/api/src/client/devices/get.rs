//! `GET /_matrix/client/v3/devices/{deviceId}`
//!
//! Section: <https://spec.matrix.org/v1.16/client-server-api/#get_matrixclientv3devicesdeviceid>

use ruma::api::client::device::get_device::v3::Request;

use super::Shown;
use crate::{
    ApiError,
    ruma_io::{JsonBytes, Ruma},
};

pub(super) async fn get(Ruma { state, request, caller, .. }: Ruma<Request>) -> Result<JsonBytes, ApiError> {
    let device = state.accounts.device(&caller, &request.device_id).await?;
    JsonBytes::of(&Shown::from(device))
}
