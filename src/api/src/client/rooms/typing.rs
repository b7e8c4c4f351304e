//! `PUT /_matrix/client/v3/rooms/{roomId}/typing/{userId}`
//!
//! Section: <https://spec.matrix.org/v1.16/client-server-api/#put_matrixclientv3roomsroomidtypinguserid>

use ruma::{
    OwnedRoomId, OwnedUserId, RoomId, UserId,
    api::{
        IncomingRequest,
        client::typing::create_typing_event::v3::{Request as WithTimeout, Response},
        error::DeserializationError,
    },
};
use serde::Deserialize;
use wardstead_limits::ephemeral::TYPING_TIMEOUT_MS;
use wardstead_rooms::Membership;

use crate::{ApiError, endpoint::same_endpoint, ruma_io::Ruma};

/// As ruma's, but that `timeout` may be left out when the user types, as the specification has it.
pub(super) struct Request {
    room_id: OwnedRoomId,
    user_id: OwnedUserId,
    state: State,
}

#[derive(Deserialize)]
struct State {
    typing: bool,
    /// Milliseconds from now.
    timeout: Option<u64>,
}

same_endpoint!(Request, WithTimeout);

impl IncomingRequest for Request {
    type EndpointError = <WithTimeout as IncomingRequest>::EndpointError;
    type OutgoingResponse = Response;

    fn try_from_http_request_inner(
        request: http::Request<&[u8]>,
        path_args: &[&str],
    ) -> Result<Self, DeserializationError> {
        let argument = |at: usize| path_args.get(at).copied().unwrap_or_default();
        Ok(Self {
            room_id: RoomId::parse(argument(0))?,
            user_id: UserId::parse(argument(1))?,
            state: serde_json::from_slice(request.body())?,
        })
    }
}

/// For oneself, where one is joined. Longer than the bound is as long as the bound.
pub(super) async fn typing(Ruma { state, request, caller, .. }: Ruma<Request>) -> Result<Response, ApiError> {
    if request.user_id != caller.user_id {
        return Err(ApiError::forbidden("Nobody types for somebody else."));
    }
    let access = state.rooms.access(&caller, &request.room_id).await?;
    if access.membership != Some(Membership::Join) {
        return Err(ApiError::forbidden("You are not in this room."));
    }
    let State { typing, timeout } = request.state;
    if typing {
        state.syncer.presence().acted(&caller);
    }
    let timeout_ms = if typing { timeout.unwrap_or(TYPING_TIMEOUT_MS) } else { 0 };
    state.syncer.typing().set(&caller, access.room.short, timeout_ms).await;
    Ok(Response::new())
}
