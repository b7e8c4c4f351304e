//! `GET /_matrix/client/v1/media/download/{serverName}/{mediaId}/{fileName}`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1mediadownloadservernamemediaidfilename>

use ruma::api::client::authenticated_media::get_content_as_filename::v1::Request;
use wardstead_media::Who;

use super::{
    range::Headed,
    served::{Served, of_this_server, served},
};
use crate::{ApiError, ruma_io::Ruma};

pub(super) async fn download_as(Ruma { state, request, .. }: Ruma<Headed<Request>>) -> Result<Served, ApiError> {
    let Headed { request, wanted } = request;
    of_this_server(&state, &request.server_name)?;
    let file = state.media.file(&request.media_id, Who::User, request.timeout_ms).await?;
    served(&state.media, (&file, Who::User), &wanted, Some(&request.filename)).await
}
