//! `PUT /_matrix/media/v3/upload/{serverName}/{mediaId}`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#put_matrixmediav3uploadservernamemediaid>

use bytes::Bytes;
use ruma::api::client::media::create_content_async::v3::Request;
use wardstead_media::About;

use super::served::of_this_server;
use crate::{
    ApiError,
    ruma_io::{JsonBytes, Ruma, WithFile},
};

pub(super) async fn upload_to(WithFile { asked, length, body }: WithFile<Request>) -> Result<JsonBytes, ApiError> {
    let Ruma { state, request, caller, .. } = asked;
    of_this_server(&state, &request.server_name)?;
    let about = About::new(request.content_type.as_deref(), request.filename.as_deref());
    state.media.fill(caller.user, &request.media_id, &about, length, body.into_data_stream()).await?;
    Ok(JsonBytes(Bytes::from_static(b"{}")))
}
