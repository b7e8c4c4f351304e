//! `GET /_matrix/client/v3/thirdparty/user`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3thirdpartyuser>

use std::future::{Ready, ready};

use ruma::api::client::thirdparty::get_user_for_user_id::v3::{Request, Response};

use crate::{ApiError, ruma_io::Ruma};

pub(super) fn user(_: Ruma<Request>) -> Ready<Result<Response, ApiError>> {
    ready(Ok(Response::new(Vec::new())))
}
