//! Requests with a `filter` that ruma's type of it does not know whole.

use crate::endpoint::same_endpoint;
use ruma::{
    api::{IncomingRequest, error::DeserializationError},
    exports::serde_html_form,
};
use serde::{Deserialize, de::Error as _};
use wardstead_rooms::EventFilter;

/// ruma's request, and the filter as the rooms read it.
pub(super) struct WithFilter<R> {
    pub(super) request: R,
    pub(super) filter: EventFilter,
}

same_endpoint!(WithFilter<R>, R);

impl<R: IncomingRequest> IncomingRequest for WithFilter<R> {
    type EndpointError = R::EndpointError;
    type OutgoingResponse = R::OutgoingResponse;

    fn try_from_http_request_inner(
        request: http::Request<&[u8]>,
        path_args: &[&str],
    ) -> Result<Self, DeserializationError> {
        #[derive(Deserialize)]
        struct Query {
            filter: Option<String>,
        }
        let query: Query = serde_html_form::from_str(request.uri().query().unwrap_or_default())?;
        let filter = match query.filter.as_deref() {
            Some(filter) => EventFilter::parse(filter).map_err(serde_html_form::de::Error::custom)?,
            None => EventFilter::default(),
        };
        Ok(Self { request: R::try_from_http_request_inner(request, path_args)?, filter })
    }
}
