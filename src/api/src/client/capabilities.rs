//! `GET /_matrix/client/v3/capabilities`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3capabilities>

use std::{
    collections::BTreeMap,
    future::{Ready, ready},
};

use ruma::{RoomVersionId, api::client::discovery::get_capabilities::v3::Request};
use serde::Serialize;
use wardstead_rooms::ROOM_VERSIONS;

use crate::{
    ApiError,
    ruma_io::{JsonBytes, Ruma},
};

/// All that the specification names, whether there or not: ruma leaves out what clients may take for granted, and not all of them do.
///
/// There is no `m.account_moderation`: nobody can be suspended or locked, and then it has to be absent.
#[derive(Serialize)]
struct Capabilities {
    #[serde(rename = "m.change_password")]
    change_password: Enabled,
    #[serde(rename = "m.room_versions")]
    room_versions: RoomVersions,
    /// Clients older than v1.16 read this and the next.
    #[serde(rename = "m.set_displayname")]
    set_displayname: Enabled,
    #[serde(rename = "m.set_avatar_url")]
    set_avatar_url: Enabled,
    #[serde(rename = "m.profile_fields")]
    profile_fields: Enabled,
    #[serde(rename = "m.3pid_changes")]
    thirdparty_id_changes: Enabled,
    #[serde(rename = "m.get_login_token")]
    get_login_token: Enabled,
    /// Who leaves a room can still read what they could read before.
    #[serde(rename = "m.forget_forced_upon_leave")]
    forget_forced_upon_leave: Enabled,
    /// Pushers of kind `email` are not built; of kind `http` they are.
    #[serde(rename = "org.wardstead.email_pushers")]
    email_pushers: Enabled,
}

#[derive(Serialize)]
struct Enabled {
    enabled: bool,
}

#[derive(Serialize)]
struct RoomVersions {
    default: RoomVersionId,
    available: BTreeMap<RoomVersionId, &'static str>,
}

/// What this server does.
const CHANGE_PASSWORD: bool = true;
const PROFILES: bool = true;

pub(super) fn capabilities(Ruma { state, .. }: Ruma<Request>) -> Ready<Result<JsonBytes, ApiError>> {
    let enabled = |enabled| Enabled { enabled };
    let available = BTreeMap::from(ROOM_VERSIONS.map(|version| (version, "stable")));
    let capabilities = Capabilities {
        change_password: enabled(CHANGE_PASSWORD),
        room_versions: RoomVersions { default: state.rooms.default_version().clone(), available },
        set_displayname: enabled(PROFILES),
        set_avatar_url: enabled(PROFILES),
        profile_fields: enabled(PROFILES),
        thirdparty_id_changes: enabled(false),
        get_login_token: enabled(state.identity.gives_login_tokens()),
        forget_forced_upon_leave: enabled(false),
        email_pushers: enabled(false),
    };
    ready(JsonBytes::of(&BTreeMap::from([("capabilities", capabilities)])))
}
