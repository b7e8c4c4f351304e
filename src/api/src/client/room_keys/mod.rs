//! `/_matrix/client/v3/room_keys/…`: key backups.

mod bodies;
mod keys_delete;
mod keys_get;
mod keys_put;
mod pages;
mod room_delete;
mod room_get;
mod room_put;
mod session_delete;
mod session_get;
mod session_put;
mod version_create;
mod version_delete;
mod version_get;
mod version_latest;
mod version_set;

use crate::routes::Routes;

pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .route(version_create::version_create)
        .route(version_latest::version_latest)
        .route(version_get::version_get)
        .route(version_set::version_set)
        .route(version_delete::version_delete)
        .route(keys_put::keys_put)
        .route(keys_get::keys_get)
        .route(keys_delete::keys_delete)
        .route(room_put::room_put)
        .route(room_get::room_get)
        .route(room_delete::room_delete)
        .route(session_put::session_put)
        .route(session_get::session_get)
        .route(session_delete::session_delete)
}
