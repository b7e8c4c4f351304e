//! `POST /_matrix/client/v3/knock/{roomIdOrAlias}`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3knockroomidoralias>

use ruma::api::client::knock::knock_room::v3::{Request, Response};
use wardstead_rooms::Membership;

use super::join::room_id;
use crate::{ApiError, ruma_io::Ruma};

/// The servers in `via` are not asked: a room that this server is not in is one that it does not know.
pub(super) async fn knock(Ruma { state, request, caller, .. }: Ruma<Request>) -> Result<Response, ApiError> {
    let room_id = room_id(&state, request.room_id_or_alias).await?;
    state.rooms.set_membership(&caller, &room_id, &caller.user_id, Membership::Knock, request.reason).await?;
    Ok(Response::new(room_id))
}
