//! `GET /_matrix/client/v3/user/{userId}/account_data/{type}`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3useruseridaccount_datatype>

use ruma::api::client::config::get_global_account_data::v3::Request;

use super::{named::Named, room_get};
use crate::{
    ApiError,
    ruma_io::{JsonBytes, Ruma},
};

pub(super) async fn get(Ruma { state, request, caller, .. }: Ruma<Named<Request>>) -> Result<JsonBytes, ApiError> {
    room_get::found(&state, &caller, &request).await
}
