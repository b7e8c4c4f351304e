//! `GET /_matrix/client/v1/room_summary/{roomIdOrAlias}`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1room_summaryroomidoralias>

use ruma::{
    OwnedRoomOrAliasId, RoomOrAliasId,
    api::{
        IncomingRequest,
        client::room::get_summary::v1::{Request as Stated, Response},
        error::DeserializationError,
    },
};

use crate::{
    ApiError,
    access::TokenIfAny,
    endpoint::same_endpoint,
    ruma_io::{JsonBytes, Ruma},
};

/// As ruma's, but that who sends a token is known by it. `via` is not looked at: no other server can be asked yet.
pub(super) struct Request {
    room: OwnedRoomOrAliasId,
}

same_endpoint!(Request, Stated, TokenIfAny);

impl IncomingRequest for Request {
    type EndpointError = <Stated as IncomingRequest>::EndpointError;
    type OutgoingResponse = Response;

    fn try_from_http_request_inner(_: http::Request<&[u8]>, path_args: &[&str]) -> Result<Self, DeserializationError> {
        Ok(Self { room: RoomOrAliasId::parse(path_args.first().copied().unwrap_or_default())? })
    }
}

pub(super) async fn room_summary(Ruma { state, request, caller, .. }: Ruma<Request>) -> Result<JsonBytes, ApiError> {
    JsonBytes::of(&state.directory.summary(caller.as_ref(), &request.room).await?)
}

/// The paths of [MSC3266](https://github.com/matrix-org/matrix-spec-proposals/pull/3266) before it was accepted, both of which clients
/// still ask.
pub(super) fn unstable_paths(stable: &str) -> Vec<String> {
    let room = stable.rsplit('/').next().unwrap_or_default();
    let below = "/_matrix/client/unstable/im.nheko.summary";
    vec![format!("{below}/rooms/{room}/summary"), format!("{below}/summary/{room}")]
}
