//! `PUT /_matrix/client/v3/profile/{userId}/{keyName}`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3profileuseridkeyname>

use ruma::{
    OwnedUserId, UserId,
    api::{
        IncomingRequest,
        client::profile::set_profile_field::v3::{Request as Typed, Response},
        error::DeserializationError,
    },
};
use serde::de::Error as _;
use serde_json::{Map, Value};

use super::{own, told_with_presence};
use crate::{ApiError, endpoint::same_endpoint, ruma_io::Ruma};

/// As ruma's, but that the value may be anything until it is known that the key may be set.
pub(super) struct Request {
    user_id: OwnedUserId,
    key: String,
    value: Value,
}

same_endpoint!(Request, Typed);

impl IncomingRequest for Request {
    type EndpointError = <Typed as IncomingRequest>::EndpointError;
    type OutgoingResponse = Response;

    fn try_from_http_request_inner(
        request: http::Request<&[u8]>,
        path_args: &[&str],
    ) -> Result<Self, DeserializationError> {
        let argument = |at: usize| path_args.get(at).copied().unwrap_or_default();
        let (user_id, key) = (UserId::parse(argument(0))?, argument(1).to_owned());
        let mut body: Map<String, Value> = serde_json::from_slice(request.body())?;
        let value = body.remove(&key).ok_or_else(|| serde_json::Error::custom(format!("missing field `{key}`")))?;
        if !body.is_empty() {
            let sentence = format!("the body has other properties beside `{key}`");
            return Err(serde_json::Error::custom(sentence).into());
        }
        Ok(Self { user_id, key, value })
    }
}

/// Answers once the change is durable; rooms are told afterwards.
pub(super) async fn field_set(Ruma { state, request, caller, .. }: Ruma<Request>) -> Result<Response, ApiError> {
    own(&caller, &request.user_id)?;
    state.accounts.set_profile_field(&caller.user_id, &request.key, &request.value).await?;
    told_with_presence(&state, &caller, &request.key);
    Ok(Response::new())
}
