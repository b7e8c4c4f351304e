//! `GET /_matrix/client/v3/pushrules/global/{kind}/{ruleId}`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3pushrulesglobalkindruleid>

use ruma::api::client::push::get_pushrule::v3::{Request, Response};

use super::one;
use crate::{ApiError, ruma_io::Ruma};

pub(super) async fn get(Ruma { state, request, caller, .. }: Ruma<Request>) -> Result<Response, ApiError> {
    Ok(Response::new(one(&state, &caller, request.kind, &request.rule_id).await?))
}
