//! `GET /_matrix/client/v3/capabilities`
//!
//! Section: <https://spec.matrix.org/v1.16/client-server-api/#get_matrixclientv3capabilities>

use std::{
    collections::BTreeMap,
    future::{Ready, ready},
};

use ruma::api::client::discovery::get_capabilities::v3::{
    Capabilities, ChangePasswordCapability, ForgetForcedUponLeaveCapability, GetLoginTokenCapability, Request,
    Response, RoomVersionStability, RoomVersionsCapability, ThirdPartyIdChangesCapability,
};
use wardstead_rooms::ROOM_VERSIONS;

use crate::{ApiError, ruma_io::Ruma};

pub(super) fn capabilities(Ruma { state, .. }: Ruma<Request>) -> Ready<Result<Response, ApiError>> {
    let available = ROOM_VERSIONS.map(|version| (version, RoomVersionStability::Stable));
    let available = BTreeMap::from(available);
    let mut capabilities = Capabilities::new();
    capabilities.room_versions = RoomVersionsCapability::new(state.rooms.default_version().clone(), available);
    // A capability that is left out counts as there, so what is missing must be denied.
    capabilities.change_password = ChangePasswordCapability::new(false);
    capabilities.get_login_token = GetLoginTokenCapability::new(state.identity.gives_login_tokens());
    capabilities.thirdparty_id_changes = ThirdPartyIdChangesCapability::new(false);
    // Who leaves a room can still read what they could read before.
    capabilities.forget_forced_upon_leave = ForgetForcedUponLeaveCapability::new(false);
    #[expect(deprecated, reason = "clients older than v1.16 read only these")]
    {
        use ruma::api::client::discovery::get_capabilities::v3::{SetAvatarUrlCapability, SetDisplayNameCapability};
        capabilities.set_displayname = SetDisplayNameCapability::new(false);
        capabilities.set_avatar_url = SetAvatarUrlCapability::new(false);
    }
    ready(Ok(Response::new(capabilities)))
}
