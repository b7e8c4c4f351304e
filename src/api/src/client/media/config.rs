//! `GET /_matrix/client/v1/media/config`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1mediaconfig>

use ruma::{
    UInt,
    api::client::authenticated_media::get_media_config::v1::{Request, Response},
};

use crate::{ApiError, ruma_io::Ruma};

pub(super) async fn config(Ruma { state, .. }: Ruma<Request>) -> Result<Response, ApiError> {
    Ok(Response::new(UInt::new_saturating(state.media.file_bytes())))
}
