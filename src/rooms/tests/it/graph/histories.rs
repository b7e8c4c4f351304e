//! Random histories with forks: the server and a naive reading of the specification agree on every event and every state.

use std::{collections::BTreeMap, sync::Arc};

use proptest::{
    prelude::*,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use ruma::{OwnedEventId, RoomVersionId, UserId};
use serde_json::{Value, json};
use wardstead_accounts::Session;
use wardstead_rooms::{NewRoom, Preset, Status, StoredEvent};

use crate::support::{Server, server};

use super::{
    forge::{Forge, Graph, State},
    naive::{Ids, Model},
};

/// One event of a history, by numbers that are taken modulo what there is.
#[derive(Clone, Debug)]
struct Step {
    who: usize,
    kind: usize,
    target: usize,
    level: usize,
    /// Events before it: how far back each lies.
    back: Vec<usize>,
    ts: u64,
    /// What is wrong with its auth events; from 3 on: nothing.
    wrong: usize,
}

fn step() -> impl Strategy<Value = Step> {
    let numbers = (0..4_usize, 0..18_usize, 0..4_usize, 0..5_usize);
    let place = (prop::collection::vec(0..6_usize, 1..=3), 0..60_u64, 0..24_usize);
    (numbers, place).prop_map(|((who, kind, target, level), (back, ts, wrong))| Step {
        who,
        kind,
        target,
        level,
        back,
        ts,
        wrong,
    })
}

/// A room that the server and the model know alike.
struct Both<'a> {
    graph: Graph<'a>,
    users: &'a [Session],
    model: Model,
    before: BTreeMap<OwnedEventId, State>,
    stored: Vec<Arc<StoredEvent>>,
    soft_failed: Ids,
    extremities: Ids,
}

impl<'a> Both<'a> {
    async fn new(server: &'a Server, users: &'a [Session], version: RoomVersionId) -> Self {
        let number: u8 = version.as_str().parse().unwrap();
        let new = NewRoom { version: Some(version), preset: Some(Preset::PublicChat), ..NewRoom::default() };
        let members: Vec<&Session> = users[..3].iter().collect();
        let room = server.room_of(&members, new).await;
        let mut levels = json!({ "users": { "@ben:example.org": 50, "@cy:example.org": 50 }, "events_default": 0 });
        if number < 12 {
            levels["users"]["@ada:example.org"] = 100.into();
        }
        server.set(&users[0], &room, "m.room.power_levels", levels).await.unwrap();
        let graph = Graph::new(server, &room).await;
        let stored = server.timeline(&users[0], &room).await;
        let create = stored[0].event_id.clone();
        let model = Model { version: number, create, events: BTreeMap::new(), rejected: Ids::new() };
        let extremities = Ids::from([stored.last().unwrap().event_id.clone()]);
        let (before, soft_failed) = (BTreeMap::new(), Ids::new());
        let mut both = Self { graph, users, model, before, stored: Vec::new(), soft_failed, extremities };
        let mut state = State::new();
        for event in stored {
            let id = event.event_id.clone();
            both.model.events.insert(id.clone(), both.known(&event));
            both.before.insert(id.clone(), state.clone());
            state = both.model.after(&id, &state);
            both.stored.push(Arc::clone(event.event()));
        }
        both
    }

    fn known(&self, event: &StoredEvent) -> Forge {
        Forge {
            version: self.graph.room.version.clone(),
            room_id: self.graph.room.room_id.clone(),
            sender: event.sender.to_string(),
            event_type: event.event_type.to_string(),
            state_key: event.state_key.clone(),
            content: serde_json::from_str(event.content.get()).unwrap(),
            prev: event.prev_events.clone(),
            auth: event.auth_events.clone(),
            depth: event.depth,
            ts: event.origin_server_ts,
        }
    }

    fn state_after_all<'b>(&self, ids: impl Iterator<Item = &'b OwnedEventId>) -> State {
        let states: Vec<State> = ids.map(|id| self.model.after(id, &self.before[id])).collect();
        self.model.resolve(&states)
    }

    fn forge(&self, step: &Step) -> Forge {
        let mut prev: Vec<&StoredEvent> = Vec::new();
        for back in &step.back {
            let event = &self.stored[self.stored.len() - 1 - back];
            if prev.iter().all(|other| other.event_id != event.event_id) {
                prev.push(event);
            }
        }
        let before = self.state_after_all(prev.iter().map(|event| &event.event_id));
        let (sender, target) = (&self.users[step.who].user_id, &self.users[step.target].user_id);
        let (event_type, state_key, content) = self.says(step, sender, target, &before);
        let mut forge = self.graph.event(sender, (event_type, state_key.as_deref(), content), &prev, &before);
        // Times that differ little, are often the same, and do not follow the graph.
        forge.ts = 1_000_000 + step.ts / 3;
        self.spoil(&mut forge, step);
        forge
    }

    fn says(
        &self,
        step: &Step,
        sender: &UserId,
        target: &UserId,
        before: &State,
    ) -> (&'static str, Option<String>, Value) {
        let member = |who: &UserId, membership: &str| {
            ("m.room.member", Some(who.to_string()), json!({ "membership": membership, "n": step.ts }))
        };
        let empty = Some(String::new());
        match step.kind {
            0 => ("m.room.message", None, json!({ "body": step.ts })),
            1 | 2 => ("m.room.topic", empty, json!({ "topic": step.ts })),
            3 => ("m.room.name", empty, json!({ "name": step.ts })),
            4 | 5 => {
                let rule = ["public", "invite", "knock", "restricted", "public"][step.level];
                ("m.room.join_rules", empty, json!({ "join_rule": rule, "allow": [] }))
            }
            6..=8 => {
                let key = ("m.room.power_levels".to_owned(), String::new());
                let mut levels = before.get(&key).map_or(json!({}), |id| self.model.events[id].content.clone());
                let level = [0, 25, 50, 75, 100][step.level];
                match step.ts % 5 {
                    0 => levels["state_default"] = level.into(),
                    1 => levels["events"]["m.room.topic"] = level.into(),
                    _ => levels["users"][target.as_str()] = level.into(),
                }
                ("m.room.power_levels", empty, levels)
            }
            9 | 10 => member(sender, "join"),
            11 => member(sender, "leave"),
            12 => member(target, "invite"),
            13 => member(target, "leave"),
            14 | 15 => member(target, "ban"),
            16 => member(sender, "knock"),
            _ => {
                let content = json!({ "membership": "join", "join_authorised_via_users_server": target });
                ("m.room.member", Some(sender.to_string()), content)
            }
        }
    }

    /// Auth events that an honest server would not name.
    fn spoil(&self, forge: &mut Forge, step: &Step) {
        let at = |many: usize| usize::try_from(step.ts).unwrap() % many.max(1);
        match step.wrong {
            0 if !forge.auth.is_empty() => drop(forge.auth.remove(at(forge.auth.len()))),
            1 => {
                // Since version 12 the create event among them is an error of the form, not of the rules.
                let create = (self.model.version >= 12).then_some(&self.model.create);
                let state = self.stored.iter().filter(|event| event.state_key.is_some());
                let state: Vec<_> = state.filter(|event| Some(&event.event_id) != create).collect();
                forge.auth.push(state[at(state.len())].event_id.clone());
            }
            2 => {
                // As it was once.
                let id = &self.stored[at(self.stored.len())].event_id;
                let old = &self.before[id];
                let names = self.model.auth_names(forge);
                forge.auth = names.iter().filter_map(|name| old.get(name).cloned()).collect();
            }
            _ => {}
        }
        forge.auth.sort();
        forge.auth.dedup();
    }

    /// Removes from the extremities what stands before `id`.
    fn cover(&mut self, id: &OwnedEventId) {
        let mut next = self.model.events[id].prev.clone();
        while let Some(id) = next.pop() {
            self.extremities.remove(&id);
            if self.model.rejected.contains(&id) || self.soft_failed.contains(&id) {
                next.extend(self.model.events[&id].prev.clone());
            }
        }
    }

    async fn take(&mut self, step: &Step) -> Result<Status, TestCaseError> {
        let forge = self.forge(step);
        let before = self.state_after_all(forge.prev.iter());
        let current = self.state_after_all(self.extremities.iter());
        let expected = if !self.model.accepts(&forge, &before) {
            Status::Rejected
        } else if self.model.allowed_in(&forge, &current) {
            Status::Timeline
        } else {
            Status::SoftFailed
        };
        let (event, status) = self.graph.put(&forge).await;
        let id = event.event_id.clone();
        if self.before.contains_key(&id) {
            // The same as one before.
            return Ok(status);
        }
        prop_assert_eq!(status, expected, "{:#?}\nbefore: {:#?}", forge, before);
        prop_assert_eq!(&self.graph.before(&id).await, &before, "the state before {:#?}", forge);
        self.model.events.insert(id.clone(), forge);
        self.before.insert(id.clone(), before);
        self.stored.push(event);
        match status {
            Status::Timeline => {
                self.cover(&id);
                self.extremities.insert(id);
            }
            Status::SoftFailed => drop(self.soft_failed.insert(id)),
            _ => drop(self.model.rejected.insert(id)),
        }
        let current = self.state_after_all(self.extremities.iter());
        prop_assert_eq!(self.graph.current().await, current, "the current state");
        Ok(status)
    }
}

/// What histories came to: every outcome has to be common enough that the comparison says something.
#[derive(Default, Debug)]
struct Tally {
    accepted: usize,
    soft_failed: usize,
    rejected: usize,
    merges: usize,
}

fn histories(version: &RoomVersionId, cases: u32) {
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let tally = std::cell::RefCell::new(Tally::default());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let strategy = prop::collection::vec(step(), 12..28);
    let result = runner.run(&strategy, |steps| {
        runtime.block_on(async {
            let server = server().await;
            let mut users = Vec::new();
            for name in ["ada", "ben", "cy", "dee"] {
                users.push(server.user(name).await);
            }
            let mut both = Both::new(&server, &users, version.clone()).await;
            for step in &steps {
                let status = both.take(step).await?;
                let mut tally = tally.borrow_mut();
                match status {
                    Status::Timeline => tally.accepted += 1,
                    Status::SoftFailed => tally.soft_failed += 1,
                    _ => tally.rejected += 1,
                }
                tally.merges += usize::from(both.extremities.len() > 1);
            }
            Ok(())
        })
    });
    result.unwrap();
    let tally = tally.into_inner();
    let least = usize::try_from(cases).unwrap();
    assert!(tally.accepted > 3 * least && tally.rejected > least && tally.merges > 2 * least, "{tally:?}");
    assert!(tally.soft_failed > least / 8, "{tally:?}");
}

#[test]
fn version_6() {
    histories(&RoomVersionId::V6, 24);
}

#[test]
fn version_9() {
    histories(&RoomVersionId::V9, 24);
}

#[test]
fn version_11() {
    histories(&RoomVersionId::V11, 32);
}

/// State resolution 2.1, and creators above all levels.
#[test]
fn version_12() {
    histories(&RoomVersionId::V12, 64);
}
