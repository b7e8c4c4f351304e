//! `m.room.canonical_alias` and the aliases that it lists: they lead to the room, or are not taken (Matrix specification,
//! Client-Server API, PUT state).

use ruma::{CanonicalJsonObject, CanonicalJsonValue, OwnedRoomAliasId, RoomAliasId, events::StateEventType};
use wardstead_accounts::Session;

use crate::{
    Draft, Inner, Membership, Room, RoomError, Rooms,
    event::content::{canonical, text},
    state::key,
    tables::USER_ROOMS,
};

const EVENT_TYPE: &str = "m.room.canonical_alias";

/// The aliases in `content`, the canonical one first.
///
/// # Errors
/// `InvalidParam` for what is no alias.
fn listed(content: &CanonicalJsonObject) -> Result<Vec<OwnedRoomAliasId>, RoomError> {
    let invalid = |what: &str| RoomError::InvalidParam(format!("{what} is no room alias."));
    let parse = |value: &CanonicalJsonValue| {
        let alias = value.as_str().ok_or_else(|| invalid("What is listed"))?;
        RoomAliasId::parse(alias).map_err(|_| invalid(alias))
    };
    let mut all = Vec::new();
    match content.get("alias") {
        // Both say that there is none.
        None | Some(CanonicalJsonValue::Null) => {}
        Some(CanonicalJsonValue::String(alias)) if alias.is_empty() => {}
        Some(alias) => all.push(parse(alias)?),
    }
    match content.get("alt_aliases") {
        None | Some(CanonicalJsonValue::Null) => {}
        Some(CanonicalJsonValue::Array(aliases)) => {
            for alias in aliases {
                all.push(parse(alias)?);
            }
        }
        Some(_) => return Err(RoomError::InvalidParam("alt_aliases is no list.".into())),
    }
    Ok(all)
}

/// `content` without `alias`; `None` where it does not list it.
fn without(content: &CanonicalJsonObject, alias: &str) -> Option<CanonicalJsonObject> {
    let mut rest = content.clone();
    if text(content, "alias") == Some(alias) {
        rest.remove("alias");
    }
    if let Some(CanonicalJsonValue::Array(aliases)) = rest.get_mut("alt_aliases") {
        aliases.retain(|listed| listed.as_str() != Some(alias));
        if aliases.is_empty() {
            rest.remove("alt_aliases");
        }
    }
    (rest != *content).then_some(rest)
}

impl Rooms {
    /// Whether `by` is in `room` and has the power to say what its aliases are. Who has, also says whether it is published.
    ///
    /// # Errors
    /// The store's.
    pub async fn may_set_canonical_alias(&self, by: &Session, room: &Room) -> Result<bool, RoomError> {
        let key = USER_ROOMS.key(by.user).u64(room.short).key();
        let membership = self.inner.store.get(&USER_ROOMS, &key).await?.map(|found| found.row.membership);
        if membership != Some(Membership::Join) {
            return Ok(false);
        }
        self.inner.may_set_state(room, &by.user_id, StateEventType::RoomCanonicalAlias).await
    }

    /// Takes `alias` out of the room's canonical aliases. Where the room does not let `by` do so after all, it stays there.
    pub(super) async fn leave_out(&self, by: &Session, room: &Room, alias: &RoomAliasId) -> Result<(), RoomError> {
        let Some(current) = self.inner.canonical_alias(room).await? else { return Ok(()) };
        let Some(rest) = without(&current, alias.as_str()) else { return Ok(()) };
        let content = serde_json::value::to_raw_value(&rest)
            .map_err(|error| RoomError::BadJson(format!("The content cannot stand in an event: {error}.")))?;
        let draft = Draft { event_type: EVENT_TYPE.to_owned(), state_key: Some(String::new()), content, txn_id: None };
        match self.send(by, &room.room_id, draft).await {
            Ok(_) | Err(RoomError::Forbidden(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

impl Inner {
    /// The content of the room's current `m.room.canonical_alias`.
    async fn canonical_alias(&self, room: &Room) -> Result<Option<CanonicalJsonObject>, RoomError> {
        let snapshot = self.current_snapshot(room).await?;
        let event = self.state_of(room, &snapshot, &[key::CANONICAL_ALIAS]).await?.pop().flatten();
        event.map(|event| canonical(&event.content)).transpose()
    }

    /// Checks the aliases that `content`, an `m.room.canonical_alias` for `room`, lists and the one before it did not: those have
    /// to lead to the room.
    ///
    /// # Errors
    /// `InvalidParam` for what is no alias, `BadAlias` for what leads elsewhere or nowhere.
    pub(crate) async fn check_canonical_alias(
        &self,
        room: &Room,
        content: &CanonicalJsonObject,
    ) -> Result<(), RoomError> {
        if !content.contains_key("alias") && !content.contains_key("alt_aliases") {
            return Ok(());
        }
        let known = self.canonical_alias(room).await?.unwrap_or_default();
        let known = listed(&known).unwrap_or_default();
        for alias in listed(content)?.into_iter().filter(|alias| !known.contains(alias)) {
            let found = self.find_alias(&alias).await?;
            if found.is_none_or(|found| found.row.room != room.short) {
                return Err(RoomError::BadAlias(format!("The alias {alias} does not lead to this room.")));
            }
        }
        Ok(())
    }
}

/// As [`Inner::check_canonical_alias`], for the first state of a room: `own` alone will lead to it.
pub(crate) fn check_initial(content: &CanonicalJsonObject, own: Option<&RoomAliasId>) -> Result<(), RoomError> {
    match listed(content)?.into_iter().find(|alias| Some(&**alias) != own) {
        None => Ok(()),
        Some(alias) => Err(RoomError::BadAlias(format!("The alias {alias} does not lead to this room."))),
    }
}

/// The content that makes `alias` the canonical one.
pub(crate) fn canonical_content(alias: &RoomAliasId) -> CanonicalJsonObject {
    CanonicalJsonObject::from([("alias".to_owned(), alias.as_str().into())])
}

#[cfg(test)]
mod tests {
    use serde_json::{json, value::to_raw_value};

    use super::*;

    fn object(json: &serde_json::Value) -> CanonicalJsonObject {
        canonical(&to_raw_value(json).unwrap()).unwrap()
    }

    #[test]
    fn what_a_content_lists() {
        for (content, expected) in [
            (json!({}), Some(vec![])),
            (json!({ "alias": "" }), Some(vec![])),
            (json!({ "alias": null, "alt_aliases": null }), Some(vec![])),
            (json!({ "alias": "#a:x", "alt_aliases": ["#b:x", "#a:x"] }), Some(vec!["#a:x", "#b:x", "#a:x"])),
            (json!({ "alt_aliases": [] }), Some(vec![])),
            (json!({ "alias": "%a:x" }), None),
            (json!({ "alias": 7 }), None),
            (json!({ "alt_aliases": "#a:x" }), None),
            (json!({ "alt_aliases": [""] }), None),
            (json!({ "alt_aliases": [null] }), None),
            (json!({ "alias": format!("#{}:x", "a".repeat(253)) }), None),
        ] {
            let found = listed(&object(&content)).ok();
            let found = found.as_ref().map(|all| all.iter().map(|alias| alias.as_str()).collect::<Vec<_>>());
            assert_eq!(found, expected, "{content}");
        }
    }

    #[test]
    fn leaving_an_alias_out() {
        for (content, expected) in [
            (json!({ "alias": "#a:x" }), Some(json!({}))),
            (json!({ "alias": "#b:x" }), None),
            (json!({ "alias": "#a:x", "alt_aliases": ["#a:x"] }), Some(json!({}))),
            (
                json!({ "alias": "#b:x", "alt_aliases": ["#a:x", "#c:x"] }),
                Some(json!({ "alias": "#b:x", "alt_aliases": ["#c:x"] })),
            ),
            (json!({ "alt_aliases": ["#c:x"], "more": 1 }), None),
            (json!({ "alias": "#a:x", "more": 1 }), Some(json!({ "more": 1 }))),
        ] {
            let expected = expected.map(|json| object(&json));
            assert_eq!(without(&object(&content), "#a:x"), expected, "{content}");
        }
    }
}
