//! `GET /_matrix/client/v3/presence/{userId}/status`
//!
//! Section: <https://spec.matrix.org/v1.16/client-server-api/#get_matrixclientv3presenceuseridstatus>

use std::time::Duration;

use ruma::api::client::presence::get_presence::v3::{Request, Response};
use wardstead_accounts::PresenceState;

use super::presence;
use crate::{ApiError, ruma_io::Ruma};

/// One's own, and that of users with whom one shares a room. Who may not know is told the same whether there is such a user or not.
pub(super) async fn presence_get(Ruma { state, request, caller, .. }: Ruma<Request>) -> Result<Response, ApiError> {
    let user = if request.user_id == caller.user_id {
        caller.user
    } else {
        let user = state.accounts.user_short_id(&request.user_id).await?;
        let stranger = || ApiError::forbidden("You share no room with this user.");
        let user = user.ok_or_else(stranger)?;
        if !state.rooms.share_a_room(caller.user, user).await? {
            return Err(stranger());
        }
        user
    };
    let Some(of) = state.syncer.presence().of(user) else {
        return Ok(Response::new(presence::named(PresenceState::Offline)));
    };
    let mut response = Response::new(presence::named(of.state));
    response.status_msg = of.status;
    response.last_active_ago = of.active_ago_ms.map(Duration::from_millis);
    response.currently_active = Some(of.state == PresenceState::Online);
    Ok(response)
}
