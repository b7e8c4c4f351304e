//! Making a room (Matrix specification, Client-Server API, POST createRoom): all its first events in one batch.

mod content;

use std::sync::{Arc, atomic::Ordering};

use ruma::{
    OwnedRoomAliasId, OwnedRoomId, OwnedUserId, RoomAliasId, RoomId, RoomVersionId,
    room_version_rules::{RoomIdFormatVersion, RoomVersionRules},
};
use serde_json::value::RawValue;
use wardstead_accounts::Session;
use wardstead_engine::{Expect, Losing};
use wardstead_limits::{engine, rooms as limits, store::REBUILDS};
use wardstead_store::StoreError;

use crate::{
    Inner, Room, RoomChange, RoomCreated, RoomError, Rooms, aliases,
    append::{Author, Build},
    event::build::Proposal,
    names, rules,
};

/// The request.
#[derive(Clone, Debug, Default)]
pub struct NewRoom {
    /// Version; `None`: the server's default.
    pub version: Option<RoomVersionId>,
    /// Preset; `None`: by [`Self::public`].
    pub preset: Option<Preset>,
    /// Whether the room is to be published. There is no list yet; it only chooses the preset.
    pub public: bool,
    /// Name.
    pub name: Option<String>,
    /// Topic.
    pub topic: Option<String>,
    /// Who is invited.
    pub invite: Vec<OwnedUserId>,
    /// Whether the invitations are to a direct conversation.
    pub is_direct: bool,
    /// More content of the create event.
    pub creation_content: Option<Box<RawValue>>,
    /// Replaces fields of the power levels.
    pub power_level_content_override: Option<Box<RawValue>>,
    /// State that takes precedence over the preset's.
    pub initial_state: Vec<InitialState>,
    /// Local part of the alias that the room is to have.
    pub room_alias_name: Option<String>,
}

/// A state event of a new room.
#[derive(Clone, Debug)]
pub struct InitialState {
    /// Type.
    pub event_type: String,
    /// State key.
    pub state_key: String,
    /// Content.
    pub content: Box<RawValue>,
}

/// What a new room's state is where nothing else is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// By invitation.
    PrivateChat,
    /// By invitation, and who is invited has the creator's power.
    TrustedPrivateChat,
    /// Open.
    PublicChat,
}

impl Rooms {
    /// Makes a room and returns its id once all its first events are durable.
    ///
    /// # Errors
    /// [`RoomError`]; `InvalidState` when the events asked for do not allow one another.
    pub async fn create(&self, by: &Session, request: NewRoom) -> Result<OwnedRoomId, RoomError> {
        let version = request.version.as_ref().unwrap_or(&self.inner.default_version);
        let rules = rules(version).ok_or_else(|| RoomError::UnsupportedVersion(version.as_str().to_owned()))?;
        check(&request)?;
        let alias = request.room_alias_name.as_deref().map(|name| self.inner.alias_named(name)).transpose()?;
        let proposals = content::proposals(&by.user_id, &request, alias.as_deref(), version, &rules)?;
        proposals
            .iter()
            .filter(|proposal| proposal.event_type != "m.room.create")
            .try_for_each(|proposal| self.inner.check(proposal))?;
        self.make(by, version, &rules, &proposals, request.public, alias).await
    }

    /// Makes the room that begins with `proposals`.
    pub(crate) async fn make(
        &self,
        by: &Session,
        version: &RoomVersionId,
        rules: &RoomVersionRules,
        proposals: &[Proposal],
        public: bool,
        alias: Option<OwnedRoomAliasId>,
    ) -> Result<OwnedRoomId, RoomError> {
        for _ in 0..=REBUILDS {
            let short = self.inner.store.next_id().await?;
            let room_id = match rules.room_id_format {
                RoomIdFormatVersion::V2 => None,
                _ => Some(self.inner.random_room_id()?),
            };
            let mut build = Build::new(&self.inner, short, room_id, version, rules);
            build.now_ms = self.inner.unique_ms(build.now_ms);
            match self.inner.commit_room(by, build, proposals, public, alias.as_deref()).await {
                Err(RoomError::Store(StoreError::Lost(Losing::Fail(aliases::TAKEN)))) if let Some(alias) = alias => {
                    return Err(RoomError::RoomInUse(alias));
                }
                // Somebody else's room has this id.
                Err(RoomError::Store(StoreError::Lost(_))) => {}
                other => return other,
            }
        }
        Err(RoomError::Busy("no free room id was found"))
    }
}

fn check(request: &NewRoom) -> Result<(), RoomError> {
    if request.initial_state.len() + request.invite.len() > limits::CREATE_EVENTS {
        let allowed = limits::CREATE_EVENTS;
        return Err(RoomError::TooLarge(format!(
            "A new room has at most {allowed} initial state events and invitations together."
        )));
    }
    let reserved = |state: &&InitialState| ["m.room.create", "m.room.member"].contains(&state.event_type.as_str());
    match request.initial_state.iter().find(reserved) {
        None => Ok(()),
        Some(state) => Err(RoomError::InvalidParam(format!("{} cannot be initial state.", state.event_type))),
    }
}

impl Inner {
    async fn commit_room(
        &self,
        by: &Session,
        mut build: Build<'_>,
        proposals: &[Proposal],
        public: bool,
        alias: Option<&RoomAliasId>,
    ) -> Result<OwnedRoomId, RoomError> {
        let author = Author { user_id: by.user_id.clone(), user: by.user, guest: by.guest, transaction: None };
        for proposal in proposals {
            match build.add(&author, proposal).await {
                Ok(crate::append::Added::Event(event)) if build.room_id.is_none() => {
                    build.room_id = Some(event.room_id.clone());
                }
                Ok(_) => {}
                Err(RoomError::Forbidden(why) | RoomError::InvalidParam(why)) => {
                    return Err(RoomError::InvalidState(why));
                }
                Err(error) => return Err(error),
            }
        }
        let room_id = build.room_id.clone().ok_or(RoomError::Busy("the room was not made"))?;
        let (short, version, rules) = (build.room, build.version.clone(), build.rules.clone());
        let room = Arc::new(Room { short, room_id: room_id.clone(), version, rules });
        let key = names::id_key(&room_id);
        build.batch.expect(key, Expect::Absent, Losing::Rebuild);
        names::put(&mut build.batch, &room);
        if let Some(alias) = alias {
            let version = self.store.next_id().await?;
            aliases::put(&mut build.batch, alias, &room, by.user_id.as_str(), build.now_ms, version);
        }
        let entry = build.last_entry().unwrap_or_default();
        let created = RoomCreated { room: short, room_id: room_id.clone(), by: by.user_id.clone(), public };
        build.contribute(RoomChange::Created(created), entry).await?;
        build.finish();
        let (batch, _, pending, committable) = build.into_committable();
        let (bytes, writes) = (batch.bytes(), batch.writes.len());
        if bytes > engine::BATCH_BYTES || writes > engine::BATCH_WRITES {
            return Err(RoomError::TooLarge(format!(
                "The room's first events would take {bytes} bytes in {writes} rows."
            )));
        }
        let positions = self.store.commit(batch).await?;
        self.state.remember(&pending.own.parts);
        self.committed(&pending.own, &positions, committable);
        Ok(room_id)
    }

    fn random_room_id(&self) -> Result<OwnedRoomId, RoomError> {
        let local = self.store.rng().alphanumeric(18);
        RoomId::parse(format!("!{local}:{}", self.server_name))
            .map_err(|_| RoomError::TooLarge("The server's name is too long for a room id.".into()))
    }

    /// `now_ms`, or the millisecond after the last room was made here: in version 12 two create events of the same sender
    /// with the same content and time would be the same event, and the same room.
    fn unique_ms(&self, now_ms: u64) -> u64 {
        let later = |last: u64| Some(now_ms.max(last + 1));
        let last = self.last_created_ms.fetch_update(Ordering::SeqCst, Ordering::SeqCst, later);
        last.map_or(now_ms, |last| now_ms.max(last + 1))
    }
}
