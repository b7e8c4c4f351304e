//! `DELETE /_matrix/client/v3/profile/{userId}/{keyName}`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#delete_matrixclientv3profileuseridkeyname>

use ruma::api::client::profile::delete_profile_field::v3::{Request, Response};

use super::{own, told_with_presence};
use crate::{ApiError, ruma_io::Ruma};

pub(super) async fn field_remove(Ruma { state, request, caller, .. }: Ruma<Request>) -> Result<Response, ApiError> {
    own(&caller, &request.user_id)?;
    state.accounts.remove_profile_field(&caller.user_id, request.field.as_str()).await?;
    told_with_presence(&state, &caller, request.field.as_str());
    Ok(Response::new())
}
