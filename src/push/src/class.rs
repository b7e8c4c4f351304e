//! Classes of rules, ready to be asked about events. Each is asked once for an event, for all who have it.

use std::sync::Arc;

use ruma::{
    UserId,
    power_levels::NotificationPowerLevelsKey,
    push::{
        EventMatchConditionData, EventPropertyContainsConditionData, EventPropertyIsConditionData, PushCondition,
        PushConditionPowerLevelsCtx, RoomMemberCountIs, ScalarJsonValue,
    },
};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::ops::RangeBounds as _;
use wardstead_store::Row;

use crate::{
    glob,
    tables::{ClassRow, DEFAULT_CLASS, NO_CLASS, Outcome},
};

/// The number of a class: a hash of its rules.
pub(crate) fn id(class: &ClassRow) -> u64 {
    let hash = Sha256::digest(class.encode());
    let (first, _) = hash.split_first_chunk::<8>().unwrap_or((&[1; 8], &[]));
    // Two numbers mean something else.
    u64::from_be_bytes(*first).clamp(DEFAULT_CLASS + 1, NO_CLASS - 1)
}

/// What is known of an event beside its content.
pub(crate) struct Asked<'a> {
    /// With `type`, `sender`, `room_id`, `event_id`, `content`, and `state_key` if it is state.
    pub(crate) event: &'a Value,
    pub(crate) sender: &'a UserId,
    /// Its text in lower case.
    pub(crate) body: Option<&'a str>,
    /// Whether it says whom it mentions.
    pub(crate) has_mentions: bool,
    /// Users in the room.
    pub(crate) joined: u32,
    pub(crate) power: &'a (dyn Fn() -> Option<Arc<PushConditionPowerLevelsCtx>> + Send + Sync),
}

enum Condition {
    /// All of a text is this, in lower case.
    Equals {
        path: Vec<String>,
        text: String,
    },
    /// All of a text is like this, which is in lower case.
    Like {
        path: Vec<String>,
        pattern: String,
    },
    /// The event's text has this, which is in lower case.
    Word(String),
    Is {
        path: Vec<String>,
        value: ScalarJsonValue,
    },
    Contains {
        path: Vec<String>,
        value: ScalarJsonValue,
    },
    Members(RoomMemberCountIs),
    Permission(NotificationPowerLevelsKey),
    Never,
}

struct Rule {
    legacy: bool,
    conditions: Vec<Condition>,
    outcome: Outcome,
    actions: String,
}

/// A class.
pub(crate) struct Class(Vec<Rule>);

impl Class {
    pub(crate) fn new(row: &ClassRow) -> Self {
        let rules = row.rules.iter().map(|rule| Rule {
            legacy: rule.legacy,
            conditions: rule.conditions.iter().map(|condition| compiled(condition)).collect(),
            outcome: rule.outcome,
            actions: rule.actions.clone(),
        });
        Self(rules.collect())
    }

    /// What the event is to those who have the class and did not send it, and what is done about it.
    pub(crate) fn outcome(&self, asked: &Asked<'_>) -> (Outcome, &str) {
        let holds = |rule: &&Rule| {
            !(rule.legacy && asked.has_mentions) && rule.conditions.iter().all(|condition| condition.holds(asked))
        };
        self.0.iter().find(holds).map(|rule| (rule.outcome, rule.actions.as_str())).unwrap_or_default()
    }
}

fn compiled(condition: &str) -> Condition {
    match serde_json::from_str(condition) {
        Ok(PushCondition::EventMatch(EventMatchConditionData { key, pattern, .. })) => {
            let (path, pattern) = (path(&key), pattern.to_lowercase());
            match key == "content.body" {
                true => Condition::Word(pattern),
                false if glob::has_wildcards(&pattern) => Condition::Like { path, pattern },
                false => Condition::Equals { path, text: pattern },
            }
        }
        Ok(PushCondition::EventPropertyIs(EventPropertyIsConditionData { key, value, .. })) => {
            Condition::Is { path: path(&key), value }
        }
        Ok(PushCondition::EventPropertyContains(EventPropertyContainsConditionData { key, value, .. })) => {
            Condition::Contains { path: path(&key), value }
        }
        Ok(PushCondition::RoomMemberCount(of)) => Condition::Members(of.is),
        Ok(PushCondition::SenderNotificationPermission(of)) => Condition::Permission(of.key),
        _ => Condition::Never,
    }
}

/// The parts of a dot-separated path (Appendices, Dot-separated property paths).
fn path(key: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut chars = key.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '.' => parts.push(String::new()),
            '\\' if matches!(chars.peek(), Some('.' | '\\')) => {
                let escaped = chars.next();
                parts.last_mut().into_iter().for_each(|part| part.extend(escaped));
            }
            other => parts.last_mut().into_iter().for_each(|part| part.push(other)),
        }
    }
    parts
}

fn find<'a>(event: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(event, |at, part| at.as_object()?.get(part))
}

fn is(found: &Value, wanted: &ScalarJsonValue) -> bool {
    match wanted {
        ScalarJsonValue::Null => found.is_null(),
        ScalarJsonValue::Bool(wanted) => found.as_bool() == Some(*wanted),
        ScalarJsonValue::Integer(wanted) => found.as_i64() == Some(i64::from(*wanted)),
        ScalarJsonValue::String(wanted) => found.as_str() == Some(wanted),
    }
}

impl Condition {
    fn holds(&self, asked: &Asked<'_>) -> bool {
        match self {
            // Most conditions are of this kind, and asked by every class: nothing is copied for what is plain.
            Self::Equals { path, text } => find(asked.event, path).and_then(Value::as_str).is_some_and(|found| {
                if found.is_ascii() { found.eq_ignore_ascii_case(text) } else { found.to_lowercase() == *text }
            }),
            Self::Like { path, pattern } => {
                let found = find(asked.event, path).and_then(Value::as_str);
                found.is_some_and(|found| glob::is_like(&found.to_lowercase(), pattern))
            }
            Self::Word(word) => asked.body.is_some_and(|text| text == word || glob::has_word(text, word)),
            Self::Is { path, value } => find(asked.event, path).is_some_and(|found| is(found, value)),
            Self::Contains { path, value } => {
                let found = find(asked.event, path).and_then(Value::as_array);
                found.is_some_and(|array| array.iter().any(|found| is(found, value)))
            }
            Self::Members(range) => range.contains(&asked.joined.into()),
            Self::Permission(key) => {
                (asked.power)().is_some_and(|power| power.has_sender_notification_permission(asked.sender, key))
            }
            Self::Never => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        assert_eq!(path(r"content.m\.mentions.room"), ["content", "m.mentions", "room"]);
        assert_eq!(path(r"a\\.b\c"), [r"a\", r"b\c"]);
    }
}
