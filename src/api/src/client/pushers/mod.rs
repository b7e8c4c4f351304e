//! [Push notifications](https://spec.matrix.org/v1.19/client-server-api/#push-notifications): where users want to be told of events.

mod get;
mod set;

use crate::routes::Routes;

pub(super) fn routes(routes: Routes) -> Routes {
    routes.route(get::get).route(set::set)
}
