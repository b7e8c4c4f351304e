//! The pair of wrappers between HTTP and ruma's types: [`Ruma`] in, [`Answer`] out.

use axum::{
    body::Body,
    extract::{RawPathParams, Request},
    response::{IntoResponse, Response},
};
use bytes::{Bytes, BytesMut};
use http::header;
use ruma::api::{
    IncomingRequest, IncomingRequestExt as _, Metadata, OutgoingResponse, OutgoingResponseExt as _,
    error::{DeserializationError, FromHttpRequestError},
};

use wardstead_accounts::Client;

use crate::{ApiError, ApiState, Group, access::Access, body::read_object};

/// A request that was admitted, read and understood.
pub(crate) struct Ruma<R: Metadata<Authentication: Access>> {
    /// The parts to ask.
    pub(crate) state: ApiState,
    /// What was asked.
    pub(crate) request: R,
    /// Who asks; what that is depends on the endpoint's authentication scheme.
    pub(crate) caller: <R::Authentication as Access>::Caller,
    /// `scheme://authority` by which the client reached this server, if it says so in a way that can be a URL.
    pub(crate) origin: Option<String>,
    /// From where they ask.
    pub(crate) client: Client,
}

impl<R> Ruma<R>
where
    R: IncomingRequest + Metadata<Authentication: Access>,
{
    /// Reads `request` to an endpoint that is counted in `group`.
    ///
    /// In this order: token, limit, path, body, types. Who has no token learns nothing else, and the body of who has none or asks too often
    /// is not read.
    ///
    /// # Errors
    /// Whatever is wrong with the request.
    pub(crate) async fn read(request: Request, state: &ApiState, group: Option<Group>) -> Result<Self, ApiError> {
        let (admitted, body) = Admitted::<R>::admit(request, state, group).await?;
        let body = read_object(admitted.head.method(), body).await?;
        admitted.understood(state, &body)
    }
}

/// A request whose body is a file. It is not read here.
pub(crate) struct WithFile<R: Metadata<Authentication: Access>> {
    /// Everything but the body, which for ruma's type is an empty one.
    pub(crate) asked: Ruma<R>,
    /// Bytes of the file, where the client says how many.
    pub(crate) length: Option<u64>,
    /// The file.
    pub(crate) body: Body,
}

impl<R> WithFile<R>
where
    R: IncomingRequest + Metadata<Authentication: Access>,
{
    /// As [`Ruma::read`], without the body.
    ///
    /// # Errors
    /// Whatever is wrong with the rest of the request.
    pub(crate) async fn read(request: Request, state: &ApiState, group: Option<Group>) -> Result<Self, ApiError> {
        let (admitted, body) = Admitted::<R>::admit(request, state, group).await?;
        let length = admitted.head.headers().get(header::CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
        Ok(Self { asked: admitted.understood(state, &[])?, length, body })
    }
}

/// A request that was admitted.
struct Admitted<R: Metadata<Authentication: Access>> {
    head: http::Request<()>,
    arguments: Vec<String>,
    caller: <R::Authentication as Access>::Caller,
    client: Client,
}

impl<R> Admitted<R>
where
    R: IncomingRequest + Metadata<Authentication: Access>,
{
    async fn admit(request: Request, state: &ApiState, group: Option<Group>) -> Result<(Self, Body), ApiError> {
        use axum::extract::FromRequestParts as _;

        let (mut parts, body) = request.into_parts();
        let arguments = RawPathParams::from_request_parts(&mut parts, state).await;
        let head = Request::from_parts(parts, ());
        let client = state.config.trusted_proxies.client(&head);
        let caller = R::Authentication::admit(state, &head, &client).await?;
        if let Some(group) = group {
            state.limiter.count(group, &client, R::Authentication::account(&caller), 1)?;
        }
        let arguments = arguments.map_err(|_| ApiError::invalid_param("The path is not percent-encoded UTF-8."))?;
        let arguments = arguments.iter().map(|(_, value)| value.to_owned()).collect();
        Ok((Self { head, arguments, caller, client }, body))
    }

    fn understood(self, state: &ApiState, body: &[u8]) -> Result<Ruma<R>, ApiError> {
        let Self { head, arguments, caller, client } = self;
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let origin = origin(&head);
        let request = R::try_from_http_request(head.map(|()| body), &arguments).map_err(malformed)?;
        Ok(Ruma { state: state.clone(), request, caller, origin, client })
    }
}

/// Behind a proxy that ends TLS the scheme is in `X-Forwarded-Proto`. The result is only ever told to the client that sent it.
fn origin(head: &Request<()>) -> Option<String> {
    let host = head.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let authority: http::uri::Authority = match (head.uri().authority(), host) {
        (Some(authority), _) => authority.clone(),
        (None, host) => host?.parse().ok()?,
    };
    let tls = head.headers().get("x-forwarded-proto").is_some_and(|scheme| scheme == "https");
    let plain = !authority.as_str().contains('@');
    plain.then(|| format!("{}://{authority}", if tls { "https" } else { "http" }))
}

/// What a client did wrong. The body is known to be a JSON object by now, so all that is left is a wrong type or a missing field.
fn malformed(error: FromHttpRequestError) -> ApiError {
    let FromHttpRequestError::Deserialization(error) = error else {
        return ApiError::internal("a request reached an endpoint of another method");
    };
    misread(error)
}

/// The same, of what a request's own type could not read.
pub(crate) fn misread(error: DeserializationError) -> ApiError {
    let sentence = error.to_string();
    // serde tells a missing field only by this text.
    if sentence.starts_with("missing field") {
        return ApiError::missing_param(sentence);
    }
    match error {
        DeserializationError::Json(error) if error.is_data() => ApiError::bad_json(sentence),
        DeserializationError::Json(_) => ApiError::not_json(sentence),
        _ => ApiError::invalid_param(sentence),
    }
}

/// What a handler gives back.
pub(crate) trait Answer: Send + 'static {
    /// The response.
    ///
    /// # Errors
    /// A fault of this server: a value that cannot be written as JSON or header.
    fn into_answer(self) -> Result<Response, ApiError>;
}

impl<T: OutgoingResponse + Send + 'static> Answer for T {
    fn into_answer(self) -> Result<Response, ApiError> {
        let response = self.try_into_http_response::<BytesMut>().map_err(ApiError::internal)?;
        Ok(response.map(|bytes| Body::from(bytes.freeze())))
    }
}

/// An answer that is JSON already.
pub(crate) struct JsonBytes(pub(crate) Bytes);

impl JsonBytes {
    /// `answer` as JSON.
    ///
    /// # Errors
    /// A fault of this server: a value that cannot be written as JSON.
    pub(crate) fn of(answer: &impl serde::Serialize) -> Result<Self, ApiError> {
        serde_json::to_vec(answer).map(|json| Self(json.into())).map_err(ApiError::internal)
    }
}

impl Answer for JsonBytes {
    fn into_answer(self) -> Result<Response, ApiError> {
        Ok(([(header::CONTENT_TYPE, "application/json")], self.0).into_response())
    }
}
