//! `GET /_matrix/media/v3/thumbnail/{serverName}/{mediaId}`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixmediav3thumbnailservernamemediaid>

#[expect(deprecated, reason = "old clients still ask here")]
use ruma::api::client::media::get_content_thumbnail::v3::Request;
use wardstead_media::Who;

use super::{
    range::Headed,
    served::{Served, of_this_server, served},
    thumbnail::asked,
};
use crate::{ApiError, ruma_io::Ruma};

/// Without a token, so only of what was uploaded while that was allowed.
#[expect(deprecated, reason = "old clients still ask here")]
pub(super) async fn old_thumbnail(Ruma { state, request, .. }: Ruma<Headed<Request>>) -> Result<Served, ApiError> {
    let Headed { request, wanted } = request;
    of_this_server(&state, &request.server_name)?;
    let asked = asked(request.width, request.height, request.method.as_ref(), request.animated);
    let thumbnail = state.media.thumbnail(&request.media_id, Who::Anybody, asked, request.timeout_ms).await?;
    served(&state.media, (&thumbnail, Who::Anybody), &wanted, None).await
}
