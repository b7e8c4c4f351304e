//! `GET /_matrix/client/versions`
//!
//! Section: <https://spec.matrix.org/v1.16/client-server-api/#get_matrixclientversions>

use std::future::{Ready, ready};

use ruma::api::client::discovery::get_supported_versions::{Request, Response};

use crate::{ApiError, ruma_io::Ruma};

/// The versions whose paths and forms this server speaks. Clients take them as "may I try", and each endpoint that is missing says so
/// itself with `M_UNRECOGNIZED`. Below v1.1 many clients refuse a server; from v1.11 on they ask for media with a token.
const VERSIONS: [&str; 12] =
    ["r0.6.1", "v1.1", "v1.2", "v1.3", "v1.4", "v1.5", "v1.6", "v1.7", "v1.8", "v1.9", "v1.10", "v1.11"];

/// What is newer than those, by the names under which clients look for it.
const FEATURES: [&str; 6] = [
    "org.matrix.msc3874",
    "org.matrix.msc4222",
    "uk.half-shot.msc2666.query_mutual_rooms",
    "uk.half-shot.msc2666.query_mutual_rooms.stable",
    "uk.tcpip.msc4133",
    "uk.tcpip.msc4133.stable",
];

pub(super) fn versions(_: Ruma<Request>) -> Ready<Result<Response, ApiError>> {
    let mut response = Response::new(VERSIONS.map(str::to_owned).to_vec());
    response.unstable_features = FEATURES.map(|feature| (feature.to_owned(), true)).into();
    ready(Ok(response))
}
