//! `DELETE /_matrix/client/unstable/org.matrix.msc3391/user/{userId}/account_data/{type}`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#client-config>, and
//! [MSC3391](https://github.com/matrix-org/matrix-spec-proposals/pull/3391), which no version of the specification has yet.

use ruma::api::{auth_scheme::AccessToken, client::config::set_global_account_data::v3::Response};

use super::named::{Named, ignored_changed};
use crate::{ApiError, endpoint::own_endpoint, ruma_io::Ruma};

/// Method and path.
pub(super) struct Endpoint;

own_endpoint!(Endpoint, DELETE "/_matrix/client/unstable/org.matrix.msc3391/user/{user_id}/account_data/{event_type}", AccessToken);

/// Where there is none nothing happens.
pub(super) async fn remove(Ruma { state, request, caller, .. }: Ruma<Named<Endpoint>>) -> Result<Response, ApiError> {
    request.check_own(&caller)?;
    state.accounts.remove_account_data(caller.user, 0, &request.name).await?;
    ignored_changed(&state, &caller, &request.name).await;
    Ok(Response::new())
}
