//! `POST /_matrix/client/v3/join/{roomIdOrAlias}`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3joinroomidoralias>

use ruma::{
    OwnedRoomAliasId, OwnedRoomId, OwnedRoomOrAliasId,
    api::client::membership::join_room_by_id_or_alias::v3::{Request, Response},
};
use wardstead_rooms::Membership;

use crate::{ApiError, ApiState, ruma_io::Ruma};

/// The servers in `via` are not asked: a room that this server is not in is one that it does not know.
pub(super) async fn join(Ruma { state, request, caller, .. }: Ruma<Request>) -> Result<Response, ApiError> {
    let room_id = room_id(&state, request.room_id_or_alias).await?;
    state.rooms.set_membership(&caller, &room_id, &caller.user_id, Membership::Join, request.reason).await?;
    Ok(Response::new(room_id))
}

/// The room that is meant.
///
/// # Errors
/// 404 `M_NOT_FOUND` for an alias that leads nowhere.
pub(super) async fn room_id(state: &ApiState, named: OwnedRoomOrAliasId) -> Result<OwnedRoomId, ApiError> {
    match OwnedRoomId::try_from(named) {
        Ok(room_id) => Ok(room_id),
        Err(named) => {
            let missing = || ApiError::not_found("There is no room with this alias.");
            let alias = OwnedRoomAliasId::try_from(named.as_str()).map_err(|_| missing())?;
            state.rooms.resolve_alias(&alias).await?.ok_or_else(missing)
        }
    }
}
