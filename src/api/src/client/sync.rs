//! `GET /_matrix/client/v3/sync`
//!
//! Section: <https://spec.matrix.org/v1.16/client-server-api/#get_matrixclientv3sync>

use ruma::api::client::{
    filter::FilterDefinition,
    sync::sync_events::v3::{Filter, Request},
};
use wardstead_accounts::Session;
use wardstead_sync::SyncRequest;

use super::presence;
use crate::{
    ApiError, ApiState,
    ruma_io::{JsonBytes, Ruma},
};

/// A client that hangs up ends its wait; a server that
/// shuts down answers it with what there is.
pub(super) async fn sync(Ruma { state, request, caller, .. }: Ruma<Request>) -> Result<JsonBytes, ApiError> {
    let timeout_ms = request.timeout.map_or(0, |timeout| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX));
    let asked = SyncRequest {
        since: request.since,
        timeout_ms,
        full_state: request.full_state,
        filter: definition(&state, &caller, request.filter).await?,
        set_presence: presence::state(&request.set_presence)?,
    };
    Ok(JsonBytes(state.syncer.sync(&caller, asked).await?))
}

/// The filter, given whole or by its id. ruma takes for an id what is not a filter.
async fn definition(state: &ApiState, caller: &Session, filter: Option<Filter>) -> Result<FilterDefinition, ApiError> {
    match filter {
        None => Ok(FilterDefinition::default()),
        Some(Filter::FilterDefinition(definition)) => Ok(definition),
        Some(Filter::FilterId(id)) => {
            let filter = state.accounts.filter(caller.user, &id).await?;
            let filter =
                filter.ok_or_else(|| ApiError::invalid_param("The filter is neither one nor the id of one."))?;
            // It could be read when it was stored.
            serde_json::from_str(&filter).map_err(ApiError::internal)
        }
        Some(_) => Err(ApiError::invalid_param("The filter has an unknown form.")),
    }
}
