//! `GET /_matrix/client/v3/thirdparty/protocols`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3thirdpartyprotocols>

use std::{
    collections::BTreeMap,
    future::{Ready, ready},
};

use ruma::api::client::thirdparty::get_protocols::v3::{Request, Response};

use crate::{ApiError, ruma_io::Ruma};

pub(super) fn protocols(_: Ruma<Request>) -> Ready<Result<Response, ApiError>> {
    ready(Ok(Response::new(BTreeMap::new())))
}
