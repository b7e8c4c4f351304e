//! Random histories: the server counts what a naive counter counts ([`crate::naive`]), after every step and as of every position.

use std::fmt::Write as _;

use ruma::{OwnedEventId, OwnedRoomId, OwnedTransactionId, push::Ruleset};
use serde_json::{Value, json};
use wardstead_accounts::Session;
use wardstead_engine::Position;
use wardstead_limits::{Rng as _, SeededRng};
use wardstead_push::{UnreadCounts, default_rules};
use wardstead_rooms::{Marks, Membership, ReceiptMark};

use crate::{
    naive::Model,
    support::{Server, server},
};

const HISTORIES: u64 = 2_000;
const STEPS: usize = 24;
/// Histories of one server, one after another: each has users and a room of its own.
const OF_ONE_SERVER: u64 = 50;
const USERS: usize = 4;

/// One thing that happens; numbers are taken modulo what there is.
#[derive(Clone, Copy, Debug)]
struct Step {
    kind: u64,
    who: usize,
    other: usize,
    back: usize,
    detail: u64,
}

fn steps(seed: u64) -> Vec<Step> {
    let rng = SeededRng::new(seed);
    let below = |bound: u64| rng.next_u64() % bound;
    let small = |bound: u64| usize::try_from(below(bound)).unwrap();
    let step = |_| Step {
        kind: below(100),
        who: small(USERS as u64),
        other: small(USERS as u64),
        back: small(10),
        detail: below(1_000),
    };
    (0..STEPS).map(step).collect()
}

/// What is asked again later, as of then.
struct Then {
    upto: Position,
    who: usize,
    threads: bool,
    counts: UnreadCounts,
}

struct History<'a> {
    server: &'a Server,
    users: Vec<Session>,
    room: OwnedRoomId,
    short: u64,
    model: Model,
    then: Vec<Then>,
    txn: usize,
}

impl<'a> History<'a> {
    async fn new(server: &'a Server, number: u64) -> Self {
        let mut users = Vec::new();
        for name in ["anna", "bert", "cara", "dora"].iter().take(USERS) {
            users.push(server.user(&format!("{name}{number}")).await);
        }
        let room = server.room(&[&users[0]]).await;
        let rules = users.iter().map(|user| (user.user_id.clone(), default_rules(&user.user_id))).collect();
        let mut model = Model::new(room.clone(), rules);
        model.users[0].joined = Some(0);
        let short = server.short(&room).await;
        let mut history = Self { server, users, room, short, model, then: Vec::new(), txn: 0 };
        for who in 1..USERS - 1 {
            history.join(who).await;
        }
        history
    }

    fn is_in(&self, who: usize) -> bool {
        self.model.users[who].joined.is_some()
    }

    async fn told(
        &mut self,
        who: usize,
        event_id: OwnedEventId,
        event_type: &str,
        state_key: Option<&str>,
        content: Value,
    ) {
        let mut event = json!({ "event_id": event_id, "type": event_type, "room_id": self.room,
            "sender": self.users[who].user_id, "content": content });
        if let Some(state_key) = state_key {
            event["state_key"] = state_key.into();
        }
        self.model.append(&event, who).await;
    }

    async fn send(&mut self, who: usize, event_type: &str, state_key: Option<&str>, content: Value) {
        let sent = self.server.event(&self.users[who], &self.room, event_type, state_key, &content).await;
        self.told(who, sent.unwrap(), event_type, state_key, content).await;
    }

    async fn join(&mut self, who: usize) {
        let user = &self.users[who];
        self.server.clock.advance_ms(5);
        let joined = self.server.set_membership(user, &self.room, &user.user_id, Membership::Join, None).await;
        self.model.users[who].joined = Some(self.model.len() + 1);
        self.model.follow(who);
        self.model.users[who].name = None;
        let (state_key, content) = (user.user_id.to_string(), json!({ "membership": "join" }));
        self.told(who, joined.unwrap(), "m.room.member", Some(&state_key), content).await;
    }

    async fn leave(&mut self, who: usize) {
        let user = &self.users[who];
        let left = self.server.set_membership(user, &self.room, &user.user_id, Membership::Leave, None).await;
        self.model.users[who].joined = None;
        let (state_key, content) = (user.user_id.to_string(), json!({ "membership": "leave" }));
        self.told(who, left.unwrap(), "m.room.member", Some(&state_key), content).await;
    }

    async fn say(&mut self, step: Step) {
        let Step { who, other, .. } = step;
        let (local, id) = {
            let user = &self.users[other].user_id;
            (user.localpart().to_owned(), user.to_string())
        };
        let name = self.model.users[other].name.clone().unwrap_or_else(|| "nobody".to_owned());
        let body = match step.detail % 12 {
            0 => format!("can {local} come?"),
            1 => format!("{} is on call", name.to_uppercase()),
            2 => "signs of SEPSIS in bed 4".to_owned(),
            3 => "asepsis, and blood-gas".to_owned(),
            4 => "@room fire drill".to_owned(),
            5 => format!("{local}x"),
            _ => "nothing special".to_owned(),
        };
        let msgtype = if step.detail.is_multiple_of(17) { "m.notice" } else { "m.text" };
        let mut content = json!({ "msgtype": msgtype, "body": body });
        match step.detail / 12 % 8 {
            0 => content["m.mentions"] = json!({ "user_ids": [id, "@nobody:example.org", 7] }),
            1 => content["m.mentions"] = json!({}),
            2 => content["m.mentions"] = json!({ "room": true }),
            _ => {}
        }
        let parent = (self.model.len() > 0).then(|| self.model.len() - 1 - step.back % self.model.len());
        let mut event_type = "m.room.message";
        if let Some(parent) = parent {
            let event_id = self.model.event_id(parent).to_owned();
            let relate = |rel_type: &str, event_id: &str| json!({ "rel_type": rel_type, "event_id": event_id });
            match step.detail / 96 {
                0..=2 if self.model.can_start_a_thread(parent) => {
                    content["m.relates_to"] = relate("m.thread", &event_id);
                }
                0..=2 => {
                    if let Some(root) = self.model.thread(parent).map(str::to_owned) {
                        content["m.relates_to"] = relate("m.thread", &root);
                    }
                }
                3 => content["m.relates_to"] = relate("m.replace", &event_id),
                4 => content["m.relates_to"] = relate("m.reference", &event_id),
                5 => {
                    event_type = "m.reaction";
                    content = json!({ "m.relates_to": relate("m.annotation", &event_id) });
                }
                6 => event_type = "m.room.encrypted",
                7 => event_type = "org.example.other",
                _ => {}
            }
        }
        self.send(who, event_type, None, content).await;
    }

    async fn read(&mut self, step: Step) {
        let Step { who, back, detail, .. } = step;
        let joined = self.model.users[who].joined.unwrap();
        if self.model.len() <= joined {
            return;
        }
        let pick = |back: usize| self.model.len() - 1 - back % (self.model.len() - joined);
        let thread = |at: usize, detail: u64| match detail % 3 {
            0 => None,
            1 => Some("main".to_owned()),
            _ => Some(self.model.thread(at).unwrap_or("main").to_owned()),
        };
        // Mostly near the end.
        let (first, second) = (pick(if detail % 2 == 0 { 0 } else { back }), pick(back / 2));
        let mut wanted = vec![(first, thread(first, detail / 2), detail / 6 % 3 == 0)];
        if detail % 7 == 0 {
            let other = (second, thread(second, detail / 3), !wanted[0].2);
            wanted.push(other);
        }
        let mut marks = Marks::default();
        for (at, thread, private) in &wanted {
            let event_id = OwnedEventId::try_from(self.model.event_id(*at)).unwrap();
            let mark = Some(ReceiptMark { event_id, thread: thread.clone() });
            if *private { marks.private = mark } else { marks.read = mark }
        }
        // An event of a thread is none of the main timeline.
        if self.server.mark_read(&self.users[who], &self.room, &marks).await.is_ok() {
            for (at, thread, _) in wanted {
                self.model.read(who, thread.as_deref(), at);
            }
        }
    }

    async fn redact(&mut self, step: Step) {
        let len = self.model.len();
        let at = len - 1 - step.back % len;
        let event_id = OwnedEventId::try_from(self.model.event_id(at)).unwrap();
        // It would take levels away.
        if self.model.event_type(at) == "m.room.power_levels" {
            return;
        }
        self.txn += 1;
        let txn = OwnedTransactionId::from(format!("t{}", self.txn));
        let redacted = self.server.redact(&self.users[step.who], &self.room, &event_id, None, txn).await;
        let Ok(redaction) = redacted else { return };
        if !self.model.is_redacted(at) {
            self.model.redact(at);
        }
        self.told(step.who, redaction, "m.room.redaction", None, json!({ "redacts": event_id })).await;
    }

    async fn change_rules(&mut self, step: Step) {
        let user = self.users[step.who].clone();
        let mut rules = serde_json::to_value(&self.model.users[step.who].next.0).unwrap();
        let insert = |rules: &mut Value, kind: &str, rule: Value| {
            if rules[kind].is_null() {
                rules[kind] = json!([]);
            }
            let list = rules[kind].as_array_mut().unwrap();
            list.retain(|other| other["rule_id"] != rule["rule_id"]);
            // Nothing stands above the master rule.
            list.insert(usize::from(kind == "override"), rule);
        };
        let rule =
            |id: &str, actions: Value| json!({ "rule_id": id, "actions": actions, "default": false, "enabled": true });
        let set = |rules: &mut Value, kind: &str, id: &str, field: &str, value: Value| {
            for rule in rules[kind].as_array_mut().unwrap() {
                if rule["rule_id"] == id {
                    rule[field] = value.clone();
                }
            }
        };
        let highlight = json!(["notify", { "set_tweak": "highlight" }]);
        let with = |mut rule: Value, field: &str, value: Value| {
            rule[field] = value;
            rule
        };
        let condition = |key: &str, pattern: &str| json!([{ "kind": "event_match", "key": key, "pattern": pattern }]);
        let (room, other) = (self.room.to_string(), self.users[step.other].user_id.to_string());
        match step.detail % 16 {
            0 => {
                let mute = with(rule(&room, json!([])), "conditions", condition("room_id", &room));
                insert(&mut rules, "override", mute);
            }
            1 => insert(&mut rules, "room", rule(&room, json!([]))),
            2 => insert(&mut rules, "room", rule(&room, highlight)),
            3 => insert(&mut rules, "content", with(rule("sepsis", highlight), "pattern", "sepsis".into())),
            4 => insert(&mut rules, "content", with(rule("blood", highlight), "pattern", "blo?d*g".into())),
            5 => insert(&mut rules, "sender", rule(&other, json!([]))),
            6 => insert(&mut rules, "sender", rule(&other, highlight)),
            7 => set(&mut rules, "override", ".m.rule.master", "enabled", true.into()),
            8 => set(&mut rules, "underride", ".m.rule.message", "enabled", false.into()),
            9 => set(&mut rules, "override", ".m.rule.is_user_mention", "actions", json!(["notify"])),
            10 => set(&mut rules, "override", ".m.rule.suppress_notices", "enabled", false.into()),
            11 => {
                let own = rule("other", json!(["notify"]));
                insert(&mut rules, "override", with(own, "conditions", condition("type", "org.example.*")));
            }
            12 => set(&mut rules, "content", ".m.rule.contains_user_name", "enabled", false.into()),
            13 => {
                let joins = with(rule("joins", json!(["notify"])), "conditions", condition("type", "m.room.member"));
                insert(&mut rules, "override", joins);
            }
            14 => {
                let both = json!([{ "kind": "room_member_count", "is": ">2" },
                    { "kind": "event_match", "key": "content.body", "pattern": "special" }]);
                insert(&mut rules, "underride", with(rule("crowd", highlight), "conditions", both));
            }
            _ => rules = serde_json::to_value(default_rules(&user.user_id)).unwrap(),
        }
        let rules: Ruleset = serde_json::from_value(rules).unwrap();
        self.server.change_rules(&user, &rules).await;
        self.model.users[step.who].next.0 = rules;
        // Now and then only the next change comes to the room, or the next join.
        if !(step.detail / 16).is_multiple_of(4) {
            self.follow(step.who).await;
        }
    }

    async fn follow(&mut self, who: usize) {
        self.server.refresh(&self.users[who]).await;
        self.model.follow(who);
    }

    async fn take(&mut self, step: Step) {
        let who = step.who;
        match step.kind {
            0..50 if self.is_in(who) => self.say(step).await,
            50..70 if self.is_in(who) => self.read(step).await,
            70..76 if self.is_in(who) && self.model.len() > 0 => self.redact(step).await,
            76..86 => self.change_rules(step).await,
            86..90 if who != step.other => {
                let ignored: Vec<usize> = if step.detail.is_multiple_of(3) { Vec::new() } else { vec![step.other] };
                let whom: Vec<&Session> = ignored.iter().map(|other| &self.users[*other]).collect();
                self.server.change_ignored(&self.users[who], &whom).await;
                self.model.users[who].next.1 = ignored.into_iter().collect();
                if !step.detail.is_multiple_of(4) {
                    self.follow(who).await;
                }
            }
            86..90 => self.follow(who).await,
            90..95 if who != 0 && self.is_in(who) => self.leave(who).await,
            90..95 if !self.is_in(who) => self.join(who).await,
            95..98 if self.is_in(who) => {
                let name = ["Ward Sister", "Dr. No?", "special", "x"][step.back % 4];
                self.model.users[who].name = Some(name.to_owned());
                let content = json!({ "membership": "join", "displayname": name, "n": step.detail });
                let state_key = self.users[who].user_id.to_string();
                self.send(who, "m.room.member", Some(&state_key), content).await;
            }
            98.. => {
                let level = [0, 50, 100][step.back % 3];
                self.model.room_level = level;
                let users = json!({ self.users[0].user_id.as_str(): 100 });
                let content = json!({ "users": users, "notifications": { "room": level }, "n": step.detail });
                self.send(0, "m.room.power_levels", Some(""), content).await;
            }
            _ => {}
        }
    }

    /// What is wrong now.
    async fn check(&mut self) -> Result<(), String> {
        let upto = self.server.store.caught_up().await.unwrap();
        for who in 0..USERS {
            for threads in [false, true] {
                if !self.is_in(who) {
                    continue;
                }
                let expected = self.model.unread(who, threads);
                let user = self.users[who].user;
                let counted = self.server.push.unread(self.short, user, upto, threads).await.unwrap();
                let counted = counted.map(|unread| unread.counts);
                if counted.as_ref() != Some(&expected) {
                    return Err(format!("user {who}, threads {threads}: counted {counted:?}, expected {expected:?}"));
                }
                self.then.push(Then { upto, who, threads, counts: expected });
            }
        }
        Ok(())
    }

    /// As of earlier positions, of stays that have not ended.
    async fn check_then(&self) -> Result<(), String> {
        for Then { upto, who, threads, counts } in self.then.iter().filter(|then| self.is_in(then.who)) {
            let user = self.users[*who].user;
            let counted = self.server.push.unread(self.short, user, *upto, *threads).await.unwrap();
            let counted = counted.map(|unread| unread.counts);
            if counted.as_ref().is_some_and(|counted| counted != counts) {
                return Err(format!("user {who}, threads {threads} as of {upto:?}: {counted:?}, was {counts:?}"));
            }
        }
        Ok(())
    }
}

async fn run(server: &Server, number: u64, steps: &[Step]) -> Result<(), String> {
    let mut history = History::new(server, number).await;
    for (at, step) in steps.iter().enumerate() {
        history.take(*step).await;
        if at % 2 == 0 && at + 1 < steps.len() {
            continue;
        }
        // What stands above a position is not in what was so at it.
        history.check_then().await.map_err(|wrong| format!("after step {at}: {wrong}"))?;
        let recent = history.then.len().saturating_sub(2 * USERS);
        history.then.drain(..recent);
        history.check().await.map_err(|wrong| format!("after step {at}: {wrong}"))?;
    }
    Ok(())
}

/// The fewest of `steps` that still go wrong.
async fn shrunk(mut steps: Vec<Step>) -> (Vec<Step>, String) {
    let mut wrong = String::new();
    let (mut at, mut number) = (steps.len(), 0);
    while at > 0 {
        at -= 1;
        let mut fewer = steps.clone();
        fewer.remove(at);
        number += 1;
        if let Err(still) = run(&server(1).await, number, &fewer).await {
            (steps, wrong) = (fewer, still);
        }
    }
    (steps, wrong)
}

async fn histories(from: u64, to: u64) -> Result<(), String> {
    let mut seed = from;
    while seed < to {
        let server = server(seed + 1).await;
        for _ in 0..OF_ONE_SERVER {
            if seed == to {
                break;
            }
            let steps = steps(seed);
            if let Err(first) = run(&server, seed, &steps).await {
                let (fewest, wrong) = shrunk(steps).await;
                let mut told = format!("history {seed}: {first}\nthe fewest steps: {wrong}\n");
                for step in &fewest {
                    writeln!(told, "  {step:?}").unwrap();
                }
                return Err(told);
            }
            seed += 1;
        }
        server.store.close().await;
    }
    Ok(())
}

#[tokio::test]
async fn random_histories_are_counted_as_by_a_naive_counter() {
    if let Err(told) = histories(0, HISTORIES / 2).await {
        panic!("{told}");
    }
}

#[tokio::test]
async fn more_random_histories_are_counted_as_by_a_naive_counter() {
    if let Err(told) = histories(HISTORIES / 2, HISTORIES).await {
        panic!("{told}");
    }
}
