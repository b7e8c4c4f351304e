//! What a client makes of the answers of `/sync` (Client-Server API, Syncing), and how two such models differ.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value, json};

const MEMBER: &str = "m.room.member";
/// Where a receipt without a thread is kept.
const OVER_ALL: &str = "over all";

/// Events of a room, oldest first, and which of them are redacted.
#[derive(Clone, Debug, Default)]
pub struct Line {
    events: Vec<String>,
    redacted: BTreeSet<String>,
    /// Where the newest part begins that does not follow the one before it.
    gap: Option<usize>,
}

impl Line {
    pub fn ids<'a>(events: impl Iterator<Item = &'a Value>) -> Result<Vec<String>> {
        events.map(|event| harness::user::text(event, "event_id")).collect()
    }

    pub fn events(&self) -> &[String] {
        &self.events
    }

    fn note(&mut self, event: &Value) {
        if event["unsigned"]["redacted_because"].is_object() {
            self.redacted.extend(event["event_id"].as_str().map(str::to_owned));
        } else if event["type"] == "m.room.redaction" {
            let target = event["redacts"].as_str().or(event["content"]["redacts"].as_str());
            self.redacted.extend(target.map(str::to_owned));
        }
    }

    /// Takes a timeline; whether what is before it must be asked for.
    fn append(&mut self, timeline: &[Value], limited: bool) -> Result<bool> {
        // A client may be told again what it has, after a gap.
        let known = |event: &Value| self.events.iter().any(|known| event["event_id"] == known.as_str());
        let overlap = timeline.iter().rposition(known).map_or(0, |at| at + 1);
        ensure!(limited || overlap == 0, "told twice without a gap: {:?}", timeline[overlap.saturating_sub(1)]);
        let gap = limited && overlap == 0;
        if gap {
            self.gap = Some(self.events.len());
        }
        self.events.extend(Self::ids(timeline[overlap..].iter())?);
        for event in timeline {
            self.note(event);
        }
        Ok(gap)
    }

    /// Whether `event` stands before the gap.
    pub fn joins(&self, event: &Value) -> bool {
        self.gap.is_some_and(|gap| self.events[..gap].iter().any(|known| event["event_id"] == known.as_str()))
    }

    /// Puts what was missing into the gap.
    pub fn close(&mut self, missing: &[Value]) -> Result<()> {
        let gap = self.gap.take().context("there is a gap")?;
        let ids = Self::ids(missing.iter())?;
        ensure!(
            ids.iter().all(|id| !self.events.contains(id)),
            "paging back from a gap gives what came after it: {ids:?}"
        );
        for event in missing {
            self.note(event);
        }
        self.events.splice(gap..gap, ids);
        Ok(())
    }
}

/// A room that the user is in.
#[derive(Clone, Debug, Default)]
struct Room {
    line: Line,
    state: BTreeMap<(String, String), String>,
    data: BTreeMap<String, Value>,
    receipts: BTreeMap<(String, String, String), String>,
    summary: Map<String, Value>,
    unread: Value,
    by_thread: Value,
}

/// All that a client knows.
#[derive(Clone, Debug, Default)]
pub struct Model {
    joined: BTreeMap<String, Room>,
    /// Lines and states of rooms that were left are kept, as far as they went.
    left: BTreeMap<String, Room>,
    invited: BTreeMap<String, Value>,
    data: BTreeMap<String, Value>,
}

impl Model {
    /// Takes an answer. Gives the rooms with gaps, and where each is to be paged back from.
    pub fn take(&mut self, answer: &Value, lazy: bool) -> Result<Vec<(String, String)>> {
        let mut gaps = Vec::new();
        take_data(&mut self.data, &answer["account_data"]);
        for (room, told) in object(&answer["rooms"]["invite"]) {
            self.invited.insert(room.clone(), stripped(&told["invite_state"]));
            // What is kept of an earlier stay is not what the room is.
            if let Some(earlier) = self.joined.remove(room) {
                self.left.insert(room.clone(), earlier);
            }
        }
        for (room, told) in object(&answer["rooms"]["join"]) {
            self.invited.remove(room);
            let mut known = self.joined.remove(room).or_else(|| self.left.remove(room)).unwrap_or_default();
            gaps.extend(known.take(told, lazy).with_context(|| room.clone())?.map(|from| (room.clone(), from)));
            self.joined.insert(room.clone(), known);
        }
        for (room, told) in object(&answer["rooms"]["leave"]) {
            if self.invited.remove(room).is_some() {
                // The end of an invitation, alone: nobody can tell what stands before it in the room's line.
                continue;
            }
            let mut known = self.joined.remove(room).or_else(|| self.left.remove(room)).unwrap_or_default();
            gaps.extend(known.take(told, lazy).with_context(|| room.clone())?.map(|from| (room.clone(), from)));
            self.left.insert(room.clone(), known);
        }
        Ok(gaps)
    }

    /// The line of a room that the user is in, or was in.
    pub fn line(&mut self, room: &str) -> Result<&mut Line> {
        let known = self.joined.get_mut(room).or_else(|| self.left.get_mut(room));
        Ok(&mut known.with_context(|| format!("{room} is not known"))?.line)
    }

    /// Lets go of a room that was left and forgotten since: its gap cannot be filled. Whether there was one.
    pub fn forget(&mut self, room: &str) -> bool {
        self.left.remove(room).is_some()
    }

    /// The lines of the rooms that the user is in.
    pub fn lines(&self) -> impl Iterator<Item = (&String, &Line)> {
        self.joined.iter().map(|(room, known)| (room, &known.line))
    }

    /// A line for each difference of this model, which came in steps, from one that came at once.
    pub fn differences(&self, anew: &Self, lazy: bool) -> Vec<String> {
        let mut found = Vec::new();
        differ(&mut found, "account data", &json!(self.data), &json!(anew.data));
        differ(&mut found, "invitations", &json!(self.invited), &json!(anew.invited));
        let rooms = |model: &Self| json!(model.joined.keys().collect::<Vec<_>>());
        differ(&mut found, "rooms", &rooms(self), &rooms(anew));
        for (id, room) in &self.joined {
            if let Some(other) = anew.joined.get(id) {
                room.differences(&mut found, id, other, lazy);
            }
        }
        found
    }
}

impl Room {
    /// Takes what an answer tells of the room; the token of a gap if there is one.
    fn take(&mut self, told: &Value, lazy: bool) -> Result<Option<String>> {
        let timeline = list(&told["timeline"]["events"]);
        let limited = told["timeline"]["limited"] == true;
        let gap = self.line.append(timeline, limited)?;
        if limited && lazy {
            // Changes of members in the gap are not told to who loads them lazily; whoever matters is told again.
            self.state.retain(|(kind, _), _| kind != MEMBER);
        }
        let after = told.get("state_after").or_else(|| told.get("org.matrix.msc4222.state_after"));
        let state: Vec<&Value> = match after {
            Some(after) => list(&after["events"]).iter().collect(),
            None => list(&told["state"]["events"]).iter().chain(timeline).collect(),
        };
        for event in state.into_iter().filter(|event| event["state_key"].is_string()) {
            let key = (harness::user::text(event, "type")?, harness::user::text(event, "state_key")?);
            self.state.insert(key, harness::user::text(event, "event_id")?);
        }
        take_data(&mut self.data, &told["account_data"]);
        for event in list(&told["ephemeral"]["events"]).iter().filter(|event| event["type"] == "m.receipt") {
            self.take_receipts(&event["content"]);
        }
        for (name, value) in object(&told["summary"]) {
            self.summary.insert(name.clone(), value.clone());
        }
        if told["unread_notifications"].is_object() {
            self.unread = told["unread_notifications"].clone();
            self.by_thread = json!(object(&told["unread_thread_notifications"]).collect::<BTreeMap<_, _>>());
        }
        Ok(if gap { told["timeline"]["prev_batch"].as_str().map(str::to_owned) } else { None })
    }

    /// One receipt of each user, kind and thread.
    fn take_receipts(&mut self, content: &Value) {
        for (event, kinds) in object(content) {
            for (kind, users) in object(kinds) {
                for (user, receipt) in object(users) {
                    let thread = receipt["thread_id"].as_str().unwrap_or(OVER_ALL);
                    let key = (user.clone(), kind.clone(), thread.to_owned());
                    self.receipts.insert(key, event.clone());
                }
            }
        }
    }

    fn differences(&self, found: &mut Vec<String>, id: &str, anew: &Self, lazy: bool) {
        // A timeline from the start ends where the user may see no further; what stands before came by paging.
        let line = self.line.events.strip_suffix(anew.line.events.as_slice());
        if line.is_none() {
            found.push(format!("  {id}: line: {:?} / {:?}", self.line.events, anew.line.events));
        }
        let of_line = |event: &&String| anew.line.events.contains(event);
        let redacted = |line: &Line| json!(line.redacted.iter().filter(of_line).collect::<Vec<_>>());
        differ(found, &format!("{id}: redacted"), &redacted(&self.line), &redacted(&anew.line));
        differ(found, &format!("{id}: state"), &self.state_of(anew, lazy), &anew.state_of(self, lazy));
        differ(found, &format!("{id}: account data"), &json!(self.data), &json!(anew.data));
        differ(
            found,
            &format!("{id}: receipts"),
            &self.told_receipts(&self.line.events),
            &anew.told_receipts(&self.line.events),
        );
        differ(found, &format!("{id}: summary"), &json!(self.summary), &json!(anew.summary));
        differ(found, &format!("{id}: unread"), &self.unread, &anew.unread);
        differ(found, &format!("{id}: unread by thread"), &self.by_thread, &anew.by_thread);
    }

    /// The state by type and key. Of members that are loaded lazily, those that both know.
    fn state_of(&self, other: &Self, lazy: bool) -> Value {
        let compared = |key: &(String, String)| !lazy || key.0 != MEMBER || other.state.contains_key(key);
        let state = self.state.iter().filter(|(key, _)| compared(key));
        json!(state.map(|((kind, key), event)| (format!("{kind}|{key}"), event)).collect::<BTreeMap<_, _>>())
    }

    /// A receipt over all threads stands for those of threads that it has reached: an event has one place for each user and
    /// kind ([MSC4102](https://github.com/matrix-org/matrix-spec-proposals/pull/4102)), so who comes later is not told all of them.
    fn told_receipts(&self, line: &[String]) -> Value {
        let place = |event: &String| line.iter().position(|known| known == event);
        let covered = |user: &String, kind: &String, event: &String| {
            let over_all = self.receipts.get(&(user.clone(), kind.clone(), OVER_ALL.to_owned()));
            over_all.is_some_and(|over_all| place(event) <= place(over_all))
        };
        let receipts = self
            .receipts
            .iter()
            .filter(|((user, kind, thread), event)| thread == OVER_ALL || !covered(user, kind, event));
        json!(
            receipts
                .map(|((user, kind, thread), event)| (format!("{user} {kind} {thread}"), event))
                .collect::<BTreeMap<_, _>>()
        )
    }
}

/// Data whose content is empty was removed ([MSC3391](https://github.com/matrix-org/matrix-spec-proposals/pull/3391)).
fn take_data(data: &mut BTreeMap<String, Value>, told: &Value) {
    for event in list(&told["events"]) {
        let Some(kind) = event["type"].as_str() else { continue };
        if event["content"] == json!({}) {
            data.remove(kind);
        } else {
            data.insert(kind.to_owned(), event["content"].clone());
        }
    }
}

/// Stripped state by type and key.
fn stripped(told: &Value) -> Value {
    let events = list(&told["events"]).iter();
    json!(
        events
            .map(|event| (format!("{}|{}", event["type"], event["state_key"]), event["content"].clone()))
            .collect::<BTreeMap<_, _>>()
    )
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn object(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn differ(found: &mut Vec<String>, place: &str, one: &Value, other: &Value) {
    if let (Value::Object(one), Value::Object(other)) = (one, other) {
        let keys: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
        for key in keys {
            let of = |object: &Map<String, Value>| object.get(key).cloned().unwrap_or_default();
            differ(found, &format!("{place}: {key}"), &of(one), &of(other));
        }
    } else if one != other {
        found.push(format!("  {place}: {one} / {other}"));
    }
}
