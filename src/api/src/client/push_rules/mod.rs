//! [Push rules](https://spec.matrix.org/v1.19/client-server-api/#push-rules-api). `global` is the one scope that there is: of others
//! there are no endpoints.

mod actions_get;
mod actions_set;
mod all;
mod enabled_get;
mod enabled_set;
mod get;
mod global;
mod put;
mod remove;

use ruma::{api::client::push::PushRule, push::RuleKind};
use wardstead_accounts::Session;
use wardstead_push::PushError;

use crate::{ApiError, ApiState, routes::Routes};

/// Adds them to `routes`.
pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .route(all::all)
        .route(global::global)
        .route(get::get)
        .route(put::put)
        .route(remove::remove)
        .route(enabled_get::enabled_get)
        .route(enabled_set::enabled_set)
        .route(actions_get::actions_get)
        .route(actions_set::actions_set)
}

/// A rule of the caller's as it is now.
async fn one(state: &ApiState, caller: &Session, kind: RuleKind, rule_id: &str) -> Result<PushRule, ApiError> {
    let (rules, _) = state.push.rules(caller.user, &caller.user_id).await?;
    let rule = rules.get(kind, rule_id).ok_or(PushError::NoSuchRule)?;
    Ok(rule.into())
}
