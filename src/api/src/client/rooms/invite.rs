//! `POST /_matrix/client/v3/rooms/{roomId}/invite`
//!
//! Section: <https://spec.matrix.org/v1.16/client-server-api/#post_matrixclientv3roomsroomidinvite>

use http::StatusCode;
use ruma::api::{
    client::membership::invite_user::v3::{InvitationRecipient, Request, Response},
    error::ErrorKind,
};
use wardstead_rooms::Membership;

use crate::{ApiError, ruma_io::Ruma};

pub(super) async fn invite(Ruma { state, request, caller, .. }: Ruma<Request>) -> Result<Response, ApiError> {
    let InvitationRecipient::UserId(invited) = request.recipient else { return Err(no_third_party_ids()) };
    state.rooms.set_membership(&caller, &request.room_id, &invited.user_id, Membership::Invite, invited.reason).await?;
    Ok(Response::new())
}

/// 403 `M_THREEPID_DENIED`: there is no identity server to ask whose address it is.
pub(in crate::client) fn no_third_party_ids() -> ApiError {
    ApiError::new(StatusCode::FORBIDDEN, ErrorKind::ThreepidDenied, "This server invites by user id only.")
}
