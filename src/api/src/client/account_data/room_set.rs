//! `PUT /_matrix/client/v3/user/{userId}/rooms/{roomId}/account_data/{type}`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3useruseridroomsroomidaccount_datatype>

use ruma::api::client::config::set_room_account_data::v3::{Request, Response};

use super::named::Named;
use crate::{ApiError, ruma_io::Ruma};

/// `{}` removes it ([MSC3391](https://github.com/matrix-org/matrix-spec-proposals/pull/3391)).
pub(super) async fn room_set(Ruma { state, request, caller, .. }: Ruma<Named<Request>>) -> Result<Response, ApiError> {
    request.check_own(&caller)?;
    let room = request.room(&state, &caller).await?;
    state.accounts.set_account_data(caller.user, room, &request.name, request.content()?).await?;
    Ok(Response::new())
}
