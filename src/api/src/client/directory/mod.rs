//! Endpoints below `/_matrix/client/v3/directory`.

mod alias_get;
mod alias_remove;
mod alias_set;
mod listed_get;
mod listed_set;

use crate::routes::Routes;

/// Adds them to `routes`.
pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .route(alias_get::alias_get)
        .route(alias_set::alias_set)
        .route(alias_remove::alias_remove)
        .route(listed_get::listed_get)
        .route(listed_set::listed_set)
}
