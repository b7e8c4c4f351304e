//! `POST /_matrix/client/v3/pushers/set`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3pushersset>

use ruma::api::{
    IncomingRequest,
    client::push::set_pusher::v3::{Request as Known, Response},
    error::DeserializationError,
};
use serde::Deserialize;
use serde_json::{Map, Value};
use wardstead_push::Pusher;

use crate::{ApiError, endpoint::same_endpoint, ruma_io::Ruma};

/// As ruma's, which does not tell what is missing and forgets what clients put into `data`.
#[derive(Deserialize)]
pub(super) struct Request {
    app_id: String,
    pushkey: String,
    /// `null` removes; it must be said.
    #[serde(deserialize_with = "Option::deserialize")]
    kind: Option<String>,
    app_display_name: Option<String>,
    device_display_name: Option<String>,
    profile_tag: Option<String>,
    lang: Option<String>,
    data: Option<Map<String, Value>>,
    #[serde(default)]
    append: bool,
}

same_endpoint!(Request, Known);

impl IncomingRequest for Request {
    type EndpointError = <Known as IncomingRequest>::EndpointError;
    type OutgoingResponse = Response;

    fn try_from_http_request_inner(request: http::Request<&[u8]>, _: &[&str]) -> Result<Self, DeserializationError> {
        Ok(serde_json::from_slice(request.body())?)
    }
}

pub(super) async fn set(Ruma { state, request, caller, .. }: Ruma<Request>) -> Result<Response, ApiError> {
    let Some(kind) = &request.kind else {
        state.pushers.remove(caller.user, &request.app_id, &request.pushkey).await?;
        return Ok(Response::new());
    };
    match kind.as_str() {
        "http" => {}
        "email" => return Err(ApiError::invalid_param("This server sends no e-mail.")),
        _ => return Err(ApiError::invalid_param("There is no such kind of pusher.")),
    }
    let append = request.append;
    let pusher = pusher(request)?;
    state.pushers.set(&caller, &pusher, append).await?;
    Ok(Response::new())
}

/// What a pusher of kind `http` has to have.
fn pusher(request: Request) -> Result<Pusher, ApiError> {
    let Request { app_id, pushkey, app_display_name, device_display_name, profile_tag, lang, data, .. } = request;
    let missing = |field: &str| ApiError::missing_param(format!("Missing parameter: {field}"));
    let mut data = data.ok_or_else(|| missing("data"))?;
    let url = match data.remove("url") {
        None => return Err(missing("data.url")),
        Some(Value::String(url)) => url,
        Some(_) => return Err(ApiError::bad_json("`data.url` is no text.")),
    };
    Ok(Pusher {
        app_id,
        pushkey,
        app_display_name: app_display_name.ok_or_else(|| missing("app_display_name"))?,
        device_display_name: device_display_name.ok_or_else(|| missing("device_display_name"))?,
        profile_tag,
        lang: lang.ok_or_else(|| missing("lang"))?,
        url,
        data,
    })
}
