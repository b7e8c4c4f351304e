//! [Device management](https://spec.matrix.org/v1.16/client-server-api/#device-management).

mod get;
mod list;
mod remove;
mod remove_many;
mod rename;

use ruma::OwnedDeviceId;
use serde::Serialize;
use wardstead_accounts::Device;

use crate::{Group, routes::Routes};

pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .route(list::list)
        .route(get::get)
        .route(rename::rename)
        .route_limited(Group::Password, remove::remove)
        .route_limited(Group::Password, remove_many::remove_many)
}

/// What a user sees of a device. ruma's type says `null` of what the specification has absent.
#[derive(Serialize)]
struct Shown {
    device_id: OwnedDeviceId,
    #[serde(skip_serializing_if = "Option::is_none")]
    display_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_seen_ip: Option<String>,
    last_seen_ts: u64,
}

impl From<Device> for Shown {
    fn from(device: Device) -> Self {
        Self {
            device_id: device.device_id,
            display_name: device.display_name,
            last_seen_ip: device.last_seen.address.map(|address| address.to_string()),
            last_seen_ts: device.last_seen.at_ms,
        }
    }
}
