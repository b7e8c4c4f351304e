//! `PUT /_matrix/client/v3/devices/{deviceId}`
//!
//! Section: <https://spec.matrix.org/v1.16/client-server-api/#put_matrixclientv3devicesdeviceid>

use ruma::api::client::device::update_device::v3::{Request, Response};

use crate::{ApiError, ruma_io::Ruma};

/// Without a name nothing changes, but the device has to be there.
pub(super) async fn rename(Ruma { state, request, caller, .. }: Ruma<Request>) -> Result<Response, ApiError> {
    match request.display_name {
        Some(name) => state.accounts.rename_device(&caller, &request.device_id, &name).await?,
        None => drop(state.accounts.device(&caller, &request.device_id).await?),
    }
    Ok(Response::new())
}
