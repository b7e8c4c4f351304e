//! A room's replacement by one of another version (Matrix specification, Client-Server API, Room Upgrades).
//!
//! The new room is made first, in one batch; then a tombstone in the old room leads to it. What follows (aliases, closing the
//! old room) is done again when the same request is repeated, so that an answer that was lost costs nothing.

mod levels;
mod settings;

pub use settings::{GoesAlong, Mover};

use std::sync::Arc;

use ruma::{
    CanonicalJsonObject, CanonicalJsonValue, OwnedRoomId, OwnedUserId, RoomId, RoomVersionId, events::StateEventType,
};
use serde_json::{json, value::to_raw_value};
use wardstead_accounts::Session;
use wardstead_limits::rooms as limits;

use crate::{
    Draft, Inner, Membership, Room, RoomError, Rooms, StoredEvent,
    append::head_key,
    event::{
        build::Proposal,
        content::{canonical, text},
    },
    membership::MembershipChange,
    power, rules,
    state::{key, store::Committed},
    tables::{HEADS, USER_ROOMS},
};

/// State that the new room takes over, in the order in which it is set. Not memberships, which nobody can state for others, and
/// nothing whose meaning depends on who sent it.
const TRANSFERRED: [&str; 8] = [
    "m.room.server_acl",
    "m.room.encryption",
    "m.room.name",
    "m.room.avatar",
    "m.room.topic",
    "m.room.guest_access",
    "m.room.history_visibility",
    "m.room.join_rules",
];

/// The old room, as the upgrade found it.
struct Old {
    room: Arc<Room>,
    made: Arc<StoredEvent>,
    create: CanonicalJsonObject,
    state: Vec<Arc<StoredEvent>>,
    last_event: Option<String>,
}

impl Old {
    fn content(&self, event_type: &str) -> Result<Option<CanonicalJsonObject>, RoomError> {
        let found = self.state.iter().find(|event| is(event, event_type) && event.state_key.as_deref() == Some(""));
        found.map(|event| canonical(&event.content)).transpose()
    }
}

fn is(event: &StoredEvent, event_type: &str) -> bool {
    event.event_type.to_string() == event_type
}

impl Rooms {
    /// Replaces `room_id` by a new room of `version`, whose id is given back. `additional_creators` share the power of whoever
    /// upgrades, where the version knows that.
    ///
    /// # Errors
    /// `UnsupportedVersion`; `Forbidden` for those who are not in the room or may not send its tombstone.
    pub async fn upgrade(
        &self,
        by: &Session,
        room_id: &RoomId,
        version: &RoomVersionId,
        additional_creators: &[OwnedUserId],
    ) -> Result<OwnedRoomId, RoomError> {
        if rules(version).is_none() {
            return Err(RoomError::UnsupportedVersion(version.as_str().to_owned()));
        }
        let room = self.inner.names.by_id(room_id).await?.ok_or_else(RoomError::not_in_room)?;
        let member = USER_ROOMS.key(by.user).u64(room.short).key();
        let member = self.inner.store.get(&USER_ROOMS, &member).await?;
        if member.is_none_or(|found| found.row.membership != Membership::Join) {
            return Err(RoomError::not_in_room());
        }
        if !self.inner.may_set_state(&room, &by.user_id, StateEventType::RoomTombstone).await? {
            return Err(RoomError::forbidden("You have not the power to upgrade this room."));
        }
        let old = self.inner.old(room).await?;
        let new_id = if let Some(made) = self.replacement_made(by, &old, version).await? {
            made
        } else {
            let new_id = self.make_replacement(by, &old, version, additional_creators).await?;
            let body = json!({ "body": "This room has been replaced.", "replacement_room": new_id });
            self.set(by, room_id, "m.room.tombstone", &body).await?;
            new_id
        };
        self.move_aliases(room_id, &new_id).await?;
        self.move_canonical_alias(by, &old, &new_id).await?;
        self.close_old(by, &old).await?;
        Ok(new_id)
    }

    /// The room that an earlier, unfinished upgrade by the same user made.
    async fn replacement_made(
        &self,
        by: &Session,
        old: &Old,
        version: &RoomVersionId,
    ) -> Result<Option<OwnedRoomId>, RoomError> {
        let tombstone = old.state.iter().find(|event| is(event, "m.room.tombstone") && event.sender == by.user_id);
        let Some(tombstone) = tombstone else { return Ok(None) };
        let said = canonical(&tombstone.content)?;
        let Some(named) = text(&said, "replacement_room").and_then(|id| RoomId::parse(id).ok()) else {
            return Ok(None);
        };
        let Some(room) = self.inner.names.by_id(&named).await? else { return Ok(None) };
        if room.version != *version {
            return Ok(None);
        }
        let snapshot = self.inner.current_snapshot(&room).await?;
        let create = self.inner.state_of(&room, &snapshot, &[key::CREATE]).await?.pop().flatten();
        let Some(create) = create.filter(|create| create.sender == by.user_id) else { return Ok(None) };
        let content = canonical(&create.content)?;
        let leads_back = match content.get("predecessor") {
            Some(CanonicalJsonValue::Object(before)) => text(before, "room_id") == Some(old.room.room_id.as_str()),
            _ => false,
        };
        Ok(leads_back.then_some(named))
    }

    async fn make_replacement(
        &self,
        by: &Session,
        old: &Old,
        version: &RoomVersionId,
        additional_creators: &[OwnedUserId],
    ) -> Result<OwnedRoomId, RoomError> {
        let rules = rules(version).ok_or_else(|| RoomError::UnsupportedVersion(version.as_str().to_owned()))?;
        let authorization = &rules.authorization;
        let mut create = CanonicalJsonObject::from([("room_version".to_owned(), version.as_str().into())]);
        for field in ["type", "m.federate"] {
            if let Some(value) = old.create.get(field) {
                create.insert(field.to_owned(), value.clone());
            }
        }
        let mut predecessor = CanonicalJsonObject::from([("room_id".to_owned(), old.room.room_id.as_str().into())]);
        if !authorization.room_create_event_id_as_room_id
            && let Some(last) = &old.last_event
        {
            predecessor.insert("event_id".to_owned(), last.as_str().into());
        }
        create.insert("predecessor".to_owned(), predecessor.into());
        let mut creators = vec![by.user_id.clone()];
        if authorization.additional_room_creators && !additional_creators.is_empty() {
            let named = additional_creators.iter().map(|user_id| CanonicalJsonValue::from(user_id.as_str()));
            create.insert("additional_creators".to_owned(), named.collect::<Vec<_>>().into());
            creators.extend(additional_creators.iter().cloned());
        }
        if !authorization.use_room_create_sender {
            create.insert("creator".to_owned(), by.user_id.as_str().into());
        }
        let stated = old.content("m.room.power_levels")?.unwrap_or_default();
        let mut levels = levels::transferred(&stated, &creators, authorization);
        let was = &old.room.rules.authorization;
        if was.explicitly_privilege_room_creators && !authorization.explicitly_privilege_room_creators {
            levels::list(&mut levels, &power::creators(was, &old.made));
        }
        let first = levels::first(&levels, &by.user_id, authorization);
        let mut proposals = vec![
            Proposal::state("m.room.create", "", create),
            Proposal::state("m.room.member", by.user_id.as_str(), MembershipChange::to(Membership::Join).content()),
            Proposal::state("m.room.power_levels", "", first.clone()),
        ];
        for event_type in TRANSFERRED {
            if let Some(content) = old.content(event_type)? {
                proposals.push(Proposal::state(event_type, "", content));
            }
        }
        proposals.extend(children(old)?);
        if levels != first {
            proposals.push(Proposal::state("m.room.power_levels", "", levels));
        }
        if proposals.len() > limits::CREATE_EVENTS {
            let most = limits::CREATE_EVENTS;
            return Err(RoomError::TooLarge(format!("The new room would begin with more than {most} events.")));
        }
        self.make(by, version, &rules, &proposals, false, None).await
    }

    /// The canonical alias goes with the aliases, as far as they lead to the new room now.
    async fn move_canonical_alias(&self, by: &Session, old: &Old, new_id: &RoomId) -> Result<(), RoomError> {
        let Some(content) = old.content("m.room.canonical_alias")? else { return Ok(()) };
        if content.is_empty() {
            return Ok(());
        }
        match self.set(by, new_id, "m.room.canonical_alias", &content).await {
            // One that leads elsewhere, or a new room whose power levels do not let the maker name it: it has no canonical alias.
            Ok(()) | Err(RoomError::BadAlias(_) | RoomError::InvalidParam(_) | RoomError::Forbidden(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Nobody but moderators goes on speaking in the old room, if whoever upgrades can see to that.
    async fn close_old(&self, by: &Session, old: &Old) -> Result<(), RoomError> {
        let stated = old.content("m.room.power_levels")?.unwrap_or_default();
        match levels::closed(&stated) {
            None => Ok(()),
            Some(closed) => match self.set(by, &old.room.room_id, "m.room.power_levels", &closed).await {
                Ok(()) | Err(RoomError::Forbidden(_)) => Ok(()),
                Err(error) => Err(error),
            },
        }
    }

    async fn set(
        &self,
        by: &Session,
        room_id: &RoomId,
        event_type: &str,
        content: &impl serde::Serialize,
    ) -> Result<(), RoomError> {
        let content = to_raw_value(content).map_err(|error| RoomError::BadJson(error.to_string()))?;
        let state_key = Some(String::new());
        let draft = Draft { event_type: event_type.to_owned(), state_key, content, txn_id: None };
        self.send(by, room_id, draft).await.map(drop)
    }
}

/// A space keeps what is in it.
fn children(old: &Old) -> Result<Vec<Proposal>, RoomError> {
    if text(&old.create, "type") != Some("m.space") {
        return Ok(Vec::new());
    }
    let mut children = Vec::new();
    for event in old.state.iter().filter(|event| is(event, "m.space.child")) {
        let content = canonical(&event.content)?;
        if let Some(state_key) = event.state_key.as_deref().filter(|_| content.contains_key("via")) {
            children.push(Proposal::state("m.space.child", state_key, content));
        }
    }
    Ok(children)
}

impl Inner {
    /// All state of `room` but its members.
    async fn old(&self, room: Arc<Room>) -> Result<Old, RoomError> {
        let head = head_key(room.short);
        let found = self.store.get(&HEADS, &head).await?;
        let found = found.ok_or_else(|| RoomError::corrupt(&head, "a room without a head"))?;
        let last_event = found.row.extremities.last().map(|(event_id, _)| event_id.clone());
        let snapshot = self.state.snapshot(&Committed, room.short, found.row.snapshot).await?;
        let entries = self.state.list(&Committed, room.short, &snapshot, 0..=key::MEMBERS - 1).await?;
        let shorts: Vec<u64> = entries.into_iter().map(|entry| entry.event).collect();
        let state = self.events.load_short(&room, &shorts).await?;
        let create = state.iter().find(|event| is(event, "m.room.create"));
        let create = create.ok_or_else(|| RoomError::corrupt(&head, "a room without a create event"))?;
        Ok(Old { made: Arc::clone(create), create: canonical(&create.content)?, room, state, last_event })
    }
}
