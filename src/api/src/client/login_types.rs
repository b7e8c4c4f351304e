//! `GET /_matrix/client/v3/login`
//!
//! Section: <https://spec.matrix.org/v1.16/client-server-api/#get_matrixclientv3login>

use std::future::{Ready, ready};

use ruma::api::client::session::get_login_types::v3::{
    LoginType, PasswordLoginType, Request, Response, TokenLoginType,
};

use crate::{ApiError, ruma_io::Ruma};

pub(super) fn login_types(Ruma { state, .. }: Ruma<Request>) -> Ready<Result<Response, ApiError>> {
    let mut flows = vec![LoginType::Password(PasswordLoginType::new())];
    if state.identity.gives_login_tokens() {
        let mut by_token = TokenLoginType::new();
        by_token.get_login_token = true;
        flows.push(LoginType::Token(by_token));
    }
    ready(Ok(Response::new(flows)))
}
