//! The [server-server API](https://spec.matrix.org/v1.19/server-server-api/): one endpoint a file, named by its path.

mod keys;
mod openid_userinfo;

use crate::routes::Routes;

/// Adds what other servers can ask to `routes`.
pub(crate) fn routes(routes: Routes) -> Routes {
    routes.route(keys::keys).route(openid_userinfo::openid_userinfo)
}
