//! `PUT /_matrix/client/v3/directory/list/room/{roomId}`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3directorylistroomroomid>

use ruma::{
    OwnedRoomId, RoomId,
    api::{
        IncomingRequest,
        client::{
            directory::set_room_visibility::v3::{Request as Stated, Response},
            room::Visibility,
        },
        error::DeserializationError,
    },
};
use serde::Deserialize;

use crate::{ApiError, endpoint::same_endpoint, ruma_io::Ruma};

/// As ruma's, but that `visibility` may be left out, as the specification has it.
pub(super) struct Request {
    room_id: OwnedRoomId,
    visibility: Option<Visibility>,
}

#[derive(Deserialize)]
struct Body {
    visibility: Option<Visibility>,
}

same_endpoint!(Request, Stated);

impl IncomingRequest for Request {
    type EndpointError = <Stated as IncomingRequest>::EndpointError;
    type OutgoingResponse = Response;

    fn try_from_http_request_inner(
        request: http::Request<&[u8]>,
        path_args: &[&str],
    ) -> Result<Self, DeserializationError> {
        let body: Body = serde_json::from_slice(request.body())?;
        let room_id = RoomId::parse(path_args.first().copied().unwrap_or_default())?;
        Ok(Self { room_id, visibility: body.visibility })
    }
}

/// Public where nothing is said.
pub(super) async fn listed_set(Ruma { state, request, caller, .. }: Ruma<Request>) -> Result<Response, ApiError> {
    let published = match request.visibility {
        None | Some(Visibility::Public) => true,
        Some(Visibility::Private) => false,
        Some(_) => return Err(ApiError::invalid_param("The visibility is either public or private.")),
    };
    state.directory.set_published(&caller, &request.room_id, published).await?;
    Ok(Response::new())
}
