//! `GET /_matrix/client/v3/login`
//!
//! Section: <https://spec.matrix.org/v1.16/client-server-api/#get_matrixclientv3login>

use std::future::{Ready, ready};

use ruma::api::client::session::get_login_types::v3::{LoginType, PasswordLoginType, Request, Response};

use crate::{ApiError, ruma_io::Ruma};

pub(super) fn login_types(_: Ruma<Request>) -> Ready<Result<Response, ApiError>> {
    ready(Ok(Response::new(vec![LoginType::Password(PasswordLoginType::new())])))
}
