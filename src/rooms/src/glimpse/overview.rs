//! A room in a few words, read from its state.

use std::sync::Arc;

use ruma::{OwnedRoomId, RoomAliasId, RoomId, room_version_rules::AuthorizationRules};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{
    HistoryVisibility, Membership, Room, StoredEvent,
    event::content::history_visibility,
    state::key::{
        AVATAR, CANONICAL_ALIAS, CREATE, ENCRYPTION, GUEST_ACCESS, HISTORY_VISIBILITY, JOIN_RULES, NAME, TOPIC,
    },
};

/// The state that an overview is made of, in the order in which [`Overview::of`] takes it.
pub(super) const KEYS: [u64; 9] =
    [CREATE, JOIN_RULES, HISTORY_VISIBILITY, GUEST_ACCESS, NAME, TOPIC, AVATAR, CANONICAL_ALIAS, ENCRYPTION];

/// A room in a few words (Client-Server API, `RoomSummary`).
#[derive(Clone, Debug)]
pub struct Overview {
    /// The room.
    pub room: Arc<Room>,
    /// How many users are in it.
    pub joined: u32,
    /// Name.
    pub name: Option<String>,
    /// Topic as plain text.
    pub topic: Option<String>,
    /// `mxc://…` of its picture.
    pub avatar_url: Option<String>,
    /// Canonical alias.
    pub canonical_alias: Option<String>,
    /// Who may join.
    pub join_rule: JoinRule,
    /// Whether everybody may read it.
    pub world_readable: bool,
    /// Whether guests may join.
    pub guest_can_join: bool,
    /// Type, as its create event says.
    pub room_type: Option<String>,
    /// Algorithm by which its messages are encrypted.
    pub encryption: Option<String>,
    /// Id of the snapshot that was read.
    pub(super) snapshot: u64,
}

/// Who may join (Client-Server API, `m.room.join_rules`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinRule {
    /// As the room states it; `invite` where it states none.
    pub name: String,
    /// In a restricted room: the rooms whose members may join.
    pub allowed: Vec<OwnedRoomId>,
    kind: Kind,
}

/// What the rule comes to in the room's version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Everybody may join or ask to.
    Open,
    /// Members of other rooms may join.
    Restricted,
    /// By invitation.
    Closed,
}

impl Overview {
    /// From the events of [`KEYS`].
    pub(super) fn of(room: Arc<Room>, joined: u32, snapshot: u64, events: &[Option<Arc<StoredEvent>>]) -> Self {
        let event = |at: usize| events.get(at).and_then(Option::as_ref).map(|event| &*event.event);
        let content = |at: usize| {
            let content = event(at).map(|event| serde_json::from_str::<Map<String, Value>>(event.content.get()));
            content.and_then(Result::ok).unwrap_or_default()
        };
        let text = |at: usize, field: &str| stated(&content(at), field);
        Self {
            joined,
            snapshot,
            room_type: text(0, "type"),
            join_rule: JoinRule::of(&content(1), &room.rules.authorization),
            world_readable: history_visibility(event(2)) == HistoryVisibility::WorldReadable,
            guest_can_join: text(3, "guest_access").as_deref() == Some("can_join"),
            name: text(4, "name"),
            topic: topic(&content(5)),
            avatar_url: text(6, "url").filter(|url| url.starts_with("mxc://")),
            canonical_alias: text(7, "alias").filter(|alias| RoomAliasId::parse(alias.as_str()).is_ok()),
            encryption: text(8, "algorithm"),
            room,
        }
    }

    /// Whether everybody may see this much of the room, signed in or not.
    pub(super) fn is_open(&self) -> bool {
        self.world_readable || self.join_rule.kind == Kind::Open
    }

    /// Whether the room's own state shows it to a user who is this in it.
    pub(super) fn shown_to(&self, membership: Option<Membership>) -> bool {
        matches!(membership, Some(Membership::Join | Membership::Invite)) || self.is_open()
    }

    /// The rooms whose members it is shown to.
    pub(super) fn lets_in(&self) -> &[OwnedRoomId] {
        if self.join_rule.kind == Kind::Restricted { &self.join_rule.allowed } else { &[] }
    }

    /// Whether it is a space.
    #[must_use]
    pub fn is_space(&self) -> bool {
        self.room_type.as_deref() == Some("m.space")
    }
}

impl JoinRule {
    fn of(content: &Map<String, Value>, rules: &AuthorizationRules) -> Self {
        let name = stated(content, "join_rule").unwrap_or_else(|| "invite".to_owned());
        let is_restricted = ["restricted", "knock_restricted"].contains(&name.as_str());
        let kind = match name.as_str() {
            "public" => Kind::Open,
            "knock" if rules.knocking => Kind::Open,
            "knock_restricted" if rules.knock_restricted_join_rule => Kind::Open,
            "restricted" if rules.restricted_join_rule => Kind::Restricted,
            _ => Kind::Closed,
        };
        Self { allowed: if is_restricted { allowed(content) } else { Vec::new() }, kind, name }
    }

    /// Whether it names rooms whose members may join.
    #[must_use]
    pub fn is_restricted(&self) -> bool {
        ["restricted", "knock_restricted"].contains(&self.name.as_str())
    }
}

/// The rooms that a restricted rule names, each once.
fn allowed(content: &Map<String, Value>) -> Vec<OwnedRoomId> {
    #[derive(Deserialize)]
    struct Condition {
        #[serde(rename = "type")]
        kind: String,
        room_id: String,
    }
    let mut all = Vec::new();
    let conditions = content.get("allow").and_then(Value::as_array).into_iter().flatten();
    for condition in conditions.filter_map(|condition| Condition::deserialize(condition).ok()) {
        if let Ok(room_id) = RoomId::parse(condition.room_id)
            && condition.kind == "m.room_membership"
            && !all.contains(&room_id)
        {
            all.push(room_id);
        }
    }
    all
}

/// The text of a field that is stated and not empty.
fn stated(content: &Map<String, Value>, field: &str) -> Option<String> {
    content.get(field).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// The topic as plain text: the first such representation in `m.topic`, else `topic`.
fn topic(content: &Map<String, Value>) -> Option<String> {
    let texts = content.get("m.topic").and_then(|topic| topic.get("m.text")).and_then(Value::as_array);
    let plain = texts.into_iter().flatten().find_map(|text| {
        let is_plain = text.get("mimetype").is_none_or(|mimetype| mimetype == "text/plain");
        text.get("body").and_then(Value::as_str).filter(|_| is_plain).map(str::to_owned)
    });
    plain.filter(|topic| !topic.is_empty()).or_else(|| stated(content, "topic"))
}

#[cfg(test)]
mod tests {
    use ruma::RoomVersionId;
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn topics() {
        for (content, expected) in [
            (json!({ "topic": "a" }), Some("a")),
            (json!({ "topic": "" }), None),
            (json!({}), None),
            (json!({ "topic": 7 }), None),
            (json!({ "topic": "a", "m.topic": { "m.text": [{ "body": "b" }] } }), Some("b")),
            (json!({ "topic": "a", "m.topic": { "m.text": [{ "body": "<b>", "mimetype": "text/html" }] } }), Some("a")),
            (
                json!({ "m.topic": { "m.text": [
                    { "body": "<b>", "mimetype": "text/html" }, { "body": "b", "mimetype": "text/plain" }
                ] } }),
                Some("b"),
            ),
            (json!({ "topic": "a", "m.topic": { "m.text": "b" } }), Some("a")),
        ] {
            assert_eq!(topic(&object(content.clone())).as_deref(), expected, "{content}");
        }
    }

    /// A rule means only what the room's version knows.
    #[test]
    fn join_rules() {
        let allow = json!([
            { "type": "m.room_membership", "room_id": "!a:x" },
            { "type": "m.room_membership", "room_id": "!a:x" },
            { "type": "org.example", "room_id": "!b:x" },
            { "type": "m.room_membership", "room_id": "b" },
            { "type": "m.room_membership" },
            7,
        ]);
        for (version, rule, expected) in [
            (RoomVersionId::V6, json!("public"), Kind::Open),
            (RoomVersionId::V6, json!("knock"), Kind::Closed),
            (RoomVersionId::V7, json!("knock"), Kind::Open),
            (RoomVersionId::V7, json!("restricted"), Kind::Closed),
            (RoomVersionId::V8, json!("restricted"), Kind::Restricted),
            (RoomVersionId::V9, json!("knock_restricted"), Kind::Closed),
            (RoomVersionId::V10, json!("knock_restricted"), Kind::Open),
            (RoomVersionId::V12, json!("private"), Kind::Closed),
            (RoomVersionId::V12, json!(["public"]), Kind::Closed),
            (RoomVersionId::V12, json!(null), Kind::Closed),
        ] {
            let rules = version.rules().unwrap().authorization;
            let content = object(json!({ "join_rule": rule, "allow": allow }));
            let found = JoinRule::of(&content, &rules);
            assert_eq!(found.kind, expected, "{version} {rule}");
            let named = rule.as_str().is_some_and(|rule| rule.ends_with("restricted"));
            assert_eq!(found.allowed.len(), usize::from(named), "{version} {rule}");
        }
    }
}
