//! `GET /_matrix/client/v3/thirdparty/protocol/{protocol}`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3thirdpartyprotocolprotocol>

use std::future::{Ready, ready};

use ruma::api::client::thirdparty::get_protocol::v3::{Request, Response};

use crate::{ApiError, ruma_io::Ruma};

pub(super) fn protocol(_: Ruma<Request>) -> Ready<Result<Response, ApiError>> {
    ready(Err(ApiError::not_found("There is no such protocol here.")))
}
