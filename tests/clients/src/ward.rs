//! Two people, each with a device in either library, in one room.

use anyhow::{Context, Result, ensure};
use harness::{Http, User};
use serde_json::{Map, Value, json};

use crate::library::Library;

/// A device: the library (see [`Ward::libraries`]) and the name that it has there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Device {
    library: usize,
    name: &'static str,
    /// Whose it is.
    pub owner: usize,
}

const JS: usize = 0;
const PYTHON: usize = 1;

const fn device(library: usize, name: &'static str, owner: usize) -> Device {
    Device { library, name, owner }
}

/// Who the owners are.
pub const ALICE: usize = 0;
pub const BOB: usize = 1;
const NAMES: [&str; 2] = ["alice", "bob"];

pub const ALICE_JS: Device = device(JS, "alice", ALICE);
pub const ALICE_PY: Device = device(PYTHON, "alice", ALICE);
pub const BOB_JS: Device = device(JS, "bob", BOB);
pub const BOB_PY: Device = device(PYTHON, "bob", BOB);
/// Devices that sign in at the end.
const LATER: [Device; 4] = [
    device(JS, "alice later", ALICE),
    device(PYTHON, "alice later", ALICE),
    device(JS, "bob later", BOB),
    device(PYTHON, "bob later", BOB),
];

/// The devices of owner `owner` that follow from the beginning.
#[must_use]
pub const fn devices(owner: usize) -> [Device; 2] {
    [device(JS, NAMES[owner], owner), device(PYTHON, NAMES[owner], owner)]
}

/// Both libraries, and the room once it exists.
#[derive(Debug)]
pub struct Ward {
    libraries: [Library; 2],
    /// User ids by owner.
    pub ids: [String; 2],
    /// The room.
    pub room: String,
    /// Who is in the room, and is told what happens there.
    pub present: Vec<usize>,
}

impl Ward {
    /// Registers both, one through each library, and signs each in through the other one, too.
    ///
    /// # Errors
    /// When a library is not there, or an account is refused.
    pub fn open(address: &str) -> Result<Self> {
        let libraries = [Library::javascript(address)?, Library::python(address)?];
        for library in &libraries {
            println!("clients: {}", library.name);
        }
        let mut ward = Self { libraries, ids: Default::default(), room: String::new(), present: Vec::new() };
        ward.ids[ALICE] = ward.enter(ALICE_JS, "register")?;
        ward.enter(ALICE_PY, "login")?;
        ward.ids[BOB] = ward.enter(BOB_PY, "register")?;
        ward.enter(BOB_JS, "login")?;
        Ok(ward)
    }

    /// Alice's library loads members lazily in JavaScript, and Bob's counts by thread in Python: both ways are told apart.
    fn enter(&mut self, device: Device, how: &str) -> Result<String> {
        let details = json!({
            "name": NAMES[device.owner], "password": User::password(),
            "lazy": device.owner == ALICE, "by_thread": device.owner == BOB,
        });
        let answer = self.libraries[device.library].ask(device.name, how, &details)?;
        harness::user::text(&answer, "user")
    }

    /// Lets `device` act in the room; what came of it.
    ///
    /// # Errors
    /// When the act is refused.
    pub fn act(&mut self, device: Device, what: &str, mut details: Value) -> Result<Value> {
        details["room"] = json!(self.room);
        self.libraries[device.library].ask(device.name, what, &details)
    }

    /// As [`Self::act`], for what makes an event: waits until every device of those present has it, and gives its id.
    ///
    /// # Errors
    /// When the act is refused, or the event does not come.
    pub fn say(&mut self, device: Device, what: &str, details: Value) -> Result<String> {
        let event = self.act(device, what, details)?;
        let event = event.as_str().with_context(|| format!("{what} gave {event}"))?.to_owned();
        for owner in self.present.clone() {
            for device in devices(owner) {
                self.act(device, "until", json!({ "event": event }))?;
            }
        }
        Ok(event)
    }

    /// A message with `body`.
    ///
    /// # Errors
    /// As [`Self::say`].
    pub fn message(&mut self, device: Device, body: &str) -> Result<String> {
        self.message_with(device, json!({ "body": body }))
    }

    /// A message whose content is `content` with the type of a text.
    ///
    /// # Errors
    /// As [`Self::say`].
    pub fn message_with(&mut self, device: Device, mut content: Value) -> Result<String> {
        content["msgtype"] = json!("m.text");
        self.say(device, "send", json!({ "type": "m.room.message", "content": content }))
    }

    /// Waits until both devices of `owner` show the room as `want` says.
    ///
    /// # Errors
    /// When they never do.
    pub fn shown(&mut self, owner: usize, want: &Value) -> Result<()> {
        for device in devices(owner) {
            self.act(device, "until", json!({ "want": want }))?;
        }
        Ok(())
    }

    /// Waits until everybody present is shown `want`.
    ///
    /// # Errors
    /// When somebody never is.
    pub fn all_shown(&mut self, want: &Value) -> Result<()> {
        for owner in self.present.clone() {
            self.shown(owner, want)?;
        }
        Ok(())
    }

    /// Waits until both devices of `owner` show so many unread messages, and so many that mention them.
    ///
    /// # Errors
    /// When they never do.
    pub fn unread(&mut self, owner: usize, total: u32, highlight: u32) -> Result<()> {
        self.shown(owner, &json!({ "unread": { "total": total, "highlight": highlight } }))
    }

    /// As [`Self::unread`], in the thread below `root`.
    ///
    /// # Errors
    /// When they never do.
    pub fn unread_of_thread(&mut self, owner: usize, root: &str, total: u32, highlight: u32) -> Result<()> {
        self.shown(owner, &json!({ "threads_unread": { root: { "total": total, "highlight": highlight } } }))
    }

    /// Whether both libraries show the room alike to `owner`: state, members, receipts, marks, counts, what became of messages.
    ///
    /// # Errors
    /// When they do not; with what differs.
    pub fn agree(&mut self, owner: usize) -> Result<Value> {
        let [js, python] = devices(owner);
        self.alike(js, python)
    }

    fn alike(&mut self, one: Device, other: Device) -> Result<Value> {
        let mut pair = (self.view(one)?, self.view(other)?);
        if !differences("", &pair.0, &pair.1).is_empty() {
            // After an answer of a sync a library may ask for more, such as the whole thread of a message.
            let waited = self.act(one, "until", json!({ "want": pair.1 }));
            pair = (self.view(one)?, self.view(other)?);
            let differences = differences("", &pair.0, &pair.1);
            ensure!(
                differences.is_empty(),
                "{} is shown another room by {} than by {}{}:\n{}",
                NAMES[one.owner],
                self.libraries[one.library].name,
                self.libraries[other.library].name,
                if waited.is_err() { ", and stays so" } else { "" },
                differences.join("\n")
            );
        }
        Ok(pair.0)
    }

    /// What the device shows once it has looked at all of the room, gaps too.
    fn view(&mut self, device: Device) -> Result<Value> {
        self.act(device, "timeline", json!({}))?;
        let mut view = self.act(device, "show", json!({}))?;
        // Only those who count by thread tell of threads.
        if device.owner == ALICE {
            view.as_object_mut().context("a view is an object")?.remove("threads_unread");
        }
        Ok(view)
    }

    /// The end: what all devices of everybody hold is what the server holds; and a device that signs in now is shown the same.
    ///
    /// # Errors
    /// When anything differs.
    pub async fn settle(&mut self, http: &Http) -> Result<()> {
        for later in LATER {
            self.enter(later, "login")?;
            self.act(later, "until", json!({ "want": { "membership": "join" } }))?;
        }
        for owner in [ALICE, BOB] {
            let user = User::sign_in(http, NAMES[owner]).await?;
            let line = user.history(&self.room, "f", 100).await?;
            let state = user.get(&format!("/rooms/{}/state", harness::client::encode(&self.room))).await?.ok()?;
            let state = by_type_and_key(&state)?;
            // Paging back brings what stands before, and with it what became of messages there.
            for device in devices(owner).into_iter().chain(LATER).filter(|device| device.owner == owner) {
                self.same_line(device, &line)?;
                let told = self.act(device, "server", json!({}))?;
                ensure!(told == state, "{device:?} asks for the state and gets another one");
            }
            let view = self.agree(owner)?;
            let differing = differences("state", &view["state"], &state);
            ensure!(differing.is_empty(), "the state that was synced is not the server's:\n{}", differing.join("\n"));
            for later in LATER.into_iter().filter(|device| device.owner == owner) {
                self.alike(devices(owner)[later.library], later)?;
            }
            println!("clients: {} is shown\n{view:#}", NAMES[owner]);
            println!("clients: {} has {} events", NAMES[owner], line.len());
        }
        Ok(())
    }

    /// Each event once (but a thread's root, which stands in both lines), none that the server does not tell, each line in its
    /// order. Who pages back comes upon edits, reactions and redactions before what they are about; the JavaScript library applies them then
    /// without showing them themselves.
    fn same_line(&mut self, device: Device, events: &[Value]) -> Result<()> {
        let line: Vec<&str> = events.iter().filter_map(|event| event["event_id"].as_str()).collect();
        let held = self.act(device, "timeline", json!({}))?;
        let threads = held["threads"].as_object().context("threads by root")?;
        let mut lines = vec![("main", ids(&held["main"])?)];
        for (root, thread) in threads {
            lines.push((root, ids(thread)?));
        }
        for (which, held) in &lines {
            let places = held.iter().map(|event| line.iter().position(|other| other == event));
            ensure!(
                places.clone().all(|place| place.is_some()) && places.is_sorted_by(|one, next| one < next),
                "{device:?}, {which}: not in the server's order: {held:?}, but {line:?}"
            );
        }
        for (id, event) in line.iter().zip(events) {
            let often = lines.iter().filter(|(_, held)| held.contains(id)).count();
            let most = 1 + usize::from(threads.contains_key(*id));
            let relation = &event["content"]["m.relates_to"]["rel_type"];
            let about = event["type"] == "m.room.redaction" || relation == "m.replace" || relation == "m.annotation";
            let least = usize::from(device.library == PYTHON || !about);
            ensure!((least..=most).contains(&often), "{device:?} has {event} {often} times");
        }
        Ok(())
    }
}

fn ids(list: &Value) -> Result<Vec<&str>> {
    let list = list.as_array().with_context(|| format!("no list of events: {list}"))?;
    list.iter().map(|event| event.as_str().context("an event id")).collect()
}

fn by_type_and_key(state: &Value) -> Result<Value> {
    let mut events = Map::new();
    for event in state.as_array().context("the state is a list")? {
        let key = format!("{}|{}", harness::user::text(event, "type")?, harness::user::text(event, "state_key")?);
        events.insert(key, event["event_id"].clone());
    }
    Ok(Value::Object(events))
}

/// A line for each place where two values differ.
fn differences(place: &str, one: &Value, other: &Value) -> Vec<String> {
    if let (Value::Object(one), Value::Object(other)) = (one, other) {
        let mut keys: Vec<&String> = one.keys().chain(other.keys()).collect();
        keys.sort();
        keys.dedup();
        let of = |object: &Map<String, Value>, key| object.get(key).cloned().unwrap_or_default();
        return keys
            .into_iter()
            .flat_map(|key| differences(&format!("{place}/{key}"), &of(one, key), &of(other, key)))
            .collect();
    }
    if one == other { Vec::new() } else { vec![format!("  {place}: {one} / {other}")] }
}
