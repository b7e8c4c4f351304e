//! `DELETE /_matrix/client/v3/pushrules/global/{kind}/{ruleId}`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#delete_matrixclientv3pushrulesglobalkindruleid>

use ruma::api::client::push::delete_pushrule::v3::{Request, Response};

use crate::{ApiError, ruma_io::Ruma};

pub(super) async fn remove(Ruma { state, request, caller, .. }: Ruma<Request>) -> Result<Response, ApiError> {
    let (kind, rule_id) = (&request.kind, request.rule_id.as_str());
    state.push.remove_rule(&state.rooms, caller.user, &caller.user_id, kind, rule_id).await?;
    Ok(Response::new())
}
