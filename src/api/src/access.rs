//! Who makes a request: the one function to ask, and the endpoint's own metadata decides that it is asked.
//!
//! Section: [Client authentication](https://spec.matrix.org/v1.16/client-server-api/#using-access-tokens).

use axum::extract::MatchedPath;
use http::{Method, Request, StatusCode};
use ruma::api::{
    auth_scheme::{
        AccessToken, AccessTokenOptional, AppserviceTokenOptional, AuthScheme, ExtractTokenError, NoAccessToken,
        NoAuthentication, extract_bearer_or_query_token,
    },
    error::ErrorKind,
};
use wardstead_accounts::{Client, Session};

use crate::{ApiError, ApiState};

/// What an authentication scheme of ruma's asks of a request. It is implemented for each scheme that an endpoint here has, so that an
/// endpoint whose metadata demand a token cannot be mounted without one being checked.
pub(crate) trait Access: AuthScheme {
    /// What the handler learns.
    type Caller: Send + 'static;
    /// Whether a request without a token is refused.
    const REQUIRED: bool;

    /// The account's short id, where somebody is known.
    fn account(caller: &Self::Caller) -> Option<u64>;

    /// Checks the request's head, which came from `client`.
    fn admit(
        state: &ApiState,
        head: &Request<()>,
        client: &Client,
    ) -> impl Future<Output = Result<Self::Caller, ApiError>> + Send;
}

impl Access for AccessToken {
    type Caller = Session;
    const REQUIRED: bool = true;

    fn account(caller: &Session) -> Option<u64> {
        Some(caller.user)
    }

    async fn admit(state: &ApiState, head: &Request<()>, client: &Client) -> Result<Session, ApiError> {
        authenticate(state, head, client).await
    }
}

/// No token is needed, but whoever sends one has to be known by it: the answer depends on who asks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TokenIfAny;

impl AuthScheme for TokenIfAny {
    type Input<'a> = <AccessTokenOptional as AuthScheme>::Input<'a>;
    type AddAuthenticationError = <AccessTokenOptional as AuthScheme>::AddAuthenticationError;
    type Output = <AccessTokenOptional as AuthScheme>::Output;
    type ExtractAuthenticationError = <AccessTokenOptional as AuthScheme>::ExtractAuthenticationError;

    fn add_authentication<T: AsRef<[u8]>>(
        request: &mut Request<T>,
        input: Self::Input<'_>,
    ) -> Result<(), Self::AddAuthenticationError> {
        AccessTokenOptional::add_authentication(request, input)
    }

    fn extract_authentication<T>(request: &Request<T>) -> Result<Self::Output, Self::ExtractAuthenticationError> {
        AccessTokenOptional::extract_authentication(request)
    }
}

impl Access for TokenIfAny {
    type Caller = Option<Session>;
    const REQUIRED: bool = false;

    fn account(caller: &Option<Session>) -> Option<u64> {
        caller.as_ref().map(|session| session.user)
    }

    async fn admit(state: &ApiState, head: &Request<()>, client: &Client) -> Result<Option<Session>, ApiError> {
        if let Ok(None) = extract_bearer_or_query_token(head) {
            return Ok(None);
        }
        authenticate(state, head, client).await.map(Some)
    }
}

/// Schemes under which no endpoint here wants to know who asks. A token that is sent all the same is not looked at: a client that signs
/// in again may still send the one that it lost, and `versions` is the same for all.
macro_rules! open_to_all {
    ($($scheme:ty),+) => {$(
        impl Access for $scheme {
            type Caller = ();
            const REQUIRED: bool = false;

            fn account((): &()) -> Option<u64> {
                None
            }

            async fn admit(_: &ApiState, _: &Request<()>, _: &Client) -> Result<(), ApiError> {
                Ok(())
            }
        }
    )+};
}

open_to_all!(NoAuthentication, NoAccessToken, AccessTokenOptional, AppserviceTokenOptional);

/// The session whose token the request carries, in its `Authorization` header or the deprecated `access_token` parameter.
///
/// # Errors
/// 401 `M_MISSING_TOKEN`, 401 `M_UNKNOWN_TOKEN`, 403 `M_USER_DEACTIVATED`.
async fn authenticate(state: &ApiState, head: &Request<()>, client: &Client) -> Result<Session, ApiError> {
    let token = extract_bearer_or_query_token(head).map_err(|error| match error {
        ExtractTokenError::FromQuery(_) => ApiError::missing_token("The access_token parameter cannot be read."),
        _ => ApiError::missing_token("The Authorization header holds no bearer token."),
    })?;
    let token = token.ok_or_else(|| ApiError::missing_token("This endpoint needs an access token."))?;
    let session = state.accounts.authenticate(&token).await?;
    if session.guest && !open_to_guests(head) {
        let sentence = "Guests cannot do this.";
        return Err(ApiError::new(StatusCode::FORBIDDEN, ErrorKind::GuestAccessForbidden, sentence));
    }
    state.accounts.seen(&session, client).await?;
    Ok(session)
}

/// What guests may ask ([section](https://spec.matrix.org/v1.16/client-server-api/#guest-access)), below the version. What is not listed
/// here they may not.
const FOR_GUESTS: [(Method, &str); 28] = [
    (Method::GET, "rooms/{room_id}/state"),
    (Method::GET, "rooms/{room_id}/state/{event_type}"),
    (Method::GET, "rooms/{room_id}/state/{event_type}/"),
    (Method::GET, "rooms/{room_id}/state/{event_type}/{state_key}"),
    (Method::GET, "rooms/{room_id}/context/{event_id}"),
    (Method::GET, "rooms/{room_id}/event/{event_id}"),
    (Method::GET, "rooms/{room_id}/messages"),
    (Method::GET, "rooms/{room_id}/members"),
    (Method::GET, "rooms/{room_id}/initialSync"),
    (Method::GET, "sync"),
    (Method::GET, "events"),
    (Method::GET, "media/download/{server_name}/{media_id}"),
    (Method::GET, "media/download/{server_name}/{media_id}/{filename}"),
    (Method::GET, "media/thumbnail/{server_name}/{media_id}"),
    (Method::POST, "rooms/{room_id}/join"),
    (Method::POST, "rooms/{room_id}/leave"),
    (Method::PUT, "rooms/{room_id}/send/{event_type}/{txn_id}"),
    (Method::PUT, "rooms/{room_id}/state/{event_type}"),
    (Method::PUT, "rooms/{room_id}/state/{event_type}/"),
    (Method::PUT, "rooms/{room_id}/state/{event_type}/{state_key}"),
    (Method::PUT, "sendToDevice/{event_type}/{txn_id}"),
    (Method::GET, "devices"),
    (Method::GET, "devices/{device_id}"),
    (Method::PUT, "devices/{device_id}"),
    (Method::GET, "account/whoami"),
    (Method::POST, "keys/upload"),
    (Method::POST, "keys/query"),
    (Method::POST, "keys/claim"),
];

/// Whether a guest may make the request.
fn open_to_guests(head: &Request<()>) -> bool {
    let below = |path: &'_ str| path.strip_prefix("/_matrix/client/")?.split_once('/').map(|(_, rest)| rest.to_owned());
    let Some(route) = head.extensions().get::<MatchedPath>().and_then(|path| below(path.as_str())) else {
        return false;
    };
    // Of the profile they change how they are called, and nothing else.
    let profile = route.starts_with("profile/{user_id}/") && head.uri().path().ends_with("/displayname");
    let changes = *head.method() == Method::PUT || *head.method() == Method::DELETE;
    (profile && changes) || FOR_GUESTS.iter().any(|(method, path)| method == head.method() && *path == route)
}
