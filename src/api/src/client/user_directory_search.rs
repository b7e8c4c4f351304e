//! `POST /_matrix/client/v3/user_directory/search`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3user_directorysearch>

use ruma::api::client::user_directory::search_users::v3::Request;
use wardstead_directory::PeopleQuery;

use crate::{
    ApiError,
    ruma_io::{JsonBytes, Ruma},
};

/// By which language names are compared makes no difference here: case and accents never count.
pub(super) async fn user_directory_search(
    Ruma { state, request, caller, .. }: Ruma<Request>,
) -> Result<JsonBytes, ApiError> {
    let limit = Some(usize::try_from(u64::from(request.limit)).unwrap_or(usize::MAX));
    let query = PeopleQuery { term: request.search_term, limit };
    JsonBytes::of(&state.directory.search_people(&caller, &query).await?)
}
