//! `POST /_matrix/client/v3/publicRooms`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3publicrooms>

use ruma::{api::client::directory::get_public_rooms_filtered::v3::Request, directory::RoomNetwork};
use wardstead_directory::{PublicRooms, PublicRoomsQuery};

use super::public_rooms::{given, limit, ours};
use crate::{
    ApiError,
    ruma_io::{JsonBytes, Ruma},
};

pub(super) async fn public_rooms_search(Ruma { state, request, .. }: Ruma<Request>) -> Result<JsonBytes, ApiError> {
    ours(&state, request.server.as_deref())?;
    // Other networks come with application services, of which there are none yet.
    if matches!(request.room_network, RoomNetwork::ThirdParty(_)) {
        let none = PublicRooms { chunk: Vec::new(), next_batch: None, prev_batch: None, total_room_count_estimate: 0 };
        return JsonBytes::of(&none);
    }
    let room_types = request.filter.room_types.iter().map(|kind| kind.as_str().map(str::to_owned)).collect();
    let query = PublicRoomsQuery {
        term: request.filter.generic_search_term,
        room_types,
        limit: request.limit.map(limit),
        since: given(request.since),
    };
    JsonBytes::of(&state.directory.public_rooms(&query).await?)
}
