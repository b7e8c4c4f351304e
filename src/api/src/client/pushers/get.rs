//! `GET /_matrix/client/v3/pushers`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3pushers>

use ruma::api::client::push::get_pushers::v3::Request;
use serde::Serialize;
use serde_json::{Map, Value};
use wardstead_push::Pusher;

use crate::{
    ApiError,
    ruma_io::{JsonBytes, Ruma},
};

/// What a user sees of a pusher. ruma's type leaves out what clients put into `data`.
#[derive(Serialize)]
struct Shown {
    pushkey: String,
    kind: &'static str,
    app_id: String,
    app_display_name: String,
    device_display_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    profile_tag: Option<String>,
    lang: String,
    data: Map<String, Value>,
}

impl From<Pusher> for Shown {
    fn from(pusher: Pusher) -> Self {
        let Pusher { app_id, pushkey, app_display_name, device_display_name, profile_tag, lang, url, mut data } =
            pusher;
        data.insert("url".to_owned(), url.into());
        Self { pushkey, kind: "http", app_id, app_display_name, device_display_name, profile_tag, lang, data }
    }
}

#[derive(Serialize)]
struct Answer {
    pushers: Vec<Shown>,
}

pub(super) async fn get(Ruma { state, caller, .. }: Ruma<Request>) -> Result<JsonBytes, ApiError> {
    let pushers = state.pushers.list(caller.user).await?;
    JsonBytes::of(&Answer { pushers: pushers.into_iter().map(Shown::from).collect() })
}
