//! What guests may ask.

use serde_json::{Value, json};
use wardstead_api::endpoints;

use crate::{errors::example, server::Server};

/// What the specification lists (Client-Server API, Guest Access) and there is here, below the version.
const OPEN: [&str; 26] = [
    "GET rooms/{room_id}/state",
    "GET rooms/{room_id}/state/{event_type}",
    "GET rooms/{room_id}/state/{event_type}/",
    "GET rooms/{room_id}/state/{event_type}/{state_key}",
    "GET rooms/{room_id}/context/{event_id}",
    "GET rooms/{room_id}/event/{event_id}",
    "GET rooms/{room_id}/messages",
    "GET rooms/{room_id}/members",
    "GET sync",
    "GET media/download/{server_name}/{media_id}",
    "GET media/download/{server_name}/{media_id}/{filename}",
    "GET media/thumbnail/{server_name}/{media_id}",
    "POST rooms/{room_id}/join",
    "POST rooms/{room_id}/leave",
    "PUT rooms/{room_id}/send/{event_type}/{txn_id}",
    "PUT rooms/{room_id}/state/{event_type}",
    "PUT rooms/{room_id}/state/{event_type}/",
    "PUT rooms/{room_id}/state/{event_type}/{state_key}",
    "GET devices",
    "GET account/whoami",
    "POST keys/upload",
    "POST keys/query",
    "POST keys/claim",
    "PUT sendToDevice/{event_type}/{txn_id}",
    "GET devices/{device_id}",
    "PUT devices/{device_id}",
];

/// Of every endpoint that needs a token: a new one is closed to guests until it is listed by hand.
#[tokio::test]
async fn guests_ask_what_the_specification_lists_and_nothing_else() {
    let server = Server::new().await;
    let guest = server.post("/_matrix/client/v3/register?kind=guest", "", &json!({})).await.ok();
    let token = guest["access_token"].as_str().unwrap();
    let mut open = Vec::new();
    for endpoint in endpoints().into_iter().filter(|endpoint| endpoint.needs_token) {
        let below = endpoint.path.strip_prefix("/_matrix/client/").and_then(|path| path.split_once('/'));
        let name = format!("{} {}", endpoint.method, below.map_or("", |(_, below)| below));
        let answer = server.ask(endpoint.method, &example(&endpoint.path), token, "{}").await;
        if OPEN.contains(&name.as_str()) {
            let refused = answer.status == 403 && answer.json()["errcode"] == "M_GUEST_ACCESS_FORBIDDEN";
            assert!(!refused, "{}", endpoint.path);
            open.push(name);
        } else {
            let errcode = serde_json::from_slice::<Value>(&answer.bytes).map(|json| json["errcode"].clone());
            let told = (answer.status.as_u16(), errcode.unwrap_or_default());
            assert_eq!(told, (403, "M_GUEST_ACCESS_FORBIDDEN".into()), "{}", endpoint.path);
        }
    }
    for listed in OPEN {
        assert!(open.iter().any(|name| name == listed), "{listed} is not there");
    }
}
