//! `GET /_matrix/client/v1/rooms/{roomId}/relations/{eventId}/{relType}`
//!
//! Section: <https://spec.matrix.org/v1.16/client-server-api/#get_matrixclientv1roomsroomidrelationseventidreltype>

use ruma::api::{
    Direction,
    client::relations::get_relating_events_with_rel_type::v1::{Request, Response},
};
use wardstead_rooms::Relations;

use super::{relations::page, shown::count};
use crate::{ApiError, ruma_io::Ruma};

pub(super) async fn relations_by_type(
    Ruma { state, request, caller, .. }: Ruma<Request>,
) -> Result<Response, ApiError> {
    let asked = Relations {
        parent: request.event_id,
        rel_type: Some(request.rel_type.to_string()),
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
