//! `POST /_matrix/client/v3/rooms/{roomId}/ban`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidban>

use ruma::api::client::membership::ban_user::v3::{Request, Response};
use wardstead_rooms::Membership;

use crate::{ApiError, ruma_io::Ruma};

pub(super) async fn ban(Ruma { state, request, caller, .. }: Ruma<Request>) -> Result<Response, ApiError> {
    let Request { room_id, user_id, reason, .. } = request;
    state.rooms.set_membership(&caller, &room_id, &user_id, Membership::Ban, reason).await?;
    Ok(Response::new())
}
