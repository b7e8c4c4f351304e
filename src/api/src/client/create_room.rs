//! `POST /_matrix/client/v3/createRoom`
//!
//! Section: <https://spec.matrix.org/v1.16/client-server-api/#post_matrixclientv3createroom>

use ruma::{
    api::client::room::{
        Visibility,
        create_room::v3::{Request, Response, RoomPreset},
    },
    events::AnyInitialStateEvent,
    serde::Raw,
};
use serde::Deserialize;
use serde_json::value::RawValue;
use wardstead_rooms::{InitialState, NewRoom, Preset};

use super::rooms::no_identity_server;
use crate::{ApiError, Group, ruma_io::Ruma};

pub(super) async fn create_room(
    Ruma { state, request, caller, client, .. }: Ruma<Request>,
) -> Result<Response, ApiError> {
    if !request.invite_3pid.is_empty() {
        return Err(no_identity_server());
    }
    state.limiter.count(Group::Invite, &client, Some(caller.user), request.invite.len())?;
    let new = NewRoom {
        version: request.room_version,
        preset: request.preset.as_ref().map(preset).transpose()?,
        public: public(&request.visibility)?,
        name: request.name,
        topic: request.topic,
        invite: request.invite,
        is_direct: request.is_direct,
        creation_content: request.creation_content.map(Raw::into_json),
        power_level_content_override: request.power_level_content_override.map(Raw::into_json),
        initial_state: request.initial_state.iter().map(initial_state).collect::<Result<_, _>>()?,
        room_alias_name: request.room_alias_name,
    };
    if new.public {
        state.directory.check_room_in_list().await?;
    }
    Ok(Response::new(state.rooms.create(&caller, new).await?))
}

fn preset(preset: &RoomPreset) -> Result<Preset, ApiError> {
    match preset {
        RoomPreset::PrivateChat => Ok(Preset::PrivateChat),
        RoomPreset::PublicChat => Ok(Preset::PublicChat),
        RoomPreset::TrustedPrivateChat => Ok(Preset::TrustedPrivateChat),
        _ => Err(ApiError::invalid_param("There is no such preset.")),
    }
}

fn public(visibility: &Visibility) -> Result<bool, ApiError> {
    match visibility {
        Visibility::Public => Ok(true),
        Visibility::Private => Ok(false),
        _ => Err(ApiError::invalid_param("The visibility is either public or private.")),
    }
}

/// ruma's type leaves it open whether this is an event at all.
fn initial_state(event: &Raw<AnyInitialStateEvent>) -> Result<InitialState, ApiError> {
    #[derive(Deserialize)]
    struct Stated {
        #[serde(rename = "type")]
        event_type: String,
        #[serde(default)]
        state_key: String,
        content: Box<RawValue>,
    }
    let stated: Stated = event
        .deserialize_as_unchecked()
        .map_err(|error| ApiError::bad_json(format!("initial_state holds what is no state event: {error}")))?;
    Ok(InitialState { event_type: stated.event_type, state_key: stated.state_key, content: stated.content })
}
