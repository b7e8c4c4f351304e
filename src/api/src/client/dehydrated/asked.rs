//! Requests of endpoints that ruma has only behind a feature.

use std::marker::PhantomData;

use ruma::{
    OwnedDeviceId,
    api::{
        IncomingRequest, Metadata, client::device::update_device::v3::Response, error::DeserializationError,
        error::Error,
    },
    exports::serde_html_form,
};
use serde::{Deserialize, de::DeserializeOwned};

/// A request of the endpoint `E` with the body `B`.
pub(super) struct Asked<E, B = Nothing> {
    /// The device that the path names; empty where it names none.
    pub(super) device_id: OwnedDeviceId,
    /// The parameter of this name.
    pub(super) from: Option<String>,
    pub(super) body: B,
    endpoint: PhantomData<fn() -> E>,
}

/// Members are passed over.
#[derive(Deserialize)]
pub(super) struct Nothing {}

#[derive(Deserialize)]
struct Query {
    from: Option<String>,
}

impl<E: Metadata, B> Metadata for Asked<E, B> {
    const METHOD: http::Method = E::METHOD;
    const RATE_LIMITED: bool = E::RATE_LIMITED;
    type Authentication = E::Authentication;
    type PathBuilder = E::PathBuilder;
    const PATH_BUILDER: Self::PathBuilder = E::PATH_BUILDER;
}

impl<E: Metadata, B: DeserializeOwned> IncomingRequest for Asked<E, B> {
    type EndpointError = Error;
    type OutgoingResponse = Response;

    fn try_from_http_request_inner(
        request: http::Request<&[u8]>,
        path_args: &[&str],
    ) -> Result<Self, DeserializationError> {
        let Query { from } = serde_html_form::from_str(request.uri().query().unwrap_or_default())?;
        // A GET has no body.
        let body = if request.body().is_empty() { b"{}".as_slice() } else { request.body() };
        let device_id = path_args.first().copied().unwrap_or_default().into();
        Ok(Self { device_id, from, body: serde_json::from_slice(body)?, endpoint: PhantomData })
    }
}
