//! `POST /_matrix/client/v3/keys/query`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keysquery>

use std::collections::BTreeMap;

use ruma::{OwnedServerName, OwnedUserId, api::client::keys::get_keys::v3::Request as Typed};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use wardstead_e2ee::{KeysWanted, Queried};

use super::{Failure, body::Sent, failures};
use crate::{
    ApiError,
    ruma_io::{JsonBytes, Ruma},
};

#[derive(Deserialize)]
pub(super) struct Asked {
    device_keys: KeysWanted,
    /// Milliseconds for other servers, of which none is asked.
    #[serde(rename = "timeout")]
    _timeout: Option<u64>,
}

#[derive(Serialize)]
struct Shown {
    failures: BTreeMap<OwnedServerName, Failure>,
    device_keys: BTreeMap<OwnedUserId, BTreeMap<String, Box<RawValue>>>,
    master_keys: BTreeMap<OwnedUserId, Box<RawValue>>,
    self_signing_keys: BTreeMap<OwnedUserId, Box<RawValue>>,
    user_signing_keys: BTreeMap<OwnedUserId, Box<RawValue>>,
}

pub(super) async fn query(
    Ruma { state, request, caller, .. }: Ruma<Sent<Typed, Asked>>,
) -> Result<JsonBytes, ApiError> {
    let queried = state.keys.query(&caller, &request.body.device_keys).await?;
    let Queried { device_keys, master, self_signing, user_signing, unreachable } = queried;
    JsonBytes::of(&Shown {
        failures: failures(unreachable),
        device_keys,
        master_keys: master,
        self_signing_keys: self_signing,
        user_signing_keys: user_signing,
    })
}
