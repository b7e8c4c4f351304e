//! Pages on which a stage of user-interactive authentication is completed in a web browser, for clients that do not know the stage.
//!
//! They hold no resource from elsewhere, and their content security policy lets nothing run but the one script that tells the client
//! that the stage is done.

mod fallback_answer;
mod fallback_page;
mod html;

use std::convert::Infallible;

use axum::{
    body::Body,
    extract::{FromRequestParts, Path, rejection::PathRejection},
    response::{IntoResponse as _, Response},
};
use http::{HeaderName, HeaderValue, Request, StatusCode, header, request::Parts};
use wardstead_accounts::Client;
use wardstead_identity::{Asked, HashError, PageError};

use crate::{ApiError, ApiState, routes::Routes};

/// Adds the pages to `routes`.
pub(super) fn routes(routes: Routes) -> Routes {
    const PATHS: [&str; 2] =
        ["/_matrix/client/v3/auth/{auth_type}/fallback/web", "/_matrix/client/r0/auth/{auth_type}/fallback/web"];
    routes.page(&http::Method::GET, &PATHS, &fallback_page::fallback_page).page(
        &http::Method::POST,
        &PATHS,
        &fallback_answer::fallback_answer,
    )
}

/// From where a page is asked for.
struct Asker(Client);

impl FromRequestParts<ApiState> for Asker {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, Infallible> {
        Ok(Self(state.config.trusted_proxies.client(&Request::from_parts(parts.clone(), ()))))
    }
}

/// The stage that the path names.
fn stage_in(path: Result<Path<String>, PathRejection>) -> String {
    path.map_or_else(|_| String::new(), |Path(stage)| stage)
}

/// What is shown instead of an error that only a program would read.
fn answered(asked: Result<Asked, PageError>, session: &str) -> Result<Response, ApiError> {
    let (status, page) = match asked {
        Ok(asked) => (StatusCode::OK, html::of(&asked, session)),
        Err(PageError::NothingAsked) => (StatusCode::NOT_FOUND, html::nothing_asked()),
        Err(PageError::Hash(HashError::Busy)) => (StatusCode::TOO_MANY_REQUESTS, html::busy()),
        Err(PageError::Hash(error)) => return Err(error.into()),
        Err(PageError::Identity(error)) => return Err(error.into()),
        Err(error) => return Err(ApiError::internal(error)),
    };
    Ok((status, headers(), Body::from(page)).into_response())
}

fn headers() -> [(HeaderName, &'static str); 3] {
    [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, html::CONTENT_SECURITY_POLICY),
        // The session stands in the address.
        (header::REFERRER_POLICY, "no-referrer"),
    ]
}

/// `response` as people can read it: an error that was meant for a program becomes a page, with its status and what else it says in its
/// headers.
pub(crate) fn for_people(response: Response) -> Response {
    if response.status().is_success() || response.headers().get(header::CONTENT_TYPE).is_none_or(is_html) {
        return response;
    }
    let (mut head, _) = response.into_parts();
    head.headers.remove(header::CONTENT_LENGTH);
    for (name, value) in headers() {
        head.headers.insert(name, HeaderValue::from_static(value));
    }
    let page = html::refused(head.status);
    Response::from_parts(head, Body::from(page))
}

fn is_html(content_type: &HeaderValue) -> bool {
    content_type.as_bytes().starts_with(b"text/html")
}
