//! The one error of the HTTP interfaces. It *is* a response: status, Matrix error code and sentence.
//!
//! Each part's own error becomes one in a file of its own below; nowhere else is an `M_…` code chosen for it.

mod accounts;
mod directory;
mod e2ee;
mod identity;
mod media;
mod push;
mod rooms;
mod store;
mod sync;

use std::{borrow::Cow, fmt, time::Duration};

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use ruma::api::{
    client::uiaa::UiaaInfo,
    error::{ErrorKind, LimitExceededErrorData, RetryAfter, StandardErrorBody},
};
use serde::Serialize;
use wardstead_limits::api::{ERROR_SENTENCE_BYTES, RETRY_AFTER_S};

/// A refusal or failure, answered as [standard error response](https://spec.matrix.org/v1.16/client-server-api/#standard-error-response).
#[derive(Debug)]
pub struct ApiError(Box<Inner>);

#[derive(Debug)]
enum Inner {
    Matrix { status: StatusCode, kind: ErrorKind, sentence: Cow<'static, str>, cause: Option<Cause> },
    Interactive(UiaaInfo),
    Limited { what: Refused, retry_after_ms: u64, sentence: &'static str },
}

/// What somebody did too often, by the name that it has in the metrics. Travels as a response extension to where requests are counted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refused(pub(crate) &'static str);

/// What went wrong inside, for the log and never for the client. Travels as a response extension to the access log, which
/// knows the request id.
#[derive(Clone, Debug)]
pub(crate) struct Cause(pub(crate) String);

impl ApiError {
    /// An error with everything chosen by the caller; `sentence` is cut at [`ERROR_SENTENCE_BYTES`].
    pub(crate) fn new(status: StatusCode, kind: ErrorKind, sentence: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner::Matrix { status, kind, sentence: cut(sentence.into()), cause: None }))
    }

    /// 400 `M_BAD_JSON`: JSON, but not what the endpoint takes.
    pub(crate) fn bad_json(sentence: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, ErrorKind::BadJson, sentence)
    }

    /// 400 `M_NOT_JSON`.
    pub(crate) fn not_json(sentence: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, ErrorKind::NotJson, sentence)
    }

    /// 400 `M_INVALID_PARAM`: a path or query parameter, or a field, has a value that it cannot have.
    pub(crate) fn invalid_param(sentence: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, ErrorKind::InvalidParam, sentence)
    }

    /// 400 `M_MISSING_PARAM`.
    pub(crate) fn missing_param(sentence: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, ErrorKind::MissingParam, sentence)
    }

    /// 401 `M_MISSING_TOKEN`.
    pub(crate) fn missing_token(sentence: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, ErrorKind::MissingToken, sentence)
    }

    /// 403 `M_FORBIDDEN`.
    pub(crate) fn forbidden(sentence: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::FORBIDDEN, ErrorKind::Forbidden, sentence)
    }

    /// 404 `M_NOT_FOUND`.
    pub(crate) fn not_found(sentence: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, ErrorKind::NotFound, sentence)
    }

    /// 413 `M_TOO_LARGE`.
    pub(crate) fn too_large(sentence: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, ErrorKind::TooLarge, sentence)
    }

    /// 401 with the flows of [user-interactive authentication](https://spec.matrix.org/v1.16/client-server-api/#user-interactive-api-in-the-rest-api).
    pub(crate) fn interactive(info: UiaaInfo) -> Self {
        Self(Box::new(Inner::Interactive(info)))
    }

    /// 429 `M_LIMIT_EXCEEDED`, with the time after which it may be tried again in the body, in milliseconds, and in `Retry-After`, in
    /// seconds ([section](https://spec.matrix.org/v1.19/client-server-api/#rate-limiting)). `what` is what the metrics call it.
    pub(crate) fn limited(what: &'static str, retry_after_ms: u64, sentence: &'static str) -> Self {
        Self(Box::new(Inner::Limited { what: Refused(what), retry_after_ms, sentence }))
    }

    /// 503 `M_UNKNOWN` with `Retry-After`: the request failed as a whole and may be repeated (promise P3: data that could not be
    /// read is never answered as if there were none).
    pub(crate) fn unavailable(cause: impl fmt::Display) -> Self {
        Self(Box::new(Inner::Matrix {
            status: StatusCode::SERVICE_UNAVAILABLE,
            kind: ErrorKind::Unknown,
            sentence: Cow::Borrowed("The server cannot answer this now. Please try again."),
            cause: Some(Cause(cause.to_string())),
        }))
    }

    /// As [`Self::unavailable`], where the log has it already: a line for each request of a long outage tells nothing more.
    pub(crate) fn lost() -> Self {
        let sentence = "The server cannot reach its data now. Please try again.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, ErrorKind::Unknown, sentence)
    }

    /// 500 `M_UNKNOWN`; `cause` goes to the log only, and must hold no content of events and no token.
    pub(crate) fn internal(cause: impl fmt::Display) -> Self {
        Self(Box::new(Inner::Matrix {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            kind: ErrorKind::Unknown,
            sentence: Cow::Borrowed("The server failed. Its log has the details under this answer's X-Request-Id."),
            cause: Some(Cause(cause.to_string())),
        }))
    }
}

fn cut(sentence: Cow<'static, str>) -> Cow<'static, str> {
    if sentence.len() <= ERROR_SENTENCE_BYTES {
        return sentence;
    }
    let ends = sentence.char_indices().map(|(at, _)| at).take_while(|at| *at <= ERROR_SENTENCE_BYTES);
    let end = ends.last().unwrap_or(0);
    Cow::Owned(format!("{}…", &sentence[..end]))
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        match *self.0 {
            Inner::Interactive(info) => json(StatusCode::UNAUTHORIZED, &info),
            Inner::Limited { what, retry_after_ms, sentence } => {
                let mut data = LimitExceededErrorData::new();
                data.retry_after = Some(RetryAfter::Delay(Duration::from_millis(retry_after_ms)));
                let body = StandardErrorBody::new(ErrorKind::LimitExceeded(data), sentence.to_owned());
                let mut response = json(StatusCode::TOO_MANY_REQUESTS, &body);
                // Rounded up: who comes back before is refused again.
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(retry_after_ms.div_ceil(1_000)));
                response.extensions_mut().insert(what);
                response
            }
            Inner::Matrix { status, kind, sentence, cause } => {
                let mut response = json(status, &StandardErrorBody::new(kind, sentence.into_owned()));
                if status == StatusCode::SERVICE_UNAVAILABLE {
                    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_S));
                }
                if let Some(cause) = cause {
                    response.extensions_mut().insert(cause);
                }
                response
            }
        }
    }
}

/// A body that cannot be serialised can only be a fault of this server; the status is kept, so that the client still errs.
fn json(status: StatusCode, body: &impl Serialize) -> Response {
    let bytes = serde_json::to_vec(body).unwrap_or_else(|_| br#"{"errcode":"M_UNKNOWN","error":""}"#.to_vec());
    (status, [(header::CONTENT_TYPE, "application/json")], bytes).into_response()
}
