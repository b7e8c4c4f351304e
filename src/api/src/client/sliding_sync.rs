//! `POST /_matrix/client/v4/sync`
//!
//! Section: <https://github.com/matrix-org/matrix-spec-proposals/blob/main/proposals/4186-simplified-sliding-sync.md#api>

use ruma::{
    api::{
        IncomingRequest, auth_scheme::AccessToken, client::sync::sync_events::v3::Response, error::DeserializationError,
    },
    exports::serde_html_form,
    presence::PresenceState,
};
use serde::Deserialize;
use wardstead_sync::{SlidingBody, SlidingForm, SlidingRequest};

use super::presence;
use crate::{
    ApiError,
    endpoint::own_endpoint,
    ruma_io::{JsonBytes, Ruma},
};

/// Of the accepted form, in which everything is in the body, or of that of before, in which some of it is in the query.
pub(super) struct Request {
    query: Query,
    body: SlidingBody,
    form: SlidingForm,
}

#[derive(Default, Deserialize)]
struct Query {
    pos: Option<String>,
    timeout: Option<u64>,
    set_presence: Option<String>,
}

own_endpoint!(Request, POST "/_matrix/client/v4/sync", AccessToken);

impl IncomingRequest for Request {
    type EndpointError = ruma::api::error::Error;
    type OutgoingResponse = Response;

    fn try_from_http_request_inner(request: http::Request<&[u8]>, _: &[&str]) -> Result<Self, DeserializationError> {
        let unstable = request.uri().path().contains("/unstable/");
        let query = if unstable {
            serde_html_form::from_str(request.uri().query().unwrap_or_default())?
        } else {
            Query::default()
        };
        let form = if unstable { SlidingForm::Unstable } else { SlidingForm::Accepted };
        Ok(Self { query, body: serde_json::from_slice(request.body())?, form })
    }
}

/// A client that hangs up ends its wait.
pub(super) async fn sliding_sync(ruma: Ruma<Request>) -> Result<JsonBytes, ApiError> {
    let Ruma { state, request, caller, .. } = ruma;
    let Request { query, mut body, form } = request;
    if !body.is_bounded() {
        return Err(ApiError::invalid_param("That is more than one request may ask for."));
    }
    let named = query.set_presence.or(body.set_presence.take());
    let set_presence = presence::state(&named.map_or(PresenceState::Online, PresenceState::from))?;
    let timeout_ms = query.timeout.or(body.timeout).unwrap_or_default();
    let pos = query.pos.or(body.pos.take());
    let asked = SlidingRequest { body, pos, timeout_ms, set_presence, form };
    Ok(JsonBytes(Box::pin(state.syncer.sliding_sync(&caller, asked)).await?))
}

/// Where clients know it.
pub(super) fn unstable_paths(_: &str) -> Vec<String> {
    vec!["/_matrix/client/unstable/org.matrix.simplified_msc3575/sync".to_owned()]
}
