//! `GET /_matrix/client/v1/rooms/{roomId}/relations/{eventId}`
//!
//! Section: <https://spec.matrix.org/v1.16/client-server-api/#get_matrixclientv1roomsroomidrelationseventid>

use ruma::{
    RoomId, UInt,
    api::{
        Direction,
        client::relations::get_relating_events::v1::{Request, Response},
    },
    events::AnyMessageLikeEvent,
    serde::Raw,
};
use wardstead_accounts::Session;
use wardstead_rooms::{Relations, RoomError};

use super::shown::{count, show_seen};
use crate::{ApiError, ApiState, ruma_io::Ruma};

pub(super) async fn relations(Ruma { state, request, caller, .. }: Ruma<Request>) -> Result<Response, ApiError> {
    let asked = Relations {
        parent: request.event_id,
        rel_type: None,
        event_type: None,
        from: request.from,
        to: request.to,
        backwards: request.dir == Direction::Backward,
        limit: request.limit.map(count),
        recurse: request.recurse,
    };
    let page = page(&state, &caller, &request.room_id, &asked).await?;
    let mut response = Response::new(page.chunk);
    (response.next_batch, response.prev_batch) = (page.next, page.previous);
    response.recursion_depth = page.depth;
    Ok(response)
}

/// What the answers of the three endpoints say.
pub(super) struct Page {
    pub(super) chunk: Vec<Raw<AnyMessageLikeEvent>>,
    pub(super) next: Option<String>,
    pub(super) previous: Option<String>,
    pub(super) depth: Option<UInt>,
}

/// A parent that the caller may not see is not found, whatever the reason.
pub(super) async fn page(
    state: &ApiState,
    caller: &Session,
    room_id: &RoomId,
    asked: &Relations,
) -> Result<Page, ApiError> {
    let page = match state.rooms.relations(caller, room_id, asked).await {
        Err(RoomError::Forbidden(_)) => {
            return Err(ApiError::not_found("There is no such event, or you may not see it."));
        }
        other => other?,
    };
    Ok(Page {
        chunk: show_seen(state, caller, &page.events)?,
        next: page.next,
        previous: page.previous,
        depth: page.depth.and_then(|depth| UInt::try_from(depth as u64).ok()),
    })
}
