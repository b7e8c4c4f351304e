//! `POST /_matrix/client/v3/keys/device_signing/upload`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keysdevice_signingupload>

use ruma::{
    CanonicalJsonObject,
    api::client::keys::upload_signing_keys::v3::{Request as Typed, Response},
};
use serde::Deserialize;
use wardstead_e2ee::{CrossSigned, CrossSigningUpload, E2eeError};
use wardstead_engine::Losing;
use wardstead_identity::{Act, Auth};
use wardstead_limits::store::REBUILDS;
use wardstead_store::StoreError;

use super::body::Sent;
use crate::{ApiError, ruma_io::Ruma};

#[derive(Deserialize)]
pub(super) struct Uploaded {
    master_key: Option<CanonicalJsonObject>,
    self_signing_key: Option<CanonicalJsonObject>,
    user_signing_key: Option<CanonicalJsonObject>,
    auth: Option<Auth>,
}

/// The first keys, and those that are kept already, need no confirmation
/// ([MSC3967](https://github.com/matrix-org/matrix-spec-proposals/pull/3967)).
pub(super) async fn device_signing_upload(
    Ruma { state, request, caller, .. }: Ruma<Sent<Typed, Uploaded>>,
) -> Result<Response, ApiError> {
    let Uploaded { master_key, self_signing_key, user_signing_key, auth } = request.body;
    let upload =
        CrossSigningUpload { master: master_key, self_signing: self_signing_key, user_signing: user_signing_key };
    let keys = serde_json::to_string(&[&upload.master, &upload.self_signing, &upload.user_signing]);
    let keys = keys.map_err(ApiError::internal)?;
    for _ in 0..REBUILDS {
        if state.keys.set_cross_signing(&caller, &upload, None).await? == CrossSigned::Kept {
            return Ok(Response::new());
        }
        let confirmed = state.identity.confirm(&caller, &Act::SetCrossSigningKeys(&keys), auth.as_ref()).await?;
        match state.keys.set_cross_signing(&caller, &upload, Some(&confirmed.batch())).await {
            // The session of the confirmation served another request meanwhile: it is looked at again.
            Err(E2eeError::Store(StoreError::Lost(Losing::Fail(_)))) => {}
            set => return set.map(|_| Response::new()).map_err(ApiError::from),
        }
    }
    Err(E2eeError::Contended.into())
}
