//! `GET /_matrix/client/v1/media/thumbnail/{serverName}/{mediaId}`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1mediathumbnailservernamemediaid>

use ruma::{UInt, api::client::authenticated_media::get_content_thumbnail::v1::Request, media::Method};
use wardstead_media::{
    Who,
    thumbnail::{Asked, Fit},
};

use super::{
    range::Headed,
    served::{Served, of_this_server, served},
};
use crate::{ApiError, ruma_io::Ruma};

pub(super) async fn thumbnail(Ruma { state, request, .. }: Ruma<Headed<Request>>) -> Result<Served, ApiError> {
    let Headed { request, wanted } = request;
    of_this_server(&state, &request.server_name)?;
    let asked = asked(request.width, request.height, request.method.as_ref(), request.animated);
    let thumbnail = state.media.thumbnail(&request.media_id, Who::User, asked, request.timeout_ms).await?;
    served(&state.media, (&thumbnail, Who::User), &wanted, None).await
}

/// A thumbnail does not move unless that is asked for, and is scaled unless it is to be cropped.
pub(super) fn asked(width: UInt, height: UInt, method: Option<&Method>, animated: Option<bool>) -> Asked {
    let pixels = |number: UInt| u32::try_from(number).unwrap_or(u32::MAX);
    let fit = if method == Some(&Method::Crop) { Fit::Crop } else { Fit::Scale };
    Asked { width: pixels(width), height: pixels(height), fit, animated: animated.unwrap_or(false) }
}
