//! `POST /_matrix/client/v3/rooms/{roomId}/invite`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidinvite>

use http::StatusCode;
use ruma::{
    OwnedRoomId, OwnedUserId, RoomId,
    api::{
        IncomingRequest,
        client::membership::{
            Invite3pid,
            invite_user::v3::{Request as Untagged, Response},
        },
        error::{DeserializationError, ErrorKind},
    },
};
use serde::Deserialize;
use serde_json::Value;
use wardstead_rooms::Membership;

use crate::{ApiError, endpoint::same_endpoint, ruma_io::Ruma};

/// As ruma's, but that a field that is missing is told by its name.
pub(super) struct Request {
    room_id: OwnedRoomId,
    recipient: Recipient,
}

enum Recipient {
    User(User),
    /// Somebody with an address or number.
    ThirdPartyId,
}

#[derive(Deserialize)]
struct User {
    user_id: OwnedUserId,
    reason: Option<String>,
}

/// Which of the two is meant.
#[derive(Deserialize)]
struct Either {
    user_id: Option<Value>,
    id_server: Option<Value>,
    medium: Option<Value>,
    address: Option<Value>,
}

same_endpoint!(Request, Untagged);

impl IncomingRequest for Request {
    type EndpointError = <Untagged as IncomingRequest>::EndpointError;
    type OutgoingResponse = Response;

    fn try_from_http_request_inner(
        request: http::Request<&[u8]>,
        path_args: &[&str],
    ) -> Result<Self, DeserializationError> {
        let room_id = RoomId::parse(path_args.first().copied().unwrap_or_default())?;
        let Either { user_id, id_server, medium, address } = serde_json::from_slice(request.body())?;
        let by_address = id_server.is_some() || medium.is_some() || address.is_some();
        let recipient = if user_id.is_none() && by_address {
            serde_json::from_slice::<Invite3pid>(request.body())?;
            Recipient::ThirdPartyId
        } else {
            Recipient::User(serde_json::from_slice(request.body())?)
        };
        Ok(Self { room_id, recipient })
    }
}

pub(super) async fn invite(Ruma { state, request, caller, .. }: Ruma<Request>) -> Result<Response, ApiError> {
    let Recipient::User(User { user_id, reason }) = request.recipient else { return Err(no_identity_server()) };
    state.rooms.set_membership(&caller, &request.room_id, &user_id, Membership::Invite, reason).await?;
    Ok(Response::new())
}

/// 403 `M_SERVER_NOT_TRUSTED`: whose address it is an identity server would have to tell, and this server trusts none.
pub(in crate::client) fn no_identity_server() -> ApiError {
    let sentence = "This server trusts no identity server: it invites by user id only.";
    ApiError::new(StatusCode::FORBIDDEN, ErrorKind::ServerNotTrusted, sentence)
}
