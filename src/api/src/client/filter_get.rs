//! `GET /_matrix/client/v3/user/{userId}/filter/{filterId}`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3useruseridfilterfilterid>

use ruma::api::client::filter::get_filter::v3::Request;

use crate::{
    ApiError,
    ruma_io::{JsonBytes, Ruma},
};

pub(super) async fn filter_get(Ruma { state, request, caller, .. }: Ruma<Request>) -> Result<JsonBytes, ApiError> {
    if request.user_id != caller.user_id {
        return Err(ApiError::forbidden("These are the filters of somebody else."));
    }
    let filter = state.accounts.filter(caller.user, &request.filter_id).await?;
    let filter = filter.ok_or_else(|| ApiError::not_found("There is no such filter."))?;
    Ok(JsonBytes(filter.into()))
}
