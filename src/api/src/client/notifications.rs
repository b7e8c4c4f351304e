//! `GET /_matrix/client/v3/notifications`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3notifications>

use ruma::{
    MilliSecondsSinceUnixEpoch, UInt,
    api::client::push::get_notifications::v3::{Notification, Request, Response},
};
use wardstead_push::Wanted;

use crate::{ApiError, ruma_io::Ruma};

/// What the specification has no word for in `only` is passed over.
pub(super) async fn notifications(Ruma { state, request, caller, .. }: Ruma<Request>) -> Result<Response, ApiError> {
    let wanted = Wanted {
        from: request.from,
        limit: request.limit.map(|limit| usize::try_from(u64::from(limit)).unwrap_or(usize::MAX)),
        highlights: request.only.is_some_and(|only| only == "highlight"),
    };
    let page = state.push.notifications(&state.rooms, &caller, &wanted).await?;
    let mut shown = Vec::with_capacity(page.told.len());
    for told in page.told {
        let (event, membership) = &told.event;
        let json = state.rooms.client_json(event, &caller, Some(*membership)).to_raw();
        let json = json.map_err(|error| ApiError::internal(format!("a stored event is not JSON: {error}")))?;
        let ts = MilliSecondsSinceUnixEpoch(UInt::new_saturating(event.origin_server_ts));
        shown.push(Notification::new(told.notice.actions(), json, told.read, told.room_id, ts));
    }
    let mut response = Response::new(shown);
    response.next_token = page.next;
    Ok(response)
}
