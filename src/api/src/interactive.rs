//! Requests of user-interactive authentication.
//!
//! Section: [User-Interactive Authentication API](https://spec.matrix.org/v1.16/client-server-api/#user-interactive-authentication-api).

use std::{fmt, marker::PhantomData};

use http::Method;
use ruma::api::{IncomingRequest, Metadata, auth_scheme::AuthScheme, error::DeserializationError};
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, Visitor},
};
use serde_json::value::RawValue;
use wardstead_identity::Auth;

/// ruma's request, but for its `auth`, which is read apart: ruma refuses older forms of it that clients still send. `A` says who may
/// make the request, where that is not what ruma says.
pub(crate) struct Interactive<R, A = <R as Metadata>::Authentication> {
    /// The request. Its `auth` is empty.
    pub(crate) request: R,
    /// What was sent to authenticate.
    pub(crate) auth: Option<Auth>,
    scheme: PhantomData<fn() -> A>,
}

impl<R: Metadata, A: AuthScheme> Metadata for Interactive<R, A> {
    const METHOD: Method = R::METHOD;
    const RATE_LIMITED: bool = R::RATE_LIMITED;
    type Authentication = A;
    type PathBuilder = R::PathBuilder;
    const PATH_BUILDER: Self::PathBuilder = R::PATH_BUILDER;
}

impl<R: IncomingRequest, A: AuthScheme> IncomingRequest for Interactive<R, A> {
    type EndpointError = R::EndpointError;
    type OutgoingResponse = R::OutgoingResponse;

    fn try_from_http_request_inner(
        request: http::Request<&[u8]>,
        path_args: &[&str],
    ) -> Result<Self, DeserializationError> {
        let (head, body) = request.into_parts();
        let Apart { auth, rest } = serde_json::from_slice(body)?;
        let request = R::try_from_http_request_inner(http::Request::from_parts(head, rest.as_bytes()), path_args)?;
        Ok(Self { request, auth, scheme: PhantomData })
    }
}

/// A body taken apart. What else stands in it stays as it was written, so that a member that stands twice is still refused.
struct Apart {
    auth: Option<Auth>,
    rest: String,
}

impl<'de> Deserialize<'de> for Apart {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Apart;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Apart, A::Error> {
        let mut auth: Option<Option<Auth>> = None;
        let mut rest = Vec::new();
        while let Some(name) = members.next_key::<String>()? {
            if name != "auth" {
                let value = members.next_value::<&RawValue>()?;
                rest.push(format!("{}:{value}", serde_json::Value::String(name)));
            } else if auth.replace(members.next_value()?).is_some() {
                return Err(A::Error::duplicate_field("auth"));
            }
        }
        Ok(Apart { auth: auth.flatten(), rest: format!("{{{}}}", rest.join(",")) })
    }
}
