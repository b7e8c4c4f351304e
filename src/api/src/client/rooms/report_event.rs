//! `POST /_matrix/client/v3/rooms/{roomId}/report/{eventId}`
//!
//! Section: <https://spec.matrix.org/v1.16/client-server-api/#post_matrixclientv3roomsroomidreporteventid>

use ruma::{
    EventId, OwnedEventId, OwnedRoomId, RoomId,
    api::{
        IncomingRequest,
        client::room::report_content::v3::{Request as WithoutScore, Response},
        error::DeserializationError,
    },
};
use serde::Deserialize;
use wardstead_rooms::Complaint;

use crate::{ApiError, endpoint::same_endpoint, ruma_io::Ruma};

/// As ruma's, with the `score` that was specified until version 1.18.
pub(super) struct Request {
    room_id: OwnedRoomId,
    event_id: OwnedEventId,
    body: Body,
}

#[derive(Deserialize)]
struct Body {
    reason: Option<String>,
    score: Option<i64>,
}

same_endpoint!(Request, WithoutScore);

impl IncomingRequest for Request {
    type EndpointError = <WithoutScore as IncomingRequest>::EndpointError;
    type OutgoingResponse = Response;

    fn try_from_http_request_inner(
        request: http::Request<&[u8]>,
        path_args: &[&str],
    ) -> Result<Self, DeserializationError> {
        let argument = |at: usize| path_args.get(at).copied().unwrap_or_default();
        Ok(Self {
            room_id: RoomId::parse(argument(0))?,
            event_id: EventId::parse(argument(1))?,
            body: serde_json::from_slice(request.body())?,
        })
    }
}

pub(super) async fn report_event(Ruma { state, request, caller, .. }: Ruma<Request>) -> Result<Response, ApiError> {
    let Request { room_id, event_id, body: Body { reason, score } } = request;
    state.rooms.report_event(&caller, &room_id, &event_id, Complaint { reason, score }).await?;
    Ok(Response::new())
}
