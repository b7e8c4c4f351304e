//! `GET /_matrix/client/v1/rooms/{roomId}/timestamp_to_event`
//!
//! Section: <https://spec.matrix.org/v1.16/client-server-api/#get_matrixclientv1roomsroomidtimestamp_to_event>

use ruma::{
    MilliSecondsSinceUnixEpoch, UInt,
    api::{
        Direction,
        client::room::get_event_by_timestamp::v1::{Request, Response},
    },
};

use crate::{ApiError, ruma_io::Ruma};

pub(super) async fn timestamp_to_event(
    Ruma { state, request, caller, .. }: Ruma<Request>,
) -> Result<Response, ApiError> {
    let (at_ms, backwards) = (u64::from(request.ts.get()), request.dir == Direction::Backward);
    let event = state.rooms.event_near(&caller, &request.room_id, at_ms, backwards).await?;
    let at = UInt::try_from(event.origin_server_ts).unwrap_or(UInt::MAX);
    Ok(Response::new(event.event_id.clone(), MilliSecondsSinceUnixEpoch(at)))
}
