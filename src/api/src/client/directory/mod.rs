//! Endpoints below `/_matrix/client/v3/directory`.

mod alias_get;
mod alias_remove;
mod alias_set;

use crate::routes::Routes;

/// Adds them to `routes`.
pub(super) fn routes(routes: Routes) -> Routes {
    routes.route(alias_get::alias_get).route(alias_set::alias_set).route(alias_remove::alias_remove)
}
