//! Endpoints below `/_matrix/client/v3/thirdparty`: networks that application services bridge to. There are no application services yet, so
//! each answers what the specification has for a server without any.

mod location;
mod location_by_protocol;
mod protocol;
mod protocols;
mod user;
mod user_by_protocol;

use crate::routes::Routes;

/// Adds them to `routes`.
pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .route(protocols::protocols)
        .route(protocol::protocol)
        .route(location::location)
        .route(location_by_protocol::location_by_protocol)
        .route(user::user)
        .route(user_by_protocol::user_by_protocol)
}
