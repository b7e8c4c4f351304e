//! `GET /_matrix/client/v3/rooms/{roomId}/messages`
//!
//! Section: <https://spec.matrix.org/v1.16/client-server-api/#get_matrixclientv3roomsroomidmessages>

use ruma::{
    OwnedRoomId, RoomId,
    api::{
        Direction, IncomingRequest,
        client::message::get_message_events::v3::{Request as Known, Response},
        error::DeserializationError,
    },
};
use wardstead_rooms::Messages;

use super::{
    shown::{count, show_all, show_seen},
    with_filter::WithFilter,
};
use crate::{
    ApiError,
    endpoint::same_endpoint,
    ruma_io::{Ruma, misread},
};

/// The room, and what is asked of it: who may not read there is told that, whatever is wrong with the rest.
pub(super) struct Request {
    room_id: OwnedRoomId,
    rest: Result<WithFilter<Known>, DeserializationError>,
}

same_endpoint!(Request, Known);

impl IncomingRequest for Request {
    type EndpointError = <Known as IncomingRequest>::EndpointError;
    type OutgoingResponse = Response;

    fn try_from_http_request_inner(
        request: http::Request<&[u8]>,
        path_args: &[&str],
    ) -> Result<Self, DeserializationError> {
        let room_id = RoomId::parse(path_args.first().copied().unwrap_or_default())?;
        Ok(Self { room_id, rest: WithFilter::try_from_http_request_inner(request, path_args) })
    }
}

pub(super) async fn messages(Ruma { state, request, caller, .. }: Ruma<Request>) -> Result<Response, ApiError> {
    let WithFilter { request, filter } = match request.rest {
        Ok(rest) => rest,
        Err(error) => {
            state.rooms.access(&caller, &request.room_id).await?;
            return Err(misread(error));
        }
    };
    let asked = Messages {
        // There are clients that send an empty token where they have none.
        from: request.from.filter(|from| !from.is_empty()),
        to: request.to,
        backwards: request.dir == Direction::Backward,
        limit: Some(count(request.limit)),
        filter,
    };
    let page = state.rooms.messages(&caller, &request.room_id, &asked).await?;
    let mut response = Response::new();
    response.chunk = show_seen(&state, &caller, &page.events)?;
    response.state = show_all(&state, &caller, &page.state)?;
    response.start = page.start;
    response.end = page.end;
    Ok(response)
}
