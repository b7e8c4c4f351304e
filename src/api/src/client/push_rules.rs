//! `GET /_matrix/client/v3/pushrules/`
//!
//! Section: <https://spec.matrix.org/v1.16/client-server-api/#get_matrixclientv3pushrules>
//!
//! Clients ask for the rules before they sync, to know what notifies.

use std::future::{Ready, ready};

use ruma::{
    api::client::push::get_pushrules_all::v3::{Request, Response},
    push::Ruleset,
};

use crate::{ApiError, ruma_io::Ruma};

pub(super) fn push_rules(Ruma { caller, .. }: Ruma<Request>) -> Ready<Result<Response, ApiError>> {
    ready(Ok(Response::new(Ruleset::server_default(&caller.user_id))))
}
