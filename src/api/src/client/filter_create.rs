//! `POST /_matrix/client/v3/user/{userId}/filter`
//!
//! Section: <https://spec.matrix.org/v1.16/client-server-api/#post_matrixclientv3useruseridfilter>

use std::future::{Ready, ready};

use ruma::api::client::filter::create_filter::v3::{Request, Response};

use super::filter_id;
use crate::{ApiError, ruma_io::Ruma};

pub(super) fn filter_create(Ruma { request, caller, .. }: Ruma<Request>) -> Ready<Result<Response, ApiError>> {
    if request.user_id != caller.user_id {
        return ready(Err(ApiError::forbidden("Filters are made for oneself.")));
    }
    ready(filter_id::write(&request.filter).map(Response::new))
}
