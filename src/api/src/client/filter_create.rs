//! `POST /_matrix/client/v3/user/{userId}/filter`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3useruseridfilter>

use ruma::{
    OwnedUserId, UserId,
    api::{
        IncomingRequest,
        client::filter::create_filter::v3::{Request as Defined, Response},
        error::DeserializationError,
    },
};
use wardstead_sync::SyncFilter;

use crate::{ApiError, endpoint::same_endpoint, ruma_io::Ruma};

/// As ruma's, but that the filter is kept as it was sent: with fields of proposals that ruma does not know.
pub(super) struct Request {
    user_id: OwnedUserId,
    /// A JSON object in the one form in which equal filters are equal.
    filter: String,
}

same_endpoint!(Request, Defined);

impl IncomingRequest for Request {
    type EndpointError = <Defined as IncomingRequest>::EndpointError;
    type OutgoingResponse = Response;

    fn try_from_http_request_inner(
        request: http::Request<&[u8]>,
        path_args: &[&str],
    ) -> Result<Self, DeserializationError> {
        // What cannot be honoured is refused now, not at each sync.
        let filter: serde_json::Value = serde_json::from_slice(request.body())?;
        let filter = filter.to_string();
        SyncFilter::parse(&filter).map_err(serde::de::Error::custom).map_err(DeserializationError::Json)?;
        let user_id = UserId::parse(path_args.first().copied().unwrap_or_default())?;
        Ok(Self { user_id, filter })
    }
}

pub(super) async fn filter_create(Ruma { state, request, caller, .. }: Ruma<Request>) -> Result<Response, ApiError> {
    if request.user_id != caller.user_id {
        return Err(ApiError::forbidden("Filters are made for oneself."));
    }
    Ok(Response::new(state.accounts.put_filter(caller.user, &request.filter).await?))
}
