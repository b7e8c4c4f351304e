//! `GET /_matrix/client/v3/admin/whois/{userId}`
//!
//! Section: <https://spec.matrix.org/v1.16/client-server-api/#get_matrixclientv3adminwhoisuserid>

use std::collections::BTreeMap;

use ruma::{OwnedDeviceId, OwnedUserId, api::client::admin::get_user_info::v3::Request};
use serde::Serialize;
use wardstead_accounts::{AccountsError, LastSeen};

use crate::{
    ApiError,
    ruma_io::{JsonBytes, Ruma},
};

/// The answer. ruma's type says `null` of what the specification has absent.
#[derive(Serialize)]
struct Info {
    user_id: OwnedUserId,
    devices: BTreeMap<OwnedDeviceId, OfDevice>,
}

/// A device has one session.
#[derive(Serialize)]
struct OfDevice {
    sessions: [OfSession; 1],
}

/// Its newest connection is known.
#[derive(Serialize)]
struct OfSession {
    connections: [Connection; 1],
}

#[derive(Serialize)]
struct Connection {
    #[serde(skip_serializing_if = "Option::is_none")]
    ip: Option<String>,
    last_seen: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<String>,
}

/// A user learns it of themselves, an administrator of everybody.
pub(super) async fn whois(Ruma { state, request, caller, .. }: Ruma<Request>) -> Result<JsonBytes, ApiError> {
    // Before anything is looked up: who may not ask does not learn who is there.
    if request.user_id != caller.user_id && !caller.admin {
        return Err(ApiError::forbidden("Only an administrator of the server learns this of others."));
    }
    let account = state.accounts.find(&request.user_id).await?.ok_or(AccountsError::NoAccount)?;
    let devices = state.accounts.devices(account.user).await?;
    let devices = devices.into_iter().map(|device| (device.device_id, of_device(device.last_seen))).collect();
    JsonBytes::of(&Info { user_id: account.user_id, devices })
}

fn of_device(seen: LastSeen) -> OfDevice {
    let ip = seen.address.map(|address| address.to_string());
    let connection = Connection { ip, last_seen: seen.at_ms, user_agent: seen.user_agent };
    OfDevice { sessions: [OfSession { connections: [connection] }] }
}
