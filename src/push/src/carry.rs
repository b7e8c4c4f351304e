//! A user's rules for a room go along to the room that replaces it.
//!
//! Who is in the replacement, and was in the old room when it was replaced, or came later, has them there from then on
//! ([`wardstead_rooms::GoesAlong`]). The specification does not say so; without it a room that somebody muted is loud again.

use std::sync::Arc;

use async_trait::async_trait;
use ruma::{
    OwnedRoomId, RoomId,
    push::{
        ConditionalPushRule, NewConditionalPushRule, NewPushRule, NewSimplePushRule, PushCondition, RuleKind, Ruleset,
    },
};
use wardstead_rooms::{GoesAlong, Rooms};
use wardstead_store::StoreError;

use crate::{
    Place, Push, PushError, edits,
    error::{of_accounts, of_push},
};

impl Push {
    /// What has rules go along, for [`Rooms::run_moves`].
    #[must_use]
    pub fn carrier(&self, rooms: &Rooms) -> Arc<dyn GoesAlong> {
        Arc::new(Carrier { push: self.clone(), rooms: rooms.clone() })
    }
}

struct Carrier {
    push: Push,
    rooms: Rooms,
}

#[async_trait]
impl GoesAlong for Carrier {
    async fn go_along(&self, user: u64, old: &RoomId, new: &RoomId) -> Result<(), StoreError> {
        let accounts = &self.push.core.accounts;
        let Some(user_id) = accounts.user_ids(&[user]).await.map_err(of_accounts)?.pop().flatten() else {
            return Ok(());
        };
        match self.push.change_rules(user, &user_id, |rules| carry(rules, old, new)).await {
            Ok(()) => self.push.follow(&self.rooms, user, &user_id).await,
            // Tried again it would be as many.
            Err(PushError::TooLarge(what)) => tracing::warn!(what, "rules for a room do not go along"),
            Err(error) => return Err(of_push(error)),
        }
        Ok(())
    }
}

/// Puts beside each of the user's own rules that is for `old` alone one for `new`. There may be one already: it stays as it is.
fn carry(rules: &mut Ruleset, old: &RoomId, new: &RoomId) -> Result<(), PushError> {
    if let Some(rule) = rules.room.get(old.as_str()).cloned()
        && rules.room.get(new.as_str()).is_none()
    {
        let copy = NewSimplePushRule::new(OwnedRoomId::from(new), rule.actions);
        edits::insert(rules, NewPushRule::Room(copy), &after(old.as_str()))?;
        enable(rules, RuleKind::Room, new.as_str(), rule.enabled)?;
    }
    for kind in [RuleKind::Override, RuleKind::Underride] {
        let of_kind = if kind == RuleKind::Override { &rules.override_ } else { &rules.underride };
        let own = of_kind.iter().filter(|rule| !rule.default && rule.conditions.iter().any(|one| is_for(one, old)));
        for rule in own.cloned().collect::<Vec<ConditionalPushRule>>() {
            let rule_id = renamed(&rule.rule_id, old, new);
            if rules.get(kind.clone(), &rule_id).is_some() {
                continue;
            }
            let conditions =
                rule.conditions.iter().map(|one| if is_for(one, old) { of_room(new) } else { one.clone() });
            let copy = NewConditionalPushRule::new(rule_id.clone(), conditions.collect(), rule.actions);
            let copy = match kind {
                RuleKind::Override => NewPushRule::Override(copy),
                _ => NewPushRule::Underride(copy),
            };
            edits::insert(rules, copy, &after(&rule.rule_id))?;
            enable(rules, kind.clone(), &rule_id, rule.enabled)?;
        }
    }
    Ok(())
}

fn enable(rules: &mut Ruleset, kind: RuleKind, rule_id: &str, enabled: bool) -> Result<(), PushError> {
    rules.set_enabled(kind, rule_id, enabled).map_err(|_| PushError::NoSuchRule)
}

fn after(rule_id: &str) -> Place {
    Place { before: None, after: Some(rule_id.to_owned()) }
}

/// Most clients give a rule for a room the room's id.
fn renamed(rule_id: &str, old: &RoomId, new: &RoomId) -> String {
    if rule_id.contains(old.as_str()) {
        rule_id.replace(old.as_str(), new.as_str())
    } else {
        format!("{rule_id}.{new}")
    }
}

fn is_for(condition: &PushCondition, room: &RoomId) -> bool {
    matches!(condition, PushCondition::EventMatch(of) if of.key == "room_id" && of.pattern == room.as_str())
}

fn of_room(room: &RoomId) -> PushCondition {
    let data = ruma::push::EventMatchConditionData::new("room_id".to_owned(), room.as_str().to_owned());
    PushCondition::EventMatch(data)
}

#[cfg(test)]
mod tests {
    use ruma::{room_id, user_id};
    use serde_json::{Value, json};

    use super::*;
    use crate::defaults::default_rules;

    #[test]
    fn a_rule_for_the_room_has_one_for_its_replacement_beside_it_once() {
        let of = |room: &str| {
            json!([{ "kind": "event_match", "key": "room_id", "pattern": room },
                { "kind": "event_match", "key": "type", "pattern": "m.room.message" }])
        };
        let rule = |id: &str, conditions: Value, enabled: bool| {
            json!({ "rule_id": id, "default": false, "enabled": enabled, "actions": ["dont_notify"],
                "conditions": conditions })
        };
        let mut json = serde_json::to_value(default_rules(user_id!("@anna:x"))).unwrap();
        json["room"] = json!([{ "rule_id": "!other:x", "default": false, "enabled": true, "actions": [] },
            { "rule_id": "!old:x", "default": false, "enabled": false, "actions": ["notify", "coalesce"] }]);
        let own = [rule("!old:x", of("!old:x"), true), rule("!other:x", of("!other:x"), true)];
        json["override"].as_array_mut().unwrap().splice(1..1, own);
        json["underride"].as_array_mut().unwrap().insert(0, rule("mine", of("!old:x"), false));
        let mut rules: Ruleset = serde_json::from_value(json).unwrap();
        for _ in 0..2 {
            carry(&mut rules, room_id!("!old:x"), room_id!("!new:x")).unwrap();
            let told = serde_json::to_value(&rules).unwrap();
            let room =
                json!({ "rule_id": "!new:x", "default": false, "enabled": false, "actions": ["notify", "coalesce"] });
            assert_eq!((told["room"].as_array().unwrap().len(), &told["room"][2]), (3, &room));
            assert_eq!(told["override"][2], rule("!new:x", of("!new:x"), true));
            assert_eq!(told["underride"][1], rule("mine.!new:x", of("!new:x"), false));
            assert_eq!(rules.override_.iter().filter(|rule| !rule.default).count(), 3);
        }
        let before = serde_json::to_value(&rules).unwrap();
        carry(&mut rules, room_id!("!nothing:x"), room_id!("!new2:x")).unwrap();
        assert_eq!(serde_json::to_value(&rules).unwrap(), before);
    }
}
