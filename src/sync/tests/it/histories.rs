//! Random histories: three users in three rooms, clients that sync at random moments with small limits and page back gaps, on
//! nodes that restart, while other things happen. What a client has of a room that it is in is the room: all of it, or what its
//! filter lets pass; with `state` or with `state_after`; of the members all, or at least those whose events it shows. And it calls the
//! room as it is called, though state events are redacted.

use std::collections::{BTreeMap, BTreeSet};

use ruma::OwnedRoomId;
use serde_json::{Value, json};
use wardstead_accounts::Session;
use wardstead_limits::{Rng, SeededRng};
use wardstead_rooms::{EventFilter, Membership};
use wardstead_sync::{StateName, SyncFilter, SyncRequest};

use crate::support::{Answer, Section, Server, id, key, limit_filter, open, seeded, state};

const CASES: u64 = 240;
const STEPS: usize = 32;

type State = BTreeMap<(String, String), String>;

/// What one room is, as the test itself notes it.
#[derive(Clone, Default)]
struct Truth {
    events: Vec<String>,
    messages: BTreeSet<String>,
    state: State,
    members: BTreeMap<usize, Membership>,
    /// For each user the number of events when they last stopped being in the room, that one included.
    left: BTreeMap<usize, usize>,
    /// State events that say nothing any more, and names that said nothing from the beginning.
    silent: BTreeSet<String>,
}

impl Truth {
    /// What `user` calls the room by.
    fn summary(&self, user: usize, users: &[Session; 3]) -> Value {
        let count = |which| self.members.values().filter(|membership| **membership == which).count();
        let mut summary = json!({
            "m.joined_member_count": count(Membership::Join), "m.invited_member_count": count(Membership::Invite),
        });
        let name = self.state.get(&("m.room.name".to_owned(), String::new()));
        if name.is_some_and(|name| !self.silent.contains(name)) {
            return summary;
        }
        let became = |number: &usize| {
            let event = &self.state[&("m.room.member".to_owned(), users[*number].user_id.to_string())];
            self.events.iter().position(|other| other == event)
        };
        let is_here = |number: &usize| matches!(self.members[number], Membership::Join | Membership::Invite);
        let others = self.members.keys().copied().filter(|number| *number != user);
        let (mut here, gone): (Vec<usize>, Vec<usize>) = others.partition(is_here);
        if here.is_empty() {
            here = gone;
        }
        here.sort_by_key(became);
        if !here.is_empty() {
            summary["m.heroes"] = here.iter().map(|number| users[*number].user_id.as_str()).collect();
        }
        summary
    }
}

/// What a client knows of one room.
#[derive(Clone, Default)]
struct Known {
    events: Vec<String>,
    state: State,
    summary: Value,
    /// Events about its own membership that it was sent while it was not in the room: it cannot tell what was before them.
    islands: BTreeSet<String>,
}

/// How a client asks.
#[derive(Clone, Copy, Debug, Default)]
struct Mode {
    /// For the state at the end.
    after: bool,
    /// Only for the members that it needs.
    lazy: bool,
    /// Only for messages.
    messages: bool,
}

impl Mode {
    fn of(number: u64) -> Self {
        Self { after: number & 1 != 0, lazy: number & 2 != 0, messages: number & 4 != 0 }
    }

    fn timeline(self) -> Value {
        if self.messages { json!({ "types": ["m.room.message"] }) } else { json!({}) }
    }

    fn request(self, since: Option<String>, limit: usize) -> SyncRequest {
        let mut filter = limit_filter(limit);
        filter["room"]["state"] = json!({ "lazy_load_members": self.lazy });
        filter["room"]["timeline"].as_object_mut().unwrap().extend(self.timeline().as_object().unwrap().clone());
        let state = if self.after { StateName::After } else { StateName::Before };
        let filter = SyncFilter::parse(&filter.to_string()).unwrap();
        SyncRequest { since, filter, state, ..SyncRequest::default() }
    }

    /// What of `events` it is shown.
    fn shown(self, events: &[String], truth: &Truth) -> Vec<String> {
        events.iter().filter(|event| !self.messages || truth.messages.contains(*event)).cloned().collect()
    }
}

#[derive(Clone, Default)]
struct Client {
    mode: Mode,
    since: Option<Answer>,
    rooms: Vec<Known>,
}

struct World {
    seed: u64,
    server: Server,
    rng: SeededRng,
    users: [Session; 3],
    rooms: Vec<OwnedRoomId>,
    truth: Vec<Truth>,
    clients: Vec<Client>,
    restarts: u64,
}

/// One thing to happen.
#[derive(Clone, Debug)]
enum Act {
    Say(usize, usize),
    Topic(usize, usize),
    Name(usize, usize),
    Redact(usize, usize, String),
    Become(usize, usize, usize, Membership),
}

impl World {
    async fn new(seed: u64) -> Self {
        let server = seeded(seed).await;
        let users = server.users(["u0", "u1", "u2"]).await;
        let (mut rooms, mut truth) = (Vec::new(), Vec::new());
        for (creator, session) in users.iter().enumerate() {
            let room = server.rooms.create(session, open("shared")).await.unwrap();
            let answer = server.limited(session, None, 100).await;
            let mut made = Truth::default();
            for event in answer.joined(&room).events() {
                made.events.push(id(event));
                made.state.insert(key(event), id(event));
            }
            made.members.insert(creator, Membership::Join);
            rooms.push(room);
            truth.push(made);
        }
        let client =
            |number: u64| Client { mode: Mode::of(seed + 3 * number), since: None, rooms: vec![Known::default(); 3] };
        let rng = SeededRng::new(seed);
        Self { seed, server, rng, users, rooms, truth, clients: (0..3).map(client).collect(), restarts: 0 }
    }

    fn below(&self, bound: u64) -> u64 {
        self.rng.next_u64() % bound
    }

    fn index(&self, bound: usize) -> usize {
        usize::try_from(self.below(bound as u64)).unwrap()
    }

    fn act(&self) -> Act {
        let (by, room) = (self.index(3), self.index(3));
        match self.below(13) {
            0..4 => Act::Say(by, room),
            4 => Act::Topic(by, room),
            5 | 6 => Act::Become(by, room, by, Membership::Join),
            7 => Act::Become(by, room, by, Membership::Leave),
            8 => Act::Become(by, room, self.index(3), Membership::Invite),
            9 => Act::Name(by, room),
            10 | 11 => Act::Redact(if self.below(2) == 0 { by } else { room }, room, self.state_event(room)),
            // Only the creator has the power to remove others.
            _ => Act::Become(room, room, self.index(3), Membership::Leave),
        }
    }

    /// A state event of `room`, often its name.
    fn state_event(&self, room: usize) -> String {
        let state = &self.truth[room].state;
        let name = state.get(&("m.room.name".to_owned(), String::new()));
        let any = || state.values().nth(self.index(state.len())).unwrap();
        name.filter(|_| self.below(4) > 0).unwrap_or_else(any).clone()
    }

    /// Lets `act` happen, unless the room does not allow it, and notes it.
    async fn happen(&mut self, act: Act) {
        let number = self.below(u64::MAX);
        let done = perform(&self.server, &self.users, &self.rooms, &act, number).await;
        self.note(&act, done, number);
    }

    fn note(&mut self, act: &Act, done: Option<String>, number: u64) {
        let (Act::Say(_, room)
        | Act::Topic(_, room)
        | Act::Name(_, room)
        | Act::Redact(_, room, _)
        | Act::Become(_, room, ..)) = *act;
        let truth = &mut self.truth[room];
        // A join of somebody who is in the room already is the join that it was.
        let Some(event) = done.filter(|event| !truth.events.contains(event)) else { return };
        truth.events.push(event.clone());
        match act {
            Act::Say(..) => drop(truth.messages.insert(event)),
            Act::Name(..) => {
                if is_nameless(number) {
                    truth.silent.insert(event.clone());
                }
                truth.state.insert(("m.room.name".to_owned(), String::new()), event);
            }
            Act::Redact(_, _, target) => drop(truth.silent.insert(target.clone())),
            Act::Topic(..) => drop(truth.state.insert(("m.room.topic".to_owned(), String::new()), event)),
            Act::Become(_, _, user, membership) => {
                let (user, membership) = (*user, *membership);
                let key = ("m.room.member".to_owned(), self.users[user].user_id.to_string());
                truth.state.insert(key, event);
                if truth.members.insert(user, membership) == Some(Membership::Join) && membership != Membership::Join {
                    truth.left.insert(user, truth.events.len());
                }
            }
        }
    }

    async fn step(&mut self) {
        match self.below(16) {
            0 => {
                self.restarts += 1;
                self.server = self.server.node(1_000 + self.seed * 1_000 + self.restarts).await;
            }
            1..10 => self.happen(self.act()).await,
            _ => self.sync(self.index(3)).await,
        }
    }

    /// One client syncs, sometimes while something happens that belongs into the next answer.
    async fn sync(&mut self, user: usize) {
        let expected = self.truth.clone();
        let limit = 1 + self.index(5);
        let meanwhile = (self.below(3) == 0).then(|| self.act());
        let (told, done) = tokio::sync::oneshot::channel();
        let number = self.below(u64::MAX);
        if let Some(act) = meanwhile.clone() {
            let (server, users, rooms) = (self.server.clone(), self.users.clone(), self.rooms.clone());
            self.server.meanwhile.before_read(1 + self.below(6), async move {
                drop(told.send(perform(&server, &users, &rooms, &act, number).await));
            });
        }
        let by = self.users[user].clone();
        let since = self.clients[user].since.take();
        let request = self.clients[user].mode.request(since.as_ref().map(Answer::next), limit);
        let answer = self.server.ask(&by, request).await.unwrap();
        for (room, expected) in expected.iter().enumerate() {
            self.hear(user, room, &answer).await;
            self.check(user, room, &answer, expected);
            if meanwhile.is_none() && expected.members.get(&user) == Some(&Membership::Join) {
                let known = &self.clients[user].rooms[room].summary;
                let about = format!("seed {}, user {user}, room {room}", self.seed);
                assert_eq!(*known, expected.summary(user, &self.users), "{about}: summary");
            }
        }
        self.clients[user].since = Some(answer);
        if let Some(act) = meanwhile {
            // Where the answer took fewer reads than that, it happens now.
            if let Some(late) = self.server.meanwhile.take() {
                late.await;
            }
            let done = done.await.unwrap();
            self.note(&act, done, number);
        }
    }

    /// The client takes in what the answer says of one room, and pages back where something is missing.
    async fn hear(&mut self, user: usize, room: usize, answer: &Answer) {
        let by = self.users[user].clone();
        let room_id = self.rooms[room].clone();
        let (joined, left) = (answer.joined(&room_id), answer.left(&room_id));
        let section = if joined.0.is_null() { left } else { joined };
        if section.0.is_null() {
            return;
        }
        let mut known = std::mem::take(&mut self.clients[user].rooms[room]);
        let overlaps = |known: &Known, event: &String| known.events.contains(event) && !known.islands.contains(event);
        let mut new = section.timeline();
        let own = left.0["timeline"].get("prev_batch").is_none() && joined.0.is_null();
        let came = !own && !known.islands.is_empty();
        if !own && (section.limited() || came) && !new.iter().any(|event| overlaps(&known, event)) {
            let (limit, filter) = (1 + self.index(4), self.clients[user].mode.timeline().to_string());
            let filter = EventFilter::parse(&filter).unwrap();
            let from = section.prev_batch();
            let mut missing = self.server.back_where(&by, &room_id, from, None, limit, &filter).await;
            if let Some(at) = missing.iter().position(|event| overlaps(&known, event)) {
                missing.truncate(at);
            }
            missing.reverse();
            missing.append(&mut new);
            new = missing;
        }
        if own {
            known.islands.extend(new.iter().cloned());
        } else {
            known.events.retain(|event| !known.islands.contains(event));
            known.islands.clear();
        }
        let about = format!("seed {}, user {user}, room {room}", self.seed);
        if !own && !section.limited() {
            let doubled = new.iter().find(|event| known.events.contains(event));
            assert_eq!(doubled, None, "{about}: doubled, in a timeline that says that it follows");
        }
        for event in new {
            if !known.events.contains(&event) {
                known.events.push(event);
            }
        }
        take_state(&mut known.state, section, self.clients[user].mode.after);
        if !section.0["summary"].is_null() {
            known.summary = section.0["summary"].clone();
        }
        self.clients[user].rooms[room] = known;
    }

    /// Compares what the client has with what there was when it was answered.
    fn check(&self, user: usize, room: usize, answer: &Answer, truth: &Truth) {
        let known = &self.clients[user].rooms[room];
        let about = format!("seed {}, user {user}, room {room}", self.seed);
        let room_id = &self.rooms[room];
        let membership = truth.members.get(&user);
        if membership == Some(&Membership::Join) {
            let mode = self.clients[user].mode;
            assert_eq!(known.events, mode.shown(&truth.events, truth), "{about}: events, {mode:?}");
            if mode.lazy {
                let expected = known.state.keys().filter_map(|key| Some((key.clone(), truth.state.get(key)?.clone())));
                let mut expected: State = expected.collect();
                let needed = answer.joined(room_id).events().iter().map(|event| event["sender"].as_str().unwrap());
                let needed: BTreeSet<&str> = needed.chain([self.users[user].user_id.as_str()]).collect();
                let needed = |(kind, key): &(String, String)| kind != "m.room.member" || needed.contains(key.as_str());
                expected.extend(truth.state.clone().into_iter().filter(|(key, _)| needed(key)));
                assert_eq!(known.state, expected, "{about}: state, {mode:?}");
            } else {
                assert_eq!(known.state, truth.state, "{about}: state, {mode:?}");
            }
            return;
        }
        assert!(answer.joined(room_id).0.is_null(), "{about}: joined, but is {membership:?}");
        let seen = truth.left.get(&user).copied().unwrap_or_default();
        let own = |event: &&String| {
            truth.state.get(&("m.room.member".to_owned(), self.users[user].user_id.to_string())) == Some(*event)
                || known.islands.contains(*event)
        };
        let after = known.events.iter().filter(|event| truth.events[seen..].contains(event));
        let foreign: Vec<_> = after.filter(|event| !own(event)).collect();
        // An invitation and its rejection that came in one answer stand side by side.
        assert!(foreign.len() <= 1, "{about}: told after leaving: {foreign:?}");
        if !answer.left(room_id).0.is_null() && !known.islands.iter().any(|event| known.events.contains(event)) {
            let expected = self.clients[user].mode.shown(&truth.events[..seen], truth);
            assert_eq!(known.events[..expected.len().min(known.events.len())], expected, "{about}: up to the leaving");
        }
    }
}

/// Applies a section as a client does: state, then the timeline's; or the state after it alone.
fn take_state(state: &mut State, section: Section<'_>, after: bool) {
    if after {
        assert!(section.0.get("state").is_none());
        state.extend(section.after());
        return;
    }
    let of_timeline = section.events().iter().filter(|event| event.get("state_key").is_some());
    let told: Vec<&Value> = section.state_events().iter().chain(of_timeline).collect();
    state.extend(told.into_iter().map(|event| (key(event), id(event))));
}

/// Whether the name with this number is none.
fn is_nameless(number: u64) -> bool {
    number.is_multiple_of(4)
}

async fn perform(
    server: &Server,
    users: &[Session; 3],
    rooms: &[OwnedRoomId],
    act: &Act,
    number: u64,
) -> Option<String> {
    let done = match *act {
        Act::Say(by, room) => server.try_send(&users[by], &rooms[room], crate::support::message("hello")).await,
        Act::Topic(by, room) => {
            let draft = state("m.room.topic", "", &json!({ "topic": number.to_string() }));
            server.try_send(&users[by], &rooms[room], draft).await
        }
        Act::Name(by, room) => {
            let name = if is_nameless(number) { json!({}) } else { json!({ "name": number.to_string() }) };
            server.try_send(&users[by], &rooms[room], state("m.room.name", "", &name)).await
        }
        Act::Redact(by, room, ref target) => {
            let content = crate::support::raw(&json!({ "redacts": target }));
            let event_type = "m.room.redaction".to_owned();
            let redaction = wardstead_rooms::Draft { event_type, state_key: None, content, txn_id: None };
            server.try_send(&users[by], &rooms[room], redaction).await
        }
        Act::Become(by, room, user, membership) => {
            server.rooms.set_membership(&users[by], &rooms[room], &users[user].user_id, membership, None).await
        }
    };
    match done {
        Ok(event_id) => Some(event_id.to_string()),
        Err(wardstead_rooms::RoomError::Forbidden(_)) => None,
        Err(error) => panic!("{act:?}: {error}"),
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_client_has_is_the_room() {
    for seed in 0..CASES {
        let mut world = World::new(seed).await;
        for _ in 0..STEPS {
            world.step().await;
        }
        for user in 0..3 {
            world.sync(user).await;
            world.sync(user).await;
        }
    }
}
