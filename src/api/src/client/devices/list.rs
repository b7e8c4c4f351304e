//! `GET /_matrix/client/v3/devices`
//!
//! Section: <https://spec.matrix.org/v1.16/client-server-api/#get_matrixclientv3devices>

use ruma::api::client::device::get_devices::v3::Request;
use serde::Serialize;

use super::Shown;
use crate::{
    ApiError,
    ruma_io::{JsonBytes, Ruma},
};

#[derive(Serialize)]
struct Devices {
    devices: Vec<Shown>,
}

pub(super) async fn list(Ruma { state, caller, .. }: Ruma<Request>) -> Result<JsonBytes, ApiError> {
    let devices = state.accounts.devices(caller.user).await?;
    JsonBytes::of(&Devices { devices: devices.into_iter().map(Shown::from).collect() })
}
