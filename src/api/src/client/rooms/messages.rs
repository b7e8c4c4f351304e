//! `GET /_matrix/client/v3/rooms/{roomId}/messages`
//!
//! Section: <https://spec.matrix.org/v1.16/client-server-api/#get_matrixclientv3roomsroomidmessages>

use ruma::api::{
    Direction,
    client::message::get_message_events::v3::{Request, Response},
};
use wardstead_rooms::Messages;

use super::{
    shown::{count, show_all, show_seen},
    with_filter::WithFilter,
};
use crate::{ApiError, ruma_io::Ruma};

pub(super) async fn messages(
    Ruma { state, request, caller, .. }: Ruma<WithFilter<Request>>,
) -> Result<Response, ApiError> {
    let WithFilter { request, filter } = request;
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
