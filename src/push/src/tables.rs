//! Tables of push (numbers 0x0e0–0x0ef) and their rows. Formats and why: `docs/design/21-counts.md`.

use serde::{Deserialize, Serialize};
use wardstead_engine::{AccessPattern, Key, KeyBuilder};
use wardstead_store::{Queue, Table, row};

/// Running totals by room; versioned, its position that of the last change.
pub(crate) const TALLIES: Table<TallyRow> = Table::new(AccessPattern::Point, 0x0e0, "room_tallies", "push");
/// Events that notify somebody, by room and position.
pub(crate) const COUNTED: Table<CountedRow> = Table::new(AccessPattern::Append, 0x0e1, "counted_events", "push");
/// What members have read, by room and user; versioned. Positions: of the last change, up to which counted events
/// are in it, of its row of [`RECOUNTED`].
pub(crate) const READERS: Table<ReaderRow> = Table::new(AccessPattern::Point, 0x0e2, "readers", "push");
/// By room and user, how the user's counts differ from those of the class; for those who are not in the room's tally itself.
pub(crate) const ASIDES: Table<AsideRow> = Table::new(AccessPattern::Point, 0x0e3, "reader_asides", "push");
/// What changed of a room's members that concerns push, by room, position and user.
pub(crate) const MEMBERS: Table<MemberRow> = Table::new(AccessPattern::Append, 0x0e4, "push_members", "push");
/// What users' rules are now, by user; versioned. Positions: of the last change, of the last change of the rules themselves.
pub(crate) const RULES: Table<RulesRow> = Table::new(AccessPattern::Point, 0x0e5, "push_rules", "push");
/// Classes by their hash. Never changed.
pub(crate) const CLASSES: Table<ClassRow> = Table::new(AccessPattern::Point, 0x0e6, "push_classes", "push");
/// Rooms whose counts changed with the rules, by user and position.
pub(crate) const RECOUNTED: Table<RecountedRow> = Table::new(AccessPattern::Append, 0x0e7, "recounted_rooms", "push");

/// What rules there are, or were while a room counts by them, by user and number. Never changed.
pub(crate) const CONTENTS: Table<ContentRow> = Table::new(AccessPattern::Point, 0x0e8, "push_rule_contents", "push");
/// Users whose rooms are to follow a change of the rules; the lane is the user.
pub(crate) static CHANGES: Queue<ChangeRow> =
    Queue::new(Table::new(AccessPattern::Churn, 0x0e9, "push_rule_changes", "push"));

/// The class of those who left their rules as they were.
pub(crate) const DEFAULT_CLASS: u64 = 0;
/// The class of those who are looked at one by one: nothing notifies it.
pub(crate) const NO_CLASS: u64 = u64::MAX;

/// What an event is to somebody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Outcome {
    #[default]
    Silent,
    Notify,
    /// Notifies, highlighted.
    Highlight,
}

/// Unread notifications, and those among them that are highlighted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Count {
    pub(crate) notify: i64,
    pub(crate) highlight: i64,
}

impl Count {
    /// Adds an event, or with `sign` −1 takes it back.
    pub(crate) fn add(&mut self, outcome: Outcome, sign: i64) {
        self.notify += if outcome == Outcome::Silent { 0 } else { sign };
        self.highlight += if outcome == Outcome::Highlight { sign } else { 0 };
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        Self { notify: self.notify + other.notify, highlight: self.highlight + other.highlight }
    }

    pub(crate) fn minus(self, other: Self) -> Self {
        Self { notify: self.notify - other.notify, highlight: self.highlight - other.highlight }
    }
}

/// Counts by class.
pub(crate) type Totals = Vec<(u64, Count)>;

pub(crate) fn total(totals: &Totals, class: u64) -> Count {
    totals.iter().find(|(of, _)| *of == class).map(|(_, count)| *count).unwrap_or_default()
}

pub(crate) fn total_mut(totals: &mut Totals, class: u64) -> &mut Count {
    let at = totals.iter().position(|(of, _)| *of == class).unwrap_or_else(|| {
        totals.push((class, Count::default()));
        totals.len() - 1
    });
    &mut totals[at].1
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TallyRow {
    /// Classes of members other than the default one, with how many members each has.
    pub(crate) classes: Vec<(u64, u32)>,
    /// Members with rules of their own, or who ignore somebody.
    pub(crate) watched: u32,
    /// Another number with each row of [`MEMBERS`].
    pub(crate) names: u64,
    /// What all events so far came to, by class.
    pub(crate) totals: Totals,
    /// Events that were redacted after they had been counted.
    pub(crate) redactions: u64,
    /// The last who spoke or were mentioned, the newest first.
    pub(crate) asides: Vec<(u64, AsideRow)>,
    /// Whether there are rows of [`ASIDES`].
    pub(crate) spilled: bool,
}
row!(TallyRow, 1);

/// Events that are to one user something else than to the user's class: what they are to the user, and what they are to each class.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AsideRow {
    pub(crate) own: Count,
    pub(crate) instead: Totals,
}
row!(AsideRow, 1);

impl AsideRow {
    /// What a member of `class` has beyond the class.
    pub(crate) fn beyond(&self, class: u64) -> Count {
        self.own.minus(total(&self.instead, class))
    }
}

/// What an event is to whom.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counted {
    /// Root of its thread; `None`: the main timeline.
    pub(crate) thread: Option<String>,
    /// Short id of the sender, to whom it is nothing; 0: no account here.
    pub(crate) sender: u64,
    /// To the classes that it notifies.
    pub(crate) classes: Vec<(u64, Verdict)>,
    /// To users to whom it is something else than to their class.
    pub(crate) users: Vec<(u64, Verdict)>,
    /// Actions of verdicts beside those of [`KNOWN_ACTIONS`], as JSON.
    pub(crate) actions: Vec<String>,
}

/// What an event is to somebody, and what is done about it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Verdict {
    pub(crate) outcome: Outcome,
    /// Number of the actions: first [`KNOWN_ACTIONS`], then those of the row.
    pub(crate) actions: u16,
}

/// What nearly every rule has done. Never changed: rows have their numbers.
pub(crate) const KNOWN_ACTIONS: [&str; 4] = [
    r#"["notify"]"#,
    r#"["notify",{"set_tweak":"sound","value":"default"}]"#,
    r#"["notify",{"set_tweak":"highlight"}]"#,
    r#"["notify",{"set_tweak":"sound","value":"default"},{"set_tweak":"highlight"}]"#,
];

impl Counted {
    /// What it is to `user` of `class`.
    pub(crate) fn to(&self, user: u64, class: u64) -> Verdict {
        if self.sender == user {
            return Verdict::default();
        }
        let own = self.users.iter().find(|(to, _)| *to == user);
        let of_class = || self.classes.iter().find(|(to, _)| *to == class);
        own.or_else(of_class).map(|(_, verdict)| *verdict).unwrap_or_default()
    }

    /// The verdict of a rule with this outcome and these actions.
    pub(crate) fn verdict(&mut self, outcome: Outcome, actions: &str) -> Verdict {
        if outcome == Outcome::Silent {
            return Verdict::default();
        }
        let all = KNOWN_ACTIONS.iter().copied().chain(self.actions.iter().map(String::as_str));
        let at = all.into_iter().position(|known| known == actions).unwrap_or_else(|| {
            self.actions.push(actions.to_owned());
            KNOWN_ACTIONS.len() + self.actions.len() - 1
        });
        Verdict { outcome, actions: u16::try_from(at).unwrap_or_default() }
    }

    /// What is done about it, as JSON.
    pub(crate) fn actions(&self, verdict: Verdict) -> &str {
        let at = usize::from(verdict.actions);
        let own = || self.actions.get(at.saturating_sub(KNOWN_ACTIONS.len())).map(String::as_str);
        KNOWN_ACTIONS.get(at).copied().or_else(own).unwrap_or(KNOWN_ACTIONS[0])
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CountedRow {
    /// The event at this position.
    pub(crate) event: Option<Counted>,
    /// The one that was redacted by it: its position, and what it was.
    pub(crate) redacted: Option<(u64, Counted)>,
    /// The user whom it invited, and what it is to that user. Nothing of it is counted.
    pub(crate) invited: Option<(u64, Counted)>,
}
row!(CountedRow, 2);

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReaderRow {
    pub(crate) class: u64,
    /// Classes before it, the oldest first, each with the position up to which it was; none where nothing of then is unread.
    pub(crate) past: Vec<(u64, u64)>,
    /// The rules by which the room counts for the user.
    pub(crate) held: Held,
    /// Position of the join; `None`: that of the row's last change.
    pub(crate) joined: Option<u64>,
    /// What the class's total and what the user has beyond it came to, up to the row's second position.
    pub(crate) base: Count,
    /// As of then.
    pub(crate) redactions: u64,
    /// What was unread then, by thread (`None`: the main timeline); zeros are left out. All other threads were read.
    pub(crate) unread: Vec<(Option<String>, Pending)>,
}
row!(ReaderRow, 4);

/// What is unread of a thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pending {
    pub(crate) count: Count,
    /// Position up to which the thread is read.
    pub(crate) read: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MemberRow {
    pub(crate) user: u64,
    pub(crate) user_id: String,
    /// Display name in the room.
    pub(crate) name: Option<String>,
    pub(crate) class: u64,
    /// The rules by which the room counts for the user.
    pub(crate) held: Held,
    /// In the room.
    pub(crate) joined: bool,
}
row!(MemberRow, 2);

/// Numbers of [`CONTENTS`]; 0: as everybody has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Held {
    pub(crate) rules: u64,
    /// Of whom the user ignores.
    pub(crate) ignored: u64,
}

impl Held {
    /// Whether the user has rules like nobody else's, or ignores somebody.
    pub(crate) fn is_own(self) -> bool {
        self != Self::default()
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RulesRow {
    pub(crate) held: Held,
    /// The last number that was given.
    pub(crate) last: u64,
}
row!(RulesRow, 2);

/// Rules as the specification writes them down, or a list of user ids; in the content envelope, since it says what a user looks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ContentRow {
    pub(crate) content: Vec<u8>,
}
row!(ContentRow, 1);

/// That rooms may count by rules of before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ChangeRow;
row!(ChangeRow, 1);

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ClassRow {
    pub(crate) rules: Vec<ClassRuleRow>,
}
row!(ClassRow, 2);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ClassRuleRow {
    /// It does not look at events that say whom they mention.
    pub(crate) legacy: bool,
    /// Conditions in the JSON of the specification.
    pub(crate) conditions: Vec<String>,
    pub(crate) outcome: Outcome,
    /// What is done, in the JSON of the specification; empty where nothing is.
    pub(crate) actions: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RecountedRow {
    pub(crate) room: u64,
}
row!(RecountedRow, 1);

pub(crate) fn tally_key(room: u64) -> Key {
    TALLIES.key(room).key()
}

pub(crate) fn counted_key(room: u64) -> KeyBuilder {
    COUNTED.key(room)
}

pub(crate) fn reader_key(room: u64, user: u64) -> Key {
    READERS.key(room).u64(user).key()
}

pub(crate) fn aside_key(room: u64, user: u64) -> Key {
    ASIDES.key(room).u64(user).key()
}

pub(crate) fn rules_key(user: u64) -> Key {
    RULES.key(user).key()
}

pub(crate) fn content_key(user: u64, number: u64) -> Key {
    CONTENTS.key(user).u64(number).key()
}

pub(crate) fn class_key(class: u64) -> Key {
    CLASSES.key(0).u64(class).key()
}
