//! `GET /_matrix/client/v3/account/whoami`
//!
//! Section: <https://spec.matrix.org/v1.16/client-server-api/#get_matrixclientv3accountwhoami>

use std::future::{Ready, ready};

use ruma::api::client::account::whoami::v3::{Request, Response};

use crate::{ApiError, ruma_io::Ruma};

pub(super) fn whoami(Ruma { caller, .. }: Ruma<Request>) -> Ready<Result<Response, ApiError>> {
    let mut response = Response::new(caller.user_id, caller.guest);
    response.device_id = Some(caller.device_id);
    ready(Ok(response))
}
