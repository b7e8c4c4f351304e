//! `PUT /_matrix/client/v3/pushrules/global/{kind}/{ruleId}/actions`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3pushrulesglobalkindruleidactions>

use ruma::api::client::push::set_pushrule_actions::v3::{Request, Response};

use crate::{ApiError, ruma_io::Ruma};

pub(super) async fn actions_set(Ruma { state, request, caller, .. }: Ruma<Request>) -> Result<Response, ApiError> {
    let rule = (&request.kind, request.rule_id.as_str());
    state.push.set_rule_actions(&state.rooms, caller.user, &caller.user_id, rule, &request.actions).await?;
    Ok(Response::new())
}
