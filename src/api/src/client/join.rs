//! `POST /_matrix/client/v3/join/{roomIdOrAlias}`
//!
//! Section: <https://spec.matrix.org/v1.16/client-server-api/#post_matrixclientv3joinroomidoralias>

use ruma::{
    OwnedRoomId,
    api::client::membership::join_room_by_id_or_alias::v3::{Request, Response},
};
use wardstead_rooms::Membership;

use crate::{ApiError, ruma_io::Ruma};

/// This server keeps no aliases yet, so that each is one that nobody has set.
pub(super) async fn join(Ruma { state, request, caller, .. }: Ruma<Request>) -> Result<Response, ApiError> {
    let room_id = OwnedRoomId::try_from(request.room_id_or_alias)
        .map_err(|_| ApiError::not_found("There is no room with this alias."))?;
    state.rooms.set_membership(&caller, &room_id, &caller.user_id, Membership::Join, request.reason).await?;
    Ok(Response::new(room_id))
}
