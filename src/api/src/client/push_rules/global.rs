//! `GET /_matrix/client/v3/pushrules/global/`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3pushrulesglobal>

use ruma::api::client::push::get_pushrules_global_scope::v3::{Request, Response};

use crate::{ApiError, ruma_io::Ruma};

pub(super) async fn global(Ruma { state, caller, .. }: Ruma<Request>) -> Result<Response, ApiError> {
    let (rules, _) = state.push.rules(caller.user, &caller.user_id).await?;
    Ok(Response::new(rules))
}
