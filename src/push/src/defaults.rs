//! The rules that every user has (Matrix specification v1.19, Client-Server API, Predefined Rules), and those of before v1.17, which
//! look for mentions in the text of events that do not say whom they mention.

use ruma::{
    UserId,
    push::{
        Action, AnyPushRuleRef, ConditionalPushRule, ConditionalPushRuleInit, HighlightTweakValue, PatternedPushRule,
        PatternedPushRuleInit, PushCondition, Ruleset, SoundTweakValue, Tweak,
    },
};
use serde_json::json;

/// Looks for the user's display name in the text.
pub(crate) const CONTAINS_DISPLAY_NAME: &str = ".m.rule.contains_display_name";
/// Looks for `@room` in the text.
pub(crate) const ROOM_NOTIF: &str = ".m.rule.roomnotif";
/// Looks for the localpart of the user's id in the text.
pub(crate) const CONTAINS_USER_NAME: &str = ".m.rule.contains_user_name";

/// Whether the rule leaves events alone that say whom they mention.
pub(crate) fn is_legacy(rule_id: &str) -> bool {
    [CONTAINS_DISPLAY_NAME, ROOM_NOTIF, CONTAINS_USER_NAME].contains(&rule_id)
}

/// The rules of `user_id` while the user changes none.
#[must_use]
pub fn default_rules(user_id: &UserId) -> Ruleset {
    let mut rules = Ruleset::server_default(user_id);
    // Where they stood among the others before they were taken out.
    let place = |rules: &Ruleset, rule_id: &str| rules.override_.get_index_of(rule_id).map_or(0, |at| at + 1);
    let at = place(&rules, ".m.rule.is_user_mention");
    rules.override_.shift_insert(at, contains_display_name());
    let at = place(&rules, ".m.rule.is_room_mention");
    if let Some(rule) = room_notif() {
        rules.override_.shift_insert(at, rule);
    }
    rules.content.insert(contains_user_name(user_id));
    rules.override_.extend(poll_rule("poll_response", "response", false, false));
    let polls = [("poll_start", "start"), ("poll_end", "end")];
    for (rule, event) in polls {
        // That for two stands first.
        rules.underride.extend(poll_rule(&format!("{rule}_one_to_one"), event, true, true));
        rules.underride.extend(poll_rule(rule, event, true, false));
    }
    rules
}

/// A rule about polls ([MSC3930](https://github.com/matrix-org/matrix-spec-proposals/pull/3930)), under the names that it has until it is
/// accepted.
fn poll_rule(name: &str, event: &str, notifies: bool, of_two: bool) -> Option<ConditionalPushRule> {
    let of_type =
        json!({ "kind": "event_match", "key": "type", "pattern": format!("org.matrix.msc3381.poll.{event}") });
    let members = of_two.then(|| json!({ "kind": "room_member_count", "is": "2" }));
    let conditions = members.into_iter().chain([of_type]).map(serde_json::from_value).collect::<Result<_, _>>().ok()?;
    let notify = notifies.then_some(Action::Notify);
    let actions = notify.into_iter().chain(of_two.then(sound)).collect();
    let rule_id = format!(".org.matrix.msc3930.rule.{name}");
    Some(ConditionalPushRuleInit { actions, default: true, enabled: true, rule_id, conditions }.into())
}

fn highlight() -> Action {
    Action::SetTweak(Tweak::Highlight(HighlightTweakValue::Yes))
}

fn sound() -> Action {
    Action::SetTweak(Tweak::Sound(SoundTweakValue::Default))
}

#[expect(deprecated, reason = "clients that do not say whom they mention are still there")]
fn contains_display_name() -> ConditionalPushRule {
    let conditions = vec![PushCondition::ContainsDisplayName];
    let (actions, rule_id) = (vec![Action::Notify, sound(), highlight()], CONTAINS_DISPLAY_NAME.to_owned());
    ConditionalPushRuleInit { actions, default: true, enabled: true, rule_id, conditions }.into()
}

fn room_notif() -> Option<ConditionalPushRule> {
    let conditions = json!([
        { "kind": "event_match", "key": "content.body", "pattern": "@room" },
        { "kind": "sender_notification_permission", "key": "room" },
    ]);
    let conditions = serde_json::from_value(conditions).ok()?;
    let (actions, rule_id) = (vec![Action::Notify, highlight()], ROOM_NOTIF.to_owned());
    Some(ConditionalPushRuleInit { actions, default: true, enabled: true, rule_id, conditions }.into())
}

fn contains_user_name(user_id: &UserId) -> PatternedPushRule {
    let (actions, rule_id) = (vec![Action::Notify, sound(), highlight()], CONTAINS_USER_NAME.to_owned());
    let pattern = user_id.localpart().to_owned();
    PatternedPushRuleInit { actions, default: true, enabled: true, rule_id, pattern }.into()
}

/// What a rule makes of an event that it matches.
pub(crate) fn outcome(rule: AnyPushRuleRef<'_>) -> crate::tables::Outcome {
    use crate::tables::Outcome;
    match (rule.triggers_notification(), rule.triggers_highlight()) {
        (false, _) => Outcome::Silent,
        (true, false) => Outcome::Notify,
        (true, true) => Outcome::Highlight,
    }
}

#[cfg(test)]
mod tests {
    use ruma::user_id;

    use super::*;

    #[test]
    fn the_older_rules_stand_where_they_stood() {
        let rules = default_rules(user_id!("@anna:example.org"));
        let ids: Vec<&str> = rules.override_.iter().map(|rule| rule.rule_id.as_str()).collect();
        let expected = [
            ".m.rule.master",
            ".m.rule.suppress_notices",
            ".m.rule.invite_for_me",
            ".m.rule.member_event",
            ".m.rule.is_user_mention",
            CONTAINS_DISPLAY_NAME,
            ".m.rule.is_room_mention",
            ROOM_NOTIF,
            ".m.rule.tombstone",
            ".m.rule.reaction",
            ".m.rule.room.server_acl",
            ".m.rule.suppress_edits",
            ".org.matrix.msc3930.rule.poll_response",
        ];
        assert_eq!(ids, expected);
        assert_eq!(rules.content.first().map(|rule| rule.pattern.as_str()), Some("anna"));
        let ids: Vec<&str> = rules.underride.iter().map(|rule| rule.rule_id.as_str()).collect();
        let expected = [
            ".m.rule.call",
            ".m.rule.encrypted_room_one_to_one",
            ".m.rule.room_one_to_one",
            ".m.rule.message",
            ".m.rule.encrypted",
            ".org.matrix.msc3930.rule.poll_start_one_to_one",
            ".org.matrix.msc3930.rule.poll_start",
            ".org.matrix.msc3930.rule.poll_end_one_to_one",
            ".org.matrix.msc3930.rule.poll_end",
        ];
        assert_eq!(ids, expected);
    }
}
