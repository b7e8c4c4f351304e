//! `DELETE /_matrix/client/unstable/org.matrix.msc3391/user/{userId}/account_data/{type}`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#client-config>, and
//! [MSC3391](https://github.com/matrix-org/matrix-spec-proposals/pull/3391), which no version of the specification has yet.

use http::Method;
use ruma::api::{
    Metadata, auth_scheme::AccessToken, client::config::set_global_account_data::v3::Response, path_builder::SinglePath,
};

use super::named::{Named, ignored_changed};
use crate::{ApiError, ruma_io::Ruma};

/// Method and path.
pub(super) struct Endpoint;

impl Metadata for Endpoint {
    const METHOD: Method = Method::DELETE;
    const RATE_LIMITED: bool = false;
    type Authentication = AccessToken;
    type PathBuilder = SinglePath;
    const PATH_BUILDER: SinglePath =
        SinglePath::new("/_matrix/client/unstable/org.matrix.msc3391/user/{user_id}/account_data/{event_type}");
}

/// Where there is none nothing happens.
pub(super) async fn remove(Ruma { state, request, caller, .. }: Ruma<Named<Endpoint>>) -> Result<Response, ApiError> {
    request.check_own(&caller)?;
    state.accounts.remove_account_data(caller.user, 0, &request.name).await?;
    ignored_changed(&state, &caller, &request.name).await?;
    Ok(Response::new())
}
