//! A user's rules in one room, split in two: what is the same for all who have the same (the *class*), and what to look for because
//! only this user's rules do.
//!
//! A rule that names the room is decided here, once. What looks for the user, for words, for senders is the user's own; an event
//! that has nothing of it is to the user what it is to the class.

use ruma::{
    RoomId, UserId,
    push::{AnyPushRuleRef, FlattenedJson, PushCondition, PushConditionRoomCtx, Ruleset},
};
use serde_json::json;

use crate::{
    defaults::{ROOM_NOTIF, is_legacy, outcome},
    glob,
    tables::{ClassRow, ClassRuleRow, Outcome},
};

/// What makes an event one that has to be looked at for a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trigger {
    /// The text has something like this.
    Word(String),
    /// The text has the user's display name.
    Name,
    /// This user sent it.
    Sender(String),
    /// Nothing simpler tells.
    Always,
}

/// Rules in one room.
#[derive(Clone, Debug, Default)]
pub(crate) struct Split {
    pub(crate) class: ClassRow,
    /// Beside being mentioned by id, which always counts.
    pub(crate) triggers: Vec<Trigger>,
}

/// What a condition is in a room.
enum Part {
    True,
    Never,
    Class,
    Mention,
    Own(Trigger),
}

/// Splits `rules`, which are `user_id`'s, for who is in `room_id`.
pub(crate) fn split(rules: &Ruleset, user_id: &UserId, room_id: &RoomId) -> Split {
    let mut split = Split::default();
    for rule in rules.iter().filter(|rule| rule.enabled()) {
        let parts: Vec<(Part, Option<String>)> = match rule {
            AnyPushRuleRef::Override(of) | AnyPushRuleRef::Underride(of) => {
                let part = |condition| (part(condition, &of.rule_id, user_id, room_id), stored(condition));
                of.conditions.iter().map(part).collect()
            }
            AnyPushRuleRef::Content(of) => vec![(Part::Own(Trigger::Word(of.pattern.clone())), None)],
            AnyPushRuleRef::Room(of) => vec![(in_room(of.rule_id.as_str(), room_id), None)],
            AnyPushRuleRef::Sender(of) => vec![(sent_by(of.rule_id.as_str()), None)],
            _ => vec![(Part::Own(Trigger::Always), None)],
        };
        if parts.iter().any(|(part, _)| matches!(part, Part::Never)) {
            continue;
        }
        let mut own = parts.iter().filter(|(part, _)| matches!(part, Part::Own(_) | Part::Mention)).peekable();
        if own.peek().is_some() {
            // All conditions must hold, so one of them is enough to look for: the mention, which is found without being looked for.
            if own.all(|(part, _)| !matches!(part, Part::Mention))
                && let Some(trigger) = parts.into_iter().find_map(|(part, _)| part.trigger())
                && !split.triggers.contains(&trigger)
            {
                split.triggers.push(trigger);
            }
            continue;
        }
        let conditions = parts.into_iter().filter(|(part, _)| matches!(part, Part::Class));
        let Some(conditions) = conditions.map(|(_, stored)| stored).collect::<Option<Vec<String>>>() else { continue };
        let legacy = is_legacy(rule.rule_id());
        let matches_all = conditions.is_empty() && !legacy;
        let outcome = outcome(rule);
        let actions = if outcome == Outcome::Silent { String::new() } else { actions(rule) };
        split.class.rules.push(ClassRuleRow { legacy, conditions, outcome, actions });
        if matches_all {
            break;
        }
    }
    // What comes last and notifies nobody is as good as nothing: fewer classes differ.
    while split.class.rules.pop_if(|rule| rule.outcome == Outcome::Silent).is_some() {}
    split
}

impl Part {
    fn trigger(self) -> Option<Trigger> {
        match self {
            Self::Own(trigger) => Some(trigger),
            _ => None,
        }
    }
}

/// The condition in the form of the specification.
fn stored(condition: &PushCondition) -> Option<String> {
    serde_json::to_string(condition).ok()
}

fn in_room(pattern: &str, room_id: &RoomId) -> Part {
    let here = glob::is_like(&room_id.as_str().to_lowercase(), &pattern.to_lowercase());
    if here { Part::True } else { Part::Never }
}

fn sent_by(pattern: &str) -> Part {
    let pattern = pattern.to_lowercase();
    Part::Own(if glob::has_wildcards(&pattern) { Trigger::Always } else { Trigger::Sender(pattern) })
}

#[expect(deprecated, reason = "rules with the condition are still evaluated")]
fn part(condition: &PushCondition, rule_id: &str, user_id: &UserId, room_id: &RoomId) -> Part {
    match condition {
        PushCondition::EventMatch(of) => match of.key.as_str() {
            "room_id" => in_room(&of.pattern, room_id),
            "sender" => sent_by(&of.pattern),
            "content.body" if rule_id == ROOM_NOTIF => Part::Class,
            "content.body" => Part::Own(Trigger::Word(of.pattern.clone())),
            // Only an invitation is looked for so, and who is in the room is invited no more.
            "state_key" if rule_id == ".m.rule.invite_for_me" => Part::Never,
            "state_key" if of.pattern == user_id.as_str() => Part::Own(Trigger::Always),
            _ => Part::Class,
        },
        PushCondition::EventPropertyContains(of) => {
            let mine = of.value.as_str() == Some(user_id.as_str());
            if of.key == r"content.m\.mentions.user_ids" && mine { Part::Mention } else { Part::Class }
        }
        PushCondition::ContainsDisplayName => Part::Own(Trigger::Name),
        PushCondition::RoomMemberCount(_)
        | PushCondition::SenderNotificationPermission(_)
        | PushCondition::EventPropertyIs(_) => Part::Class,
        // A kind that nobody knows holds for no event.
        _ => Part::Never,
    }
}

/// What a rule has done, in the form of the specification.
fn actions(rule: AnyPushRuleRef<'_>) -> String {
    serde_json::to_string(rule.actions()).unwrap_or_default()
}

/// What `rules` make of an event for one user, whoever sent it, and what is done about it.
pub(crate) async fn evaluate(
    rules: &Ruleset,
    event: &FlattenedJson,
    context: &PushConditionRoomCtx,
) -> (Outcome, String) {
    for rule in rules {
        if rule.applies(event, context).await {
            return (outcome(rule), actions(rule));
        }
    }
    Default::default()
}

/// The event as conditions see it.
pub(crate) fn flattened(event: &serde_json::Value) -> FlattenedJson {
    let raw = ruma::serde::Raw::<serde_json::Value>::new(event);
    FlattenedJson::from_raw(&raw.unwrap_or_else(|_| ruma::serde::Raw::from_json(empty())))
}

fn empty() -> Box<serde_json::value::RawValue> {
    serde_json::value::to_raw_value(&json!({})).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use ruma::{room_id, user_id};

    use super::*;
    use crate::defaults::default_rules;

    fn rules(change: impl FnOnce(&mut serde_json::Value)) -> Ruleset {
        let mut json = serde_json::to_value(default_rules(user_id!("@anna:x"))).unwrap();
        change(&mut json);
        serde_json::from_value(json).unwrap()
    }

    fn of(rules: &Ruleset) -> Split {
        split(rules, user_id!("@anna:x"), room_id!("!a:x"))
    }

    #[test]
    fn everybody_with_the_rules_of_everybody_is_of_one_class() {
        let anna = of(&default_rules(user_id!("@anna:x")));
        let bert = split(&default_rules(user_id!("@bert:x")), user_id!("@bert:x"), room_id!("!b:x"));
        assert_eq!(anna.class, bert.class);
        assert_eq!(anna.triggers, [Trigger::Name, Trigger::Word("anna".to_owned())]);
    }

    #[test]
    fn a_room_that_is_muted_has_a_class_of_its_own() {
        let mute = |room: &str| {
            let rule = json!({ "rule_id": room, "actions": [], "default": false, "enabled": true, "conditions": [
                { "kind": "event_match", "key": "room_id", "pattern": room }] });
            rules(|rules| rules["override"].as_array_mut().unwrap().insert(0, rule))
        };
        assert_eq!(of(&mute("!a:x")).class, ClassRow::default(), "nothing notifies");
        assert!(of(&mute("!a:x")).triggers.is_empty(), "what comes after it is not looked for");
        assert_eq!(of(&mute("!b:x")).class, of(&rules(|_| {})).class, "another room");
        let only_mentions = rules(|rules| {
            rules["room"] = json!([{ "rule_id": "!a:x", "actions": [], "default": false, "enabled": true }]);
        });
        let split = of(&only_mentions);
        assert!(split.class.rules.iter().any(|rule| rule.outcome == Outcome::Highlight), "@room");
        assert_eq!(split.triggers.len(), 2);
    }

    #[test]
    fn words_and_senders_are_the_users_own() {
        let own = rules(|rules| {
            rules["content"] = json!([{ "rule_id": "w", "pattern": "sepsis", "actions": ["notify"], "default": false,
                "enabled": true }]);
            rules["sender"] = json!([{ "rule_id": "@Bot:x", "actions": [], "default": false, "enabled": true }]);
        });
        let split = of(&own);
        assert_eq!(split.class, of(&rules(|_| {})).class);
        let expected = [Trigger::Name, Trigger::Word("sepsis".to_owned()), Trigger::Sender("@bot:x".to_owned())];
        assert_eq!(split.triggers, expected);
    }
}
