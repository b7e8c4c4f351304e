//! `PUT /_matrix/client/v3/presence/{userId}/status`
//!
//! Section: <https://spec.matrix.org/v1.16/client-server-api/#put_matrixclientv3presenceuseridstatus>

use std::future::{Ready, ready};

use ruma::api::client::presence::set_presence::v3::{Request, Response};
use wardstead_limits::ephemeral::PRESENCE_STATUS_BYTES;

use super::presence;
use crate::{ApiError, ApiState, ruma_io::Ruma};

/// For oneself. Where presence is switched off nothing follows from it. Without `status_msg` the message stays as it is.
pub(super) fn presence_set(Ruma { state, request, caller, .. }: Ruma<Request>) -> Ready<Result<Response, ApiError>> {
    if request.user_id != caller.user_id {
        return ready(Err(ApiError::forbidden("Presence is set for oneself.")));
    }
    ready(set(&state, &caller, request))
}

fn set(state: &ApiState, caller: &wardstead_accounts::Session, request: Request) -> Result<Response, ApiError> {
    let presence = presence::state(&request.presence)?;
    if request.status_msg.as_ref().is_some_and(|status| status.len() > PRESENCE_STATUS_BYTES) {
        return Err(ApiError::too_large(format!("A status message has at most {PRESENCE_STATUS_BYTES} bytes.")));
    }
    state.syncer.presence().set(caller, presence, request.status_msg);
    Ok(Response::new())
}
