//! Bodies that ruma's types would not leave as they were sent: what is signed has to stay what it is, keys of kinds that ruma does not know
//! included.

use std::{fmt, marker::PhantomData};

use http::Method;
use ruma::{
    CanonicalJsonValue,
    api::{IncomingRequest, Metadata, error::DeserializationError},
};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error as _, MapAccess, Visitor},
};

/// A request of the endpoint `R` with the body `B`.
pub(super) struct Sent<R, B> {
    pub(super) body: B,
    endpoint: PhantomData<fn() -> R>,
}

impl<R: Metadata, B> Metadata for Sent<R, B> {
    const METHOD: Method = R::METHOD;
    const RATE_LIMITED: bool = R::RATE_LIMITED;
    type Authentication = R::Authentication;
    type PathBuilder = R::PathBuilder;
    const PATH_BUILDER: Self::PathBuilder = R::PATH_BUILDER;
}

impl<R: IncomingRequest, B: DeserializeOwned> IncomingRequest for Sent<R, B> {
    type EndpointError = R::EndpointError;
    type OutgoingResponse = R::OutgoingResponse;

    fn try_from_http_request_inner(request: http::Request<&[u8]>, _: &[&str]) -> Result<Self, DeserializationError> {
        Ok(Self { body: serde_json::from_slice(request.body())?, endpoint: PhantomData })
    }
}

/// Members of an object in the order in which they were sent.
#[derive(Debug, Default)]
pub(super) struct InOrder(pub(super) Vec<(String, CanonicalJsonValue)>);

impl<'de> Deserialize<'de> for InOrder {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = InOrder;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<InOrder, A::Error> {
        let mut known = std::collections::HashSet::new();
        let mut all = Vec::new();
        while let Some((name, value)) = members.next_entry::<String, CanonicalJsonValue>()? {
            if !known.insert(name.clone()) {
                return Err(A::Error::custom("a key stands twice"));
            }
            all.push((name, value));
        }
        Ok(InOrder(all))
    }
}
