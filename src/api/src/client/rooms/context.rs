//! `GET /_matrix/client/v3/rooms/{roomId}/context/{eventId}`
//!
//! Section: <https://spec.matrix.org/v1.16/client-server-api/#get_matrixclientv3roomsroomidcontexteventid>

use ruma::{
    api::client::context::get_context::v3::Request,
    events::{AnyStateEvent, AnyTimelineEvent},
    serde::Raw,
};
use serde::Serialize;

use super::{
    shown::{count, show, show_all, show_seen},
    with_filter::WithFilter,
};
use crate::{
    ApiError,
    ruma_io::{JsonBytes, Ruma},
};

/// As ruma's, but that empty lists are written: there are clients that fail without them.
#[derive(Serialize)]
struct Response {
    start: String,
    end: String,
    events_before: Vec<Raw<AnyTimelineEvent>>,
    event: Raw<AnyTimelineEvent>,
    events_after: Vec<Raw<AnyTimelineEvent>>,
    state: Vec<Raw<AnyStateEvent>>,
}

pub(super) async fn context(
    Ruma { state, request, caller, .. }: Ruma<WithFilter<Request>>,
) -> Result<JsonBytes, ApiError> {
    let WithFilter { request: Request { room_id, event_id, limit, .. }, filter } = request;
    let around = state.rooms.context(&caller, &room_id, &event_id, count(limit), &filter).await?;
    let response = Response {
        start: around.start,
        end: around.end,
        events_before: show_seen(&state, &caller, &around.before)?,
        event: show(&state, &caller, &around.event.0, Some(around.event.1))?,
        events_after: show_seen(&state, &caller, &around.after)?,
        state: show_all(&state, &caller, &around.state)?,
    };
    Ok(JsonBytes(serde_json::to_vec(&response).map_err(ApiError::internal)?.into()))
}
