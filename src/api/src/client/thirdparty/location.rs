//! `GET /_matrix/client/v3/thirdparty/location`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3thirdpartylocation>

use std::future::{Ready, ready};

use ruma::api::client::thirdparty::get_location_for_room_alias::v3::{Request, Response};

use crate::{ApiError, ruma_io::Ruma};

pub(super) fn location(_: Ruma<Request>) -> Ready<Result<Response, ApiError>> {
    ready(Ok(Response::new(Vec::new())))
}
