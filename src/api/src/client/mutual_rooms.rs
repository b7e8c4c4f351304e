//! `GET /_matrix/client/v1/mutual_rooms`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1mutual_rooms>

use ruma::{
    UInt,
    api::client::membership::get_mutual_rooms::v1::{Request, Response},
};

use crate::{ApiError, ruma_io::Ruma};

pub(super) async fn mutual_rooms(Ruma { state, request, caller, .. }: Ruma<Request>) -> Result<Response, ApiError> {
    let page = state.rooms.mutual_rooms(&caller, &request.user_id, request.from.as_deref()).await?;
    let count = UInt::try_from(page.count).unwrap_or(UInt::MAX);
    let mut response = Response::new(count, page.joined);
    response.next_batch = page.next_batch;
    Ok(response)
}

/// The path of [MSC2666](https://github.com/matrix-org/matrix-spec-proposals/pull/2666) before it was accepted.
pub(super) fn unstable_paths(_: &str) -> Vec<String> {
    vec!["/_matrix/client/unstable/uk.half-shot.msc2666/user/mutual_rooms".to_owned()]
}
