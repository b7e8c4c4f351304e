//! Whom a stored event notifies, and how: for who sends pushes, and for the list of notifications.
//!
//! It is read from the row that the event's commit wrote, so whoever counts an event is told of it, on whatever node and however much
//! later, and nobody else. No rule is evaluated again.

use std::{collections::HashSet, sync::Arc};

use ruma::{RoomId, push::Action};
use serde_json::{Map, Value};
use wardstead_engine::{Key, Position};
use wardstead_limits::engine::GET_KEYS;

use crate::{
    Push, PushError,
    fold::Reader,
    index::Index,
    tables::{COUNTED, Counted, Outcome, TALLIES, Verdict, counted_key, reader_key, tally_key},
};

/// How an event notifies somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// It is highlighted.
    pub highlight: bool,
    actions: Arc<str>,
}

impl Notice {
    pub(crate) fn of(counted: &Counted, verdict: Verdict) -> Option<Self> {
        let actions = || counted.actions(verdict).into();
        let highlight = verdict.outcome == Outcome::Highlight;
        (verdict.outcome != Outcome::Silent).then(|| Self { highlight, actions: actions() })
    }

    /// The actions of the rule that applied, `notify` among them (Client-Server API, Actions).
    #[must_use]
    pub fn actions(&self) -> Vec<Action> {
        // What is in a row was written from this type.
        serde_json::from_str(&self.actions).unwrap_or_else(|_| vec![Action::Notify])
    }

    /// The tweaks for a push gateway, by name; a highlight without a value is `true` (Push Gateway API, `tweaks`).
    #[must_use]
    pub fn tweaks(&self) -> Map<String, Value> {
        let mut tweaks = Map::new();
        for action in self.actions() {
            let Action::SetTweak(tweak) = action else { continue };
            let value = tweak.value().and_then(|value| serde_json::from_str(value.get()).ok());
            tweaks.insert(tweak.set_tweak().to_owned(), value.unwrap_or(Value::Bool(true)));
        }
        tweaks
    }
}

/// A stored event that notifies somebody.
pub struct Notified {
    room: u64,
    position: Position,
    event: Option<Counted>,
    invited: Option<(u64, Counted)>,
    /// Members as they are now.
    index: Arc<Index>,
}

impl std::fmt::Debug for Notified {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Notified").field("room", &self.room).field("position", &self.position).finish_non_exhaustive()
    }
}

impl Notified {
    /// The root of the event's thread; `None`: the main timeline.
    #[must_use]
    pub fn thread(&self) -> Option<&str> {
        self.event.as_ref().and_then(|event| event.thread.as_deref())
    }

    /// Short ids of whom it may notify, as members are now: [`Push::due`] tells whom of them it does. Each class of rules is looked at
    /// once, and no row is read.
    #[must_use]
    pub fn users(&self) -> Vec<u64> {
        let mut users: Vec<u64> = self.invited.iter().map(|(user, _)| *user).collect();
        let Some(event) = &self.event else { return users };
        let by_itself: HashSet<u64> = event.users.iter().map(|(user, _)| *user).collect();
        for (class, _) in &event.classes {
            let of_class = self.index.of_class(*class);
            users.extend(of_class.filter(|user| by_itself.is_empty() || !by_itself.contains(user)));
        }
        let told = event.users.iter().filter(|(_, verdict)| verdict.outcome != Outcome::Silent);
        users.extend(told.map(|(user, _)| *user).filter(|user| self.index.member(*user).is_some()));
        users.retain(|user| *user != event.sender);
        users
    }
}

impl Push {
    /// What the event at `position` of a room is to whom; `None`: it notifies nobody. Two reads, and the room's members where this
    /// node does not have them.
    ///
    /// # Errors
    /// The store's.
    pub async fn notified(
        &self,
        room: u64,
        room_id: &RoomId,
        position: Position,
    ) -> Result<Option<Notified>, PushError> {
        let key = counted_key(room).position(position).key();
        let Some(row) = self.core.store.get(&COUNTED, &key).await?.map(|found| found.row) else { return Ok(None) };
        if row.event.is_none() && row.invited.is_none() {
            return Ok(None);
        }
        let tally = self.core.store.get(&TALLIES, &tally_key(room)).await?;
        let tally = tally.map(|found| found.row).unwrap_or_default();
        let index = self.core.index(room, room_id, &tally, Vec::new()).await?;
        Ok(Some(Notified { room, position, event: row.event, invited: row.invited, index }))
    }

    /// Those of `users` whom `event` notifies, who are in the room since before it, and have not read it by now, with how; in the order
    /// of `users`. Who is invited by it is told as long as they have not come into the room. One read of a row for each.
    ///
    /// # Errors
    /// The store's.
    pub async fn due(&self, event: &Notified, users: &[u64]) -> Result<Vec<(u64, Notice)>, PushError> {
        let mut due = Vec::new();
        for users in users.chunks(GET_KEYS) {
            let keys: Vec<Key> = users.iter().map(|user| reader_key(event.room, *user)).collect();
            let cells = self.core.store.cells(&keys).await?;
            for (user, cell) in users.iter().zip(cells) {
                let notice = match &cell {
                    Some(_) => event.due_to(&Reader::of(event.room, *user, cell.as_ref())?),
                    None => event.invitation(*user),
                };
                due.extend(notice.map(|notice| (*user, notice)));
            }
        }
        Ok(due)
    }
}

impl Notified {
    fn due_to(&self, reader: &Reader) -> Option<Notice> {
        let counted = self.event.as_ref()?;
        if reader.joined() >= self.position || reader.is_read(self.position, counted.thread.as_deref()) {
            return None;
        }
        Notice::of(counted, reader.verdict(self.position, counted))
    }

    fn invitation(&self, user: u64) -> Option<Notice> {
        let (_, counted) = self.invited.as_ref().filter(|(invited, _)| *invited == user)?;
        // Of nobody's class: it is told to the user alone.
        Notice::of(counted, counted.to(user, crate::tables::NO_CLASS))
    }
}
