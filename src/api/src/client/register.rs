//! `POST /_matrix/client/v3/register`
//!
//! Section: <https://spec.matrix.org/v1.16/client-server-api/#post_matrixclientv3register>

use ruma::{OwnedDeviceId, OwnedUserId, api::client::account::register::v3::Request};
use serde::Serialize;
use wardstead_identity::Registered;

use crate::{
    ApiError,
    interactive::Interactive,
    ruma_io::{JsonBytes, Ruma},
};

pub(super) async fn register(
    Ruma { state, request, client, .. }: Ruma<Interactive<Request>>,
) -> Result<JsonBytes, ApiError> {
    let registered = state.identity.register(request.request, request.auth.as_ref(), &client).await?;
    JsonBytes::of(&Response::from(registered))
}

/// What is answered. ruma's type says `null` of what the specification has absent where nobody is signed in.
#[derive(Serialize)]
struct Response {
    user_id: OwnedUserId,
    #[serde(flatten)]
    login: Option<SignedIn>,
}

#[derive(Serialize)]
struct SignedIn {
    device_id: OwnedDeviceId,
    access_token: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_in_ms: Option<u64>,
}

impl From<Registered> for Response {
    fn from(Registered { user_id, login }: Registered) -> Self {
        let login = login.map(|login| SignedIn {
            device_id: login.session.device_id,
            access_token: login.access_token,
            refresh_token: login.refresh_token,
            expires_in_ms: login.expires_in_ms,
        });
        Self { user_id, login }
    }
}
