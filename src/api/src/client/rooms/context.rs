//! `GET /_matrix/client/v3/rooms/{roomId}/context/{eventId}`
//!
//! Section: <https://spec.matrix.org/v1.16/client-server-api/#get_matrixclientv3roomsroomidcontexteventid>

use ruma::api::client::context::get_context::v3::{Request, Response};

use super::{
    shown::{count, show, show_all, show_seen},
    with_filter::WithFilter,
};
use crate::{ApiError, ruma_io::Ruma};

pub(super) async fn context(
    Ruma { state, request, caller, .. }: Ruma<WithFilter<Request>>,
) -> Result<Response, ApiError> {
    let WithFilter { request: Request { room_id, event_id, limit, .. }, filter } = request;
    let around = state.rooms.context(&caller, &room_id, &event_id, count(limit), &filter).await?;
    let mut response = Response::new();
    response.start = Some(around.start);
    response.end = Some(around.end);
    response.events_before = show_seen(&state, &caller, &around.before)?;
    response.event = Some(show(&state, &caller, &around.event.0, Some(around.event.1))?);
    response.events_after = show_seen(&state, &caller, &around.after)?;
    response.state = show_all(&state, &caller, &around.state)?;
    Ok(response)
}
