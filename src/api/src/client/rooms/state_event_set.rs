//! `PUT /_matrix/client/v3/rooms/{roomId}/state/{eventType}/{stateKey}`
//!
//! Section: <https://spec.matrix.org/v1.16/client-server-api/#put_matrixclientv3roomsroomidstateeventtypestatekey>

use ruma::api::client::state::send_state_event::v3::{Request, Response};
use serde::Deserialize;
use wardstead_rooms::Draft;

use crate::{ApiError, Group, ruma_io::Ruma};

/// `ts` is for application services only, and ignored.
pub(super) async fn state_event_set(
    Ruma { state, request, caller, client, .. }: Ruma<Request>,
) -> Result<Response, ApiError> {
    let draft = Draft {
        event_type: request.event_type.to_string(),
        state_key: Some(request.state_key),
        content: request.body.into_json(),
        txn_id: None,
    };
    if let Some(group) = group(&draft) {
        state.limiter.count(group, &client, Some(caller.user), 1)?;
    }
    Ok(Response::new(state.rooms.send(&caller, &request.room_id, draft).await?))
}

/// Who invites or joins in this way counts as who does so in the other.
fn group(draft: &Draft) -> Option<Group> {
    #[derive(Deserialize)]
    struct Member {
        membership: String,
    }
    if draft.event_type != "m.room.member" {
        return None;
    }
    // What cannot be read is refused below.
    let member: Member = serde_json::from_str(draft.content.get()).ok()?;
    match member.membership.as_str() {
        "invite" => Some(Group::Invite),
        "join" | "knock" => Some(Group::Join),
        _ => None,
    }
}
