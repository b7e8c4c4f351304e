//! `GET /_matrix/client/v1/rooms/{roomId}/threads`
//!
//! Section: <https://spec.matrix.org/v1.16/client-server-api/#get_matrixclientv1roomsroomidthreads>

use ruma::api::client::threads::get_threads::v1::{IncludeThreads, Request, Response};
use wardstead_rooms::Threads;

use super::shown::{count, show_seen};
use crate::{ApiError, ruma_io::Ruma};

pub(super) async fn threads(Ruma { state, request, caller, .. }: Ruma<Request>) -> Result<Response, ApiError> {
    let participated = match request.include {
        IncludeThreads::All => false,
        IncludeThreads::Participated => true,
        _ => return Err(ApiError::invalid_param("Threads are included all or those participated in.")),
    };
    if request.limit.is_some_and(|limit| u64::from(limit) == 0) {
        return Err(ApiError::invalid_param("The limit is greater than zero."));
    }
    let asked = Threads { participated, from: request.from, limit: request.limit.map(count) };
    let page = state.rooms.threads(&caller, &request.room_id, &asked).await?;
    let mut response = Response::new(show_seen(&state, &caller, &page.roots)?);
    response.next_batch = page.next;
    Ok(response)
}
