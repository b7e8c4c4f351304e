//! `GET /.well-known/matrix/client`
//!
//! Section: <https://spec.matrix.org/v1.16/client-server-api/#getwell-knownmatrixclient>

use std::future::{Ready, ready};

use ruma::api::client::discovery::discover_homeserver::{HomeserverInfo, Request, Response};

use crate::{ApiError, ruma_io::Ruma};

/// The configured address, or the one by which the client got here.
pub(super) fn well_known(Ruma { state, origin, .. }: Ruma<Request>) -> Ready<Result<Response, ApiError>> {
    let base_url = state.config.base_url.clone().or(origin);
    let base_url = base_url.ok_or_else(|| ApiError::not_found("This server does not know its own address."));
    ready(base_url.map(|base_url| Response::new(HomeserverInfo::new(base_url))))
}
