//! `GET /_matrix/client/v3/user/{userId}/account_data/{type}`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3useruseridaccount_datatype>

use ruma::{api::client::config::get_global_account_data::v3::Request, events::push_rules::PushRulesEventContent};

use super::{named::Named, room_get};
use crate::{
    ApiError,
    ruma_io::{JsonBytes, Ruma},
};

/// The account data that tells push rules (Client-Server API, Push rules: events).
const PUSH_RULES: &str = "m.push_rules";

pub(super) async fn get(Ruma { state, request, caller, .. }: Ruma<Named<Request>>) -> Result<JsonBytes, ApiError> {
    // Rules that nobody has changed are stored nowhere.
    if request.name == PUSH_RULES {
        request.check_own(&caller)?;
        let (rules, _) = state.push.rules(caller.user, &caller.user_id).await?;
        return JsonBytes::of(&PushRulesEventContent::new(rules));
    }
    room_get::found(&state, &caller, &request).await
}
