//! `POST /_matrix/media/v3/upload`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixmediav3upload>

use ruma::{
    OwnedMxcUri,
    api::client::media::create_content::v3::{Request, Response},
};
use wardstead_media::About;

use crate::{
    ApiError, ApiState,
    ruma_io::{Ruma, WithFile},
};

pub(super) async fn upload(WithFile { asked, length, body }: WithFile<Request>) -> Result<Response, ApiError> {
    let Ruma { state, request, caller, .. } = asked;
    let about = About::new(request.content_type.as_deref(), request.filename.as_deref());
    let id = state.media.upload(caller.user, &about, length, body.into_data_stream()).await?;
    Ok(Response::new(uri(&state, &id)))
}

/// `mxc://example.org/abc`
pub(super) fn uri(state: &ApiState, id: &str) -> OwnedMxcUri {
    format!("mxc://{}/{id}", state.accounts.server_name()).into()
}
