//! `POST /_matrix/client/v3/join/{roomIdOrAlias}`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3joinroomidoralias>

use ruma::{
    OwnedRoomAliasId, OwnedRoomId, OwnedRoomOrAliasId,
    api::{
        IncomingRequest,
        client::membership::join_room_by_id_or_alias::v3::{Request as Known, Response},
        error::DeserializationError,
    },
};
use serde_json::value::RawValue;

use crate::{ApiError, ApiState, endpoint::same_endpoint, ruma_io::Ruma};

/// A request to join with its whole body: clients put fields of their own into their member event so.
pub(in crate::client) struct Joining<R> {
    pub(in crate::client) known: R,
    pub(in crate::client) body: Box<RawValue>,
}

same_endpoint!(Joining<R>, R);

impl<R: IncomingRequest> IncomingRequest for Joining<R> {
    type EndpointError = R::EndpointError;
    type OutgoingResponse = R::OutgoingResponse;

    fn try_from_http_request_inner(
        request: http::Request<&[u8]>,
        path_args: &[&str],
    ) -> Result<Self, DeserializationError> {
        let body = serde_json::from_slice(request.body())?;
        Ok(Self { known: R::try_from_http_request_inner(request, path_args)?, body })
    }
}

/// The servers in `via` are not asked: a room that this server is not in is one that it does not know.
pub(super) async fn join(Ruma { state, request, caller, .. }: Ruma<Joining<Known>>) -> Result<Response, ApiError> {
    let room_id = room_id(&state, request.known.room_id_or_alias).await?;
    state.rooms.join(&caller, &room_id, &request.body).await?;
    Ok(Response::new(room_id))
}

/// The room that is meant.
///
/// # Errors
/// 404 `M_NOT_FOUND` for an alias that leads nowhere.
pub(super) async fn room_id(state: &ApiState, named: OwnedRoomOrAliasId) -> Result<OwnedRoomId, ApiError> {
    match OwnedRoomId::try_from(named) {
        Ok(room_id) => Ok(room_id),
        Err(named) => {
            let missing = || ApiError::not_found("There is no room with this alias.");
            let alias = OwnedRoomAliasId::try_from(named.as_str()).map_err(|_| missing())?;
            state.rooms.resolve_alias(&alias).await?.ok_or_else(missing)
        }
    }
}
