//! [Key management](https://spec.matrix.org/v1.19/client-server-api/#key-management-api) and
//! [cross-signing](https://spec.matrix.org/v1.19/client-server-api/#cross-signing).

mod body;
mod claim;
mod device_signing_upload;
mod query;
mod signatures_upload;
mod upload;

use std::collections::{BTreeMap, BTreeSet};

use ruma::OwnedServerName;
use serde::Serialize;

use crate::{Group, routes::Routes};

pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .route(upload::upload)
        .route(query::query)
        .route(claim::claim)
        .route_limited(Group::Password, device_signing_upload::device_signing_upload)
        .route(signatures_upload::signatures_upload)
}

/// Why nothing is known of a server's users.
#[derive(Clone, Copy, Debug, Serialize)]
struct Failure {
    errcode: &'static str,
    error: &'static str,
}

/// The servers, each with the reason.
fn failures(unreachable: BTreeSet<OwnedServerName>) -> BTreeMap<OwnedServerName, Failure> {
    let failure = Failure { errcode: "M_UNKNOWN", error: "This server does not reach other servers." };
    unreachable.into_iter().map(|server| (server, failure)).collect()
}
