//! `GET /_matrix/client/v3/pushrules/`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3pushrules>
//!
//! Clients ask for the rules before they sync, to know what notifies.

use ruma::api::client::push::get_pushrules_all::v3::{Request, Response};

use crate::{ApiError, ruma_io::Ruma};

pub(super) async fn all(Ruma { state, caller, .. }: Ruma<Request>) -> Result<Response, ApiError> {
    let (rules, _) = state.push.rules(caller.user, &caller.user_id).await?;
    Ok(Response::new(rules))
}
