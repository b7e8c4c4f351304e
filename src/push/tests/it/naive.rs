//! Counting as the specification says it: every event is judged by every member's rules, and every count looks at every event.

use std::collections::{BTreeMap, HashMap, HashSet};

use ruma::{
    Int, OwnedRoomId, OwnedUserId,
    power_levels::NotificationPowerLevels,
    push::{FlattenedJson, PushConditionPowerLevelsCtx, PushConditionRoomCtx, Ruleset},
    room_version_rules::{AuthorizationRules, RoomPowerLevelsRules},
    serde::Raw,
};
use serde_json::Value;
use wardstead_push::{UnreadCount, UnreadCounts};

/// An event, and what it was to each member when it came.
struct Said {
    event_id: String,
    event_type: String,
    /// How it relates, to what.
    relation: Option<(String, String)>,
    thread: Option<String>,
    redacted: bool,
    to: HashMap<usize, (bool, bool)>,
}

/// A user of the model.
pub struct User {
    pub id: OwnedUserId,
    pub rules: Ruleset,
    pub ignored: HashSet<usize>,
    /// Rules and whom the user ignores, once the room follows.
    pub next: (Ruleset, HashSet<usize>),
    pub name: Option<String>,
    /// Number of the event with which the user came; `None`: is not in the room.
    pub joined: Option<usize>,
    /// By thread: number of the event up to which it is read.
    receipts: HashMap<Option<String>, usize>,
}

pub struct Model {
    room_id: OwnedRoomId,
    pub users: Vec<User>,
    said: Vec<Said>,
    /// Level that notifies all.
    pub room_level: i64,
    /// Has level 100; all others 0.
    creator: usize,
}

impl Model {
    pub fn new(room_id: OwnedRoomId, users: Vec<(OwnedUserId, Ruleset)>) -> Self {
        let user = |(user_id, rules): (OwnedUserId, Ruleset)| User {
            id: user_id,
            next: (rules.clone(), HashSet::new()),
            rules,
            ignored: HashSet::new(),
            name: None,
            joined: None,
            receipts: HashMap::new(),
        };
        let users = users.into_iter().map(user).collect();
        Self { room_id, users, said: Vec::new(), room_level: 50, creator: 0 }
    }

    pub fn len(&self) -> usize {
        self.said.len()
    }

    pub fn event_id(&self, at: usize) -> &str {
        &self.said[at].event_id
    }

    pub fn thread(&self, at: usize) -> Option<&str> {
        self.said[at].thread.as_deref()
    }

    pub fn can_start_a_thread(&self, at: usize) -> bool {
        self.said[at].relation.is_none() && !self.said[at].redacted
    }

    pub fn event_type(&self, at: usize) -> &str {
        &self.said[at].event_type
    }

    pub fn is_redacted(&self, at: usize) -> bool {
        self.said[at].redacted
    }

    /// An event was appended; memberships are those after it.
    pub async fn append(&mut self, event: &Value, sender: usize) {
        let relates_to = &event["content"]["m.relates_to"];
        let relation = relates_to["rel_type"].as_str().zip(relates_to["event_id"].as_str());
        let relation = relation.map(|(rel_type, parent)| (rel_type.to_owned(), parent.to_owned()));
        let thread = self.thread_of(relation.as_ref());
        let flat = FlattenedJson::from_raw(&Raw::new(event).unwrap());
        let joined = self.users.iter().filter(|user| user.joined.is_some()).count();
        let mut to = HashMap::new();
        for (at, user) in self.users.iter().enumerate() {
            if user.joined.is_none() || at == sender || user.ignored.contains(&sender) {
                continue;
            }
            let name = user.name.clone().unwrap_or_else(|| user.id.to_string());
            let count = u32::try_from(joined).unwrap().into();
            let context = PushConditionRoomCtx::new(self.room_id.clone(), count, user.id.clone(), name)
                .with_power_levels(self.power());
            for rule in &user.rules {
                if rule.applies(&flat, &context).await {
                    let notifies = rule.triggers_notification();
                    to.insert(at, (notifies, notifies && rule.triggers_highlight()));
                    break;
                }
            }
        }
        let event_id = event["event_id"].as_str().unwrap().to_owned();
        let event_type = event["type"].as_str().unwrap().to_owned();
        if event.get("state_key").is_none() && event_type != "m.room.redaction" && self.users[sender].joined.is_some() {
            // Who answers has read what was said there.
            let of = thread.clone().unwrap_or_else(|| "main".to_owned());
            self.read(sender, Some(&of), self.said.len());
        }
        self.said.push(Said { event_id, event_type, relation, thread, redacted: false, to });
    }

    fn power(&self) -> PushConditionPowerLevelsCtx {
        let users: BTreeMap<OwnedUserId, Int> = [(self.users[self.creator].id.clone(), 100.into())].into();
        let mut notifications = NotificationPowerLevels::new();
        notifications.room = i32::try_from(self.room_level).unwrap().into();
        let rules = RoomPowerLevelsRules::new(&AuthorizationRules::V11, []);
        PushConditionPowerLevelsCtx::new(users, 0.into(), notifications, rules)
    }

    fn thread_of(&self, relation: Option<&(String, String)>) -> Option<String> {
        let mut at = relation.cloned();
        for _ in 0..=3 {
            let (rel_type, parent) = at?;
            if rel_type == "m.thread" {
                return Some(parent);
            }
            at = self.said.iter().find(|said| said.event_id == parent).and_then(|said| said.relation.clone());
        }
        None
    }

    /// The room follows what the user changed.
    pub fn follow(&mut self, who: usize) {
        let user = &mut self.users[who];
        (user.rules, user.ignored) = user.next.clone();
    }

    pub fn redact(&mut self, at: usize) {
        self.said[at].redacted = true;
        self.said[at].relation = None;
    }

    pub fn read(&mut self, who: usize, thread: Option<&str>, at: usize) {
        let upto = self.users[who].receipts.entry(thread.map(str::to_owned)).or_default();
        // Numbered from one.
        *upto = (*upto).max(at + 1);
    }

    pub fn unread(&self, who: usize, threads: bool) -> UnreadCounts {
        let user = &self.users[who];
        let joined = user.joined.unwrap();
        let read = |thread: Option<&str>| user.receipts.get(&thread.map(str::to_owned)).copied().unwrap_or_default();
        let mut counts = UnreadCounts::default();
        for (at, said) in self.said.iter().enumerate() {
            let start = joined.max(read(None)).max(read(Some(said.thread.as_deref().unwrap_or("main"))));
            let Some((notifies, highlights)) = said.to.get(&who) else { continue };
            if at < start || said.redacted || !notifies {
                continue;
            }
            let count = match &said.thread {
                Some(root) if threads => counts.threads.entry(root.clone()).or_default(),
                _ => &mut counts.room,
            };
            *count = UnreadCount {
                notifications: count.notifications + 1,
                highlights: count.highlights + u64::from(*highlights),
            };
        }
        counts
    }
}
