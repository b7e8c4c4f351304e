//! `PUT /_matrix/client/v3/user/{userId}/account_data/{type}`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3useruseridaccount_datatype>

use ruma::api::client::config::set_global_account_data::v3::{Request, Response};

use super::named::{Named, ignored_changed};
use crate::{ApiError, ruma_io::Ruma};

/// `{}` removes it ([MSC3391](https://github.com/matrix-org/matrix-spec-proposals/pull/3391)).
pub(super) async fn set(Ruma { state, request, caller, .. }: Ruma<Named<Request>>) -> Result<Response, ApiError> {
    request.check_own(&caller)?;
    state.accounts.set_account_data(caller.user, 0, &request.name, request.content()?).await?;
    ignored_changed(&state, &caller, &request.name).await;
    Ok(Response::new())
}
