//! Dehydrated devices ([MSC3814](https://github.com/matrix-org/matrix-spec-proposals/pull/3814)), at their unstable paths.

mod asked;
mod device_delete;
mod device_get;
mod device_put;
mod events_get;
mod events_post;

use crate::routes::Routes;

pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .route_unstable(device_put::device_put)
        .route_unstable(device_get::device_get)
        .route_unstable(device_delete::device_delete)
        .route_unstable(events_post::events_post)
        .route_unstable(events_get::events_get)
}
