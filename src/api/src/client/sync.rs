//! `GET /_matrix/client/v3/sync`
//!
//! Section: <https://spec.matrix.org/v1.16/client-server-api/#get_matrixclientv3sync>

use ruma::{
    api::{
        IncomingRequest,
        client::sync::sync_events::v3::{Request as Known, Response},
        error::DeserializationError,
    },
    exports::serde_html_form,
    presence::PresenceState,
};
use serde::Deserialize;
use wardstead_accounts::Session;
use wardstead_sync::{StateName, SyncFilter, SyncRequest};

use super::presence;
use crate::{
    ApiError, ApiState,
    endpoint::same_endpoint,
    ruma_io::{JsonBytes, Ruma},
};

/// As ruma's, but with fields of filters that ruma does not know, and with the name that `use_state_after` had before it was in the
/// specification (MSC4222).
#[derive(Deserialize)]
pub(super) struct Request {
    filter: Option<String>,
    since: Option<String>,
    #[serde(default)]
    full_state: bool,
    #[serde(default)]
    set_presence: PresenceState,
    timeout: Option<u64>,
    #[serde(default)]
    use_state_after: bool,
    #[serde(default, rename = "org.matrix.msc4222.use_state_after")]
    unstable_use_state_after: bool,
}

same_endpoint!(Request, Known);

impl IncomingRequest for Request {
    type EndpointError = <Known as IncomingRequest>::EndpointError;
    type OutgoingResponse = Response;

    fn try_from_http_request_inner(request: http::Request<&[u8]>, _: &[&str]) -> Result<Self, DeserializationError> {
        Ok(serde_html_form::from_str(request.uri().query().unwrap_or_default())?)
    }
}

/// A client that hangs up ends its wait; a server that
/// shuts down answers it with what there is.
pub(super) async fn sync(ruma: Ruma<Request>) -> Result<JsonBytes, ApiError> {
    let Ruma { state, request, caller, .. } = ruma;
    let asked = Box::pin(asked(&state, &caller, request)).await?;
    Ok(JsonBytes(state.syncer.sync(&caller, asked).await?))
}

async fn asked(state: &ApiState, caller: &Session, request: Request) -> Result<SyncRequest, ApiError> {
    let name = match (request.use_state_after, request.unstable_use_state_after) {
        (true, _) => StateName::After,
        (false, true) => StateName::AfterUnstable,
        (false, false) => StateName::Before,
    };
    Ok(SyncRequest {
        since: request.since,
        timeout_ms: request.timeout.unwrap_or_default(),
        full_state: request.full_state,
        filter: match &request.filter {
            Some(text) => filter(state, caller, text).await?,
            None => SyncFilter::default(),
        },
        state: name,
        set_presence: presence::state(&request.set_presence)?,
    })
}

/// The filter, given whole or by its id. An id never starts with a brace.
async fn filter(state: &ApiState, caller: &Session, text: &str) -> Result<SyncFilter, ApiError> {
    let neither = || ApiError::invalid_param("The filter is neither one nor the id of one.");
    if text.starts_with('{') {
        return SyncFilter::parse(text).map_err(|_| neither());
    }
    let stored = state.accounts.filter(caller.user, text).await?.ok_or_else(neither)?;
    // It could be read when it was stored.
    SyncFilter::parse(&stored).map_err(ApiError::internal)
}
