//! `POST /_matrix/client/v3/delete_devices`
//!
//! Section: <https://spec.matrix.org/v1.16/client-server-api/#post_matrixclientv3delete_devices>

use ruma::{
    OwnedDeviceId,
    api::client::device::delete_devices::v3::{Request, Response},
};
use wardstead_accounts::{AccountsError, Session};
use wardstead_engine::Losing;
use wardstead_identity::{Act, Auth};
use wardstead_limits::store::REBUILDS;

use crate::{ApiError, ApiState, interactive::Interactive, ruma_io::Ruma};

pub(super) async fn remove_many(
    Ruma { state, request, caller, .. }: Ruma<Interactive<Request>>,
) -> Result<Response, ApiError> {
    confirmed(&state, &caller, &request.request.devices, request.auth.as_ref()).await?;
    Ok(Response::new())
}

/// Removes `devices` once `by` has confirmed it. Those that are gone already are removed again.
pub(super) async fn confirmed(
    state: &ApiState,
    by: &Session,
    devices: &[OwnedDeviceId],
    auth: Option<&Auth>,
) -> Result<(), ApiError> {
    for _ in 0..REBUILDS {
        let confirmed = state.identity.confirm(by, &Act::DeleteDevices(devices), auth).await?;
        match state.accounts.remove_devices(by, devices, confirmed.batch()).await {
            // The session of the confirmation served another request meanwhile: it is looked at again.
            Err(AccountsError::Lost(Losing::Fail(_))) => {}
            removed => return Ok(removed?),
        }
    }
    Err(AccountsError::Contended.into())
}
