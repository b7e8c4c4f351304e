//! Endpoints below `/_matrix/client/v3/user/{userId}` that concern account data and tags.

mod get;
mod named;
mod remove;
mod room_get;
mod room_remove;
mod room_set;
mod set;
mod tag_remove;
mod tag_set;
mod tags;

use crate::routes::Routes;

/// Adds them to `routes`.
pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .route(get::get)
        .route(set::set)
        .route_unstable(remove::remove)
        .route(room_get::room_get)
        .route(room_set::room_set)
        .route_unstable(room_remove::room_remove)
        .route(tags::tags)
        .route(tag_set::tag_set)
        .route(tag_remove::tag_remove)
}
