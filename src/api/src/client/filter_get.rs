//! `GET /_matrix/client/v3/user/{userId}/filter/{filterId}`
//!
//! Section: <https://spec.matrix.org/v1.16/client-server-api/#get_matrixclientv3useruseridfilterfilterid>

use std::future::{Ready, ready};

use ruma::api::client::filter::get_filter::v3::{Request, Response};

use super::filter_id;
use crate::{ApiError, ruma_io::Ruma};

pub(super) fn filter_get(Ruma { request, caller, .. }: Ruma<Request>) -> Ready<Result<Response, ApiError>> {
    if request.user_id != caller.user_id {
        return ready(Err(ApiError::forbidden("These are the filters of somebody else.")));
    }
    let filter = filter_id::read(&request.filter_id);
    ready(filter.map(Response::new).ok_or_else(|| ApiError::not_found("There is no such filter.")))
}
