//! `GET /_matrix/client/v3/rooms/{roomId}/members`
//!
//! Section: <https://spec.matrix.org/v1.16/client-server-api/#get_matrixclientv3roomsroomidmembers>

use ruma::{
    api::client::membership::get_member_events::v3::{Request, Response},
    events::room::member::MembershipState,
};
use serde::Deserialize;
use wardstead_rooms::{Membership, StoredEvent};

use super::shown::show_all;
use crate::{ApiError, ruma_io::Ruma};

pub(super) async fn members(Ruma { state, request, caller, .. }: Ruma<Request>) -> Result<Response, ApiError> {
    for named in [&request.membership, &request.not_membership].into_iter().flatten() {
        if Membership::from_name(named.as_str()).is_none() {
            return Err(ApiError::invalid_param("There is no such membership."));
        }
    }
    let mut events = state.rooms.members_at(&caller, &request.room_id, request.at.as_deref()).await?;
    events.retain(|event| {
        let membership = membership(event);
        // Either condition lets a member pass, when both are given.
        match (&request.membership, &request.not_membership) {
            (None, None) => true,
            (wanted, unwanted) => {
                wanted.as_ref().is_some_and(|wanted| membership.as_ref() == Some(wanted))
                    || unwanted.as_ref().is_some_and(|unwanted| membership.as_ref() != Some(unwanted))
            }
        }
    });
    Ok(Response::new(show_all(&state, &caller, &events)?))
}

fn membership(event: &StoredEvent) -> Option<MembershipState> {
    #[derive(Deserialize)]
    struct Content {
        membership: MembershipState,
    }
    serde_json::from_str::<Content>(event.content.get()).ok().map(|content| content.membership)
}
