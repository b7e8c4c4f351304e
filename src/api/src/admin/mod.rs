//! What operators and their tools ask: one endpoint a file, named by its path.

mod register;
mod register_nonce;

use crate::{limiter::Group, routes::Routes};

/// Adds what operators can ask to `routes`.
pub(crate) fn routes(routes: Routes) -> Routes {
    routes
        .route_limited(Group::Registration, register_nonce::register_nonce)
        .route_limited(Group::Registration, register::register)
}
