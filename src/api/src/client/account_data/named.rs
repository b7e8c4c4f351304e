//! Requests that name account data. ruma's types would turn one type into another where it knows two names of it, and clients
//! expect to find what they wrote under the name under which they wrote it.

use std::marker::PhantomData;

use ruma::{
    OwnedRoomId, OwnedUserId, RoomId, UserId,
    api::{
        IncomingRequest, Metadata, client::config::set_global_account_data::v3::Response, error::DeserializationError,
    },
};
use serde_json::{Map, Value, value::RawValue};
use wardstead_accounts::Session;
use wardstead_rooms::RoomError;

use crate::{ApiError, ApiState, endpoint::same_endpoint};

/// A request to the endpoint of which `M` says method and path.
pub(super) struct Named<M> {
    user_id: OwnedUserId,
    room_id: Option<OwnedRoomId>,
    /// The last segment of the path: a type, or the name of a tag.
    pub(super) name: String,
    body: Option<Box<RawValue>>,
    endpoint: PhantomData<fn() -> M>,
}

same_endpoint!(Named<M>, M);

impl<M: Metadata> IncomingRequest for Named<M> {
    type EndpointError = ruma::api::error::Error;
    type OutgoingResponse = Response;

    /// The path has a user, a room where there are three segments, and a name.
    fn try_from_http_request_inner(
        request: http::Request<&[u8]>,
        path_args: &[&str],
    ) -> Result<Self, DeserializationError> {
        let argument = |at: usize| path_args.get(at).copied().unwrap_or_default();
        let room_id = (path_args.len() > 2).then(|| RoomId::parse(argument(1))).transpose()?;
        let body = (!request.body().is_empty()).then(|| serde_json::from_slice(request.body())).transpose()?;
        Ok(Self {
            user_id: UserId::parse(argument(0))?,
            room_id,
            name: path_args.last().copied().unwrap_or_default().to_owned(),
            body,
            endpoint: PhantomData,
        })
    }
}

impl<M> Named<M> {
    /// Refuses whoever asks about somebody else.
    pub(super) fn check_own(&self, caller: &Session) -> Result<(), ApiError> {
        check_own(&self.user_id, caller)
    }

    /// The short id of the room: one that concerns the caller. 0 where the request names none.
    pub(super) async fn room(&self, state: &ApiState, caller: &Session) -> Result<u64, ApiError> {
        match &self.room_id {
            None => Ok(0),
            Some(room_id) => Ok(state.rooms.concerning(caller, room_id).await?.short),
        }
    }

    /// The same; `None`: it does not concern the caller.
    pub(super) async fn room_if_any(&self, state: &ApiState, caller: &Session) -> Result<Option<u64>, ApiError> {
        match &self.room_id {
            None => Ok(Some(0)),
            Some(room_id) => match state.rooms.concerning(caller, room_id).await {
                Ok(room) => Ok(Some(room.short)),
                Err(RoomError::Forbidden(_)) => Ok(None),
                Err(error) => Err(error.into()),
            },
        }
    }

    /// The body, which is an object.
    pub(super) fn content(&self) -> Result<&RawValue, ApiError> {
        self.body.as_deref().ok_or_else(|| ApiError::not_json("The request has no body."))
    }

    /// The body's fields.
    pub(super) fn fields(&self) -> Result<Map<String, Value>, ApiError> {
        serde_json::from_str(self.content()?.get()).map_err(|error| ApiError::bad_json(error.to_string()))
    }
}

/// Refuses whoever asks about somebody else.
pub(super) fn check_own(user_id: &UserId, caller: &Session) -> Result<(), ApiError> {
    if *user_id == caller.user_id {
        Ok(())
    } else {
        Err(ApiError::forbidden("Account data and tags are read and set by oneself."))
    }
}

/// Has what other users say count by the list of ignored users before the answer, where that is what changed. That it will is durable.
pub(super) async fn ignored_changed(state: &ApiState, caller: &Session, event_type: &str) {
    if event_type == "m.ignored_user_list" {
        state.push.follow(&state.rooms, caller.user, &caller.user_id).await;
    }
}
