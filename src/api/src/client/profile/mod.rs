//! What people say of themselves to everybody.

mod field_get;
mod field_remove;
mod field_set;
mod get;

use crate::{ApiError, routes::Routes, state::ApiState};

/// Adds the endpoints of profiles.
pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .route_also(get::get, unstable_path)
        .route_also(field_get::field_get, unstable_paths)
        .route_also(field_set::field_set, unstable_paths)
        .route_also(field_remove::field_remove, unstable_paths)
}

/// The paths of [MSC4133](https://github.com/matrix-org/matrix-spec-proposals/pull/4133) before it was accepted: clients ask there for
/// other fields than name and picture where a server does not say that it knows version 1.16 of the specification.
fn unstable_path(_: &str) -> Vec<String> {
    vec!["/_matrix/client/unstable/uk.tcpip.msc4133/profile/{user_id}".to_owned()]
}

/// The same, of one field.
fn unstable_paths(_: &str) -> Vec<String> {
    vec!["/_matrix/client/unstable/uk.tcpip.msc4133/profile/{user_id}/{field}".to_owned()]
}

/// The answer about whom this server does not know. Users of other servers are not asked for there yet.
fn unknown() -> ApiError {
    ApiError::not_found("There is no such user or profile field on this server.")
}

/// That people change their own profiles only.
fn own(caller: &wardstead_accounts::Session, user_id: &ruma::UserId) -> Result<(), ApiError> {
    if *user_id == caller.user_id { Ok(()) } else { Err(ApiError::forbidden("This is somebody else's profile.")) }
}

/// A new name or picture is told with its user's presence, too (Client-Server API, Events on Change of Profile Information).
fn told_with_presence(state: &ApiState, caller: &wardstead_accounts::Session, key: &str) {
    if ["displayname", "avatar_url"].contains(&key) {
        state.syncer.presence().renamed(caller);
    }
}
