//! `GET /_matrix/client/v3/rooms/{roomId}/messages`
//!
//! Section: <https://spec.matrix.org/v1.16/client-server-api/#get_matrixclientv3roomsroomidmessages>

use ruma::api::{
    Direction,
    client::message::get_message_events::v3::{Request, Response},
};
use wardstead_rooms::Messages;

use super::shown::show;
use crate::{ApiError, ruma_io::Ruma};

pub(super) async fn messages(Ruma { state, request, caller, .. }: Ruma<Request>) -> Result<Response, ApiError> {
    let asked = Messages {
        // There are clients that send an empty token where they have none.
        from: request.from.filter(|from| !from.is_empty()),
        to: request.to,
        backwards: request.dir == Direction::Backward,
        // More than a number of this machine is more than the rooms' own bound.
        limit: Some(usize::try_from(u64::from(request.limit)).unwrap_or(usize::MAX)),
        filter: request.filter.into(),
    };
    let page = state.rooms.messages(&caller, &request.room_id, &asked).await?;
    let shown = page.events.iter().map(|(event, membership)| show(&state, &caller, event, Some(*membership)));
    let mut response = Response::new();
    response.chunk = shown.collect::<Result<_, _>>()?;
    response.start = page.start;
    response.end = page.end;
    Ok(response)
}
