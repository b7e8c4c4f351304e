//! Who may come in (Matrix specification, Client-Server API, `m.room.join_rules`).

use ruma::{OwnedRoomId, room_version_rules::AuthorizationRules};
use serde::Deserialize;
use serde_json::Value;

use crate::Event;

/// The join rule of a room, as far as this server acts by it; the rules of the room version judge the rest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct JoinRule {
    name: String,
    /// Rooms whose members may join.
    allowed: Vec<OwnedRoomId>,
}

impl JoinRule {
    /// What `event` states. Conditions that cannot be read are left out, as those of a kind that is not known: they let
    /// nobody in.
    pub(crate) fn of(event: Option<&Event>) -> Self {
        #[derive(Deserialize)]
        struct Content {
            #[serde(default)]
            join_rule: String,
            #[serde(default)]
            allow: Value,
        }
        let stated = event.and_then(|event| serde_json::from_str::<Content>(event.content.get()).ok());
        let Some(Content { join_rule, allow }) = stated else { return Self::default() };
        let allow = if let Value::Array(conditions) = allow { conditions } else { Vec::new() };
        let room = |condition: &Value| {
            let known = condition["type"] == "m.room_membership";
            known.then(|| OwnedRoomId::try_from(condition["room_id"].as_str()?).ok()).flatten()
        };
        Self { name: join_rule, allowed: allow.iter().filter_map(room).collect() }
    }

    /// Whose members may join without an invitation; `None` where that is not the rule, or no rule of this room version.
    pub(crate) fn restricted_to(self, rules: &AuthorizationRules) -> Option<Vec<OwnedRoomId>> {
        let restricted = match self.name.as_str() {
            "restricted" => rules.restricted_join_rule,
            "knock_restricted" => rules.knock_restricted_join_rule,
            _ => false,
        };
        restricted.then_some(self.allowed)
    }
}
