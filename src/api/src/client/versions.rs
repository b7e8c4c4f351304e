//! `GET /_matrix/client/versions`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientversions>

use std::future::{Ready, ready};

use ruma::api::client::discovery::get_supported_versions::{Request, Response};

use crate::{ApiError, ruma_io::Ruma};

/// The versions whose paths and forms this server speaks. Clients take them as "may I try", and each endpoint that is missing says so
/// itself with `M_UNRECOGNIZED`. Below v1.1 many clients refuse a server; from v1.11 on they ask for media with a token, from v1.16 on they
/// take it that profiles have fields and that `use_state_after` is known.
const VERSIONS: [&str; 20] = [
    "r0.6.1", "v1.1", "v1.2", "v1.3", "v1.4", "v1.5", "v1.6", "v1.7", "v1.8", "v1.9", "v1.10", "v1.11", "v1.12",
    "v1.13", "v1.14", "v1.15", "v1.16", "v1.17", "v1.18", "v1.19",
];

/// What clients look for by the name of its proposal, whether it is in the specification by now or not. Each is here in full: a name that
/// is claimed for a part of it makes a client lose the rest.
const FEATURES: [&str; 13] = [
    // Receipts that nobody else sees.
    "org.matrix.msc2285.stable",
    // Rooms that somebody is in, too.
    "uk.half-shot.msc2666.query_mutual_rooms",
    "uk.half-shot.msc2666.query_mutual_rooms.stable",
    // Account data is removed.
    "org.matrix.msc3391",
    // Threads.
    "org.matrix.msc3440.stable",
    // Receipts of threads.
    "org.matrix.msc3771",
    // Published rooms are found by their type.
    "org.matrix.msc3827.stable",
    // Filters by kind of relation.
    "org.matrix.msc3874",
    "org.matrix.msc3874.stable",
    // Fields of profiles.
    "uk.tcpip.msc4133",
    "uk.tcpip.msc4133.stable",
    // The state after the timeline, in /sync.
    "org.matrix.msc4222",
    // Sliding sync.
    "org.matrix.simplified_msc3575",
];

pub(super) fn versions(_: Ruma<Request>) -> Ready<Result<Response, ApiError>> {
    let mut response = Response::new(VERSIONS.map(str::to_owned).to_vec());
    response.unstable_features = FEATURES.map(|feature| (feature.to_owned(), true)).into();
    ready(Ok(response))
}
