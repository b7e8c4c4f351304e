//! `GET /_matrix/media/v3/download/{serverName}/{mediaId}/{fileName}`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixmediav3downloadservernamemediaidfilename>

#[expect(deprecated, reason = "old clients still ask here")]
use ruma::api::client::media::get_content_as_filename::v3::Request;
use wardstead_media::Who;

use super::{
    range::Headed,
    served::{Served, of_this_server, served},
};
use crate::{ApiError, ruma_io::Ruma};

/// Without a token, so only what was uploaded while that was allowed.
#[expect(deprecated, reason = "old clients still ask here")]
pub(super) async fn old_download_as(Ruma { state, request, .. }: Ruma<Headed<Request>>) -> Result<Served, ApiError> {
    let Headed { request, wanted } = request;
    of_this_server(&state, &request.server_name)?;
    let file = state.media.file(&request.media_id, Who::Anybody, request.timeout_ms).await?;
    served(&state.media, (&file, Who::Anybody), &wanted, Some(&request.filename)).await
}
