//! `GET /_matrix/client/v1/rooms/{roomId}/hierarchy`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1roomsroomidhierarchy>

use ruma::api::client::space::get_hierarchy::v1::Request;
use wardstead_directory::HierarchyQuery;

use crate::{
    ApiError,
    ruma_io::{JsonBytes, Ruma},
};

pub(super) async fn hierarchy(Ruma { state, request, caller, .. }: Ruma<Request>) -> Result<JsonBytes, ApiError> {
    let query = HierarchyQuery {
        suggested_only: request.suggested_only,
        // More than fits is more than the bound.
        max_depth: request.max_depth.map(|depth| u32::try_from(u64::from(depth)).unwrap_or(u32::MAX)),
        limit: request.limit.map(|limit| usize::try_from(u64::from(limit)).unwrap_or(usize::MAX)),
        from: request.from,
    };
    JsonBytes::of(&state.directory.hierarchy(&caller, &request.room_id, &query).await?)
}
