//! `DELETE /_matrix/client/v3/devices/{deviceId}`
//!
//! Section: <https://spec.matrix.org/v1.16/client-server-api/#delete_matrixclientv3devicesdeviceid>

use ruma::api::client::device::delete_device::v3::{Request, Response};

use super::remove_many::confirmed;
use crate::{ApiError, interactive::Interactive, ruma_io::Ruma};

pub(super) async fn remove(
    Ruma { state, request, caller, .. }: Ruma<Interactive<Request>>,
) -> Result<Response, ApiError> {
    confirmed(&state, &caller, &[request.request.device_id], request.auth.as_ref()).await?;
    Ok(Response::new())
}
