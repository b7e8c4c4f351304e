//! `PUT /_matrix/client/v3/sendToDevice/{eventType}/{txnId}`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3sendtodeviceeventtypetxnid>

use std::collections::BTreeMap;

use ruma::{
    OwnedUserId,
    api::{
        IncomingRequest,
        client::to_device::send_event_to_device::v3::{Request as Typed, Response},
        error::DeserializationError,
    },
};
use serde::Deserialize;
use wardstead_e2ee::{Recipients, ToDeviceRequest};

use crate::{ApiError, endpoint::same_endpoint, ruma_io::Ruma};

/// As ruma's, but that contents are carried as they came.
pub(super) struct Request {
    event_type: String,
    txn_id: String,
    body: Body,
}

#[derive(Deserialize)]
struct Body {
    messages: BTreeMap<OwnedUserId, Recipients>,
}

same_endpoint!(Request, Typed);

impl IncomingRequest for Request {
    type EndpointError = <Typed as IncomingRequest>::EndpointError;
    type OutgoingResponse = Response;

    fn try_from_http_request_inner(
        request: http::Request<&[u8]>,
        path_args: &[&str],
    ) -> Result<Self, DeserializationError> {
        let argument = |at: usize| path_args.get(at).copied().unwrap_or_default().to_owned();
        Ok(Self { event_type: argument(0), txn_id: argument(1), body: serde_json::from_slice(request.body())? })
    }
}

/// Whoever is not known here gets nothing, and the sender is not told.
pub(super) async fn send_to_device(Ruma { state, request, caller, .. }: Ruma<Request>) -> Result<Response, ApiError> {
    let Request { event_type, txn_id, body } = request;
    let request = ToDeviceRequest { event_type, txn_id, messages: body.messages };
    state.syncer.inboxes().send(&caller, &request).await?;
    Ok(Response::new())
}
