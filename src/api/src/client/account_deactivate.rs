//! `POST /_matrix/client/v3/account/deactivate`
//!
//! Section: <https://spec.matrix.org/v1.16/client-server-api/#post_matrixclientv3accountdeactivate>

use ruma::api::{
    auth_scheme::AccessToken,
    client::account::{
        ThirdPartyIdRemovalStatus,
        deactivate::v3::{Request, Response},
    },
};

use crate::{ApiError, interactive::Interactive, ruma_io::Ruma};

pub(super) async fn account_deactivate(
    Ruma { state, request, caller, .. }: Ruma<Interactive<Request, AccessToken>>,
) -> Result<Response, ApiError> {
    state.identity.deactivate(&caller, request.request.erase, request.auth.as_ref()).await?;
    // There is nothing to unbind: nobody has an address here, and the specification wants `success` then.
    Ok(Response::new(ThirdPartyIdRemovalStatus::Success))
}
