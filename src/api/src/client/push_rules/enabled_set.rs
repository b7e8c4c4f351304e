//! `PUT /_matrix/client/v3/pushrules/global/{kind}/{ruleId}/enabled`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3pushrulesglobalkindruleidenabled>

use ruma::api::client::push::set_pushrule_enabled::v3::{Request, Response};

use crate::{ApiError, ruma_io::Ruma};

pub(super) async fn enabled_set(Ruma { state, request, caller, .. }: Ruma<Request>) -> Result<Response, ApiError> {
    let rule = (&request.kind, request.rule_id.as_str());
    state.push.enable_rule(&state.rooms, caller.user, &caller.user_id, rule, request.enabled).await?;
    Ok(Response::new())
}
