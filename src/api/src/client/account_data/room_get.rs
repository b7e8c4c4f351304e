//! `GET /_matrix/client/v3/user/{userId}/rooms/{roomId}/account_data/{type}`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3useruseridroomsroomidaccount_datatype>

use bytes::Bytes;
use ruma::api::client::config::get_room_account_data::v3::Request;
use wardstead_accounts::Session;

use super::named::Named;
use crate::{
    ApiError, ApiState,
    ruma_io::{JsonBytes, Ruma},
};

/// For a room that does not concern the user there is none, whether or not there is such a room.
pub(super) async fn room_get(Ruma { state, request, caller, .. }: Ruma<Named<Request>>) -> Result<JsonBytes, ApiError> {
    found(&state, &caller, &request).await
}

/// What stands there. What was removed, and what no type can be, is not there.
pub(super) async fn found<M>(state: &ApiState, caller: &Session, request: &Named<M>) -> Result<JsonBytes, ApiError> {
    request.check_own(caller)?;
    let data = match request.room_if_any(state, caller).await? {
        Some(room) => state.accounts.account_data(caller.user, room, &request.name).await?,
        None => None,
    };
    let content = data.and_then(|data| data.content);
    let content = content.ok_or_else(|| ApiError::not_found("There is no account data of this type."))?;
    Ok(JsonBytes(Bytes::copy_from_slice(content.get().as_bytes())))
}
