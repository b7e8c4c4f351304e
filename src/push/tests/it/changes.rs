//! Changes of rules, and of whom a user ignores, that are cut off, and that come at once.

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use ruma::{
    OwnedRoomId,
    push::{Action, NewPatternedPushRule, NewPushRule, RuleKind, Ruleset},
};
use serde_json::{Value, json};
use wardstead_accounts::Session;
use wardstead_engine::{
    Batch, Engine,
    faulty::{Crash, FaultyEngine},
};
use wardstead_engine_memory::MemoryEngine;
use wardstead_limits::{ManualClock, push as push_limits, store as limits};
use wardstead_push::{Place, default_rules};
use wardstead_rooms::Membership;
use wardstead_store::testing;

use crate::support::{Server, over, server};

/// What [`probe`] comes to by the rules of everybody, by [`words`], by nobody's.
const EVERYBODYS: (u64, u64) = (4, 2);
const WORDS: (u64, u64) = (1, 1);
const NOTHING: (u64, u64) = (0, 0);

fn changed(user: &Session, change: impl FnOnce(&mut Value)) -> Ruleset {
    let mut rules = serde_json::to_value(default_rules(&user.user_id)).unwrap();
    change(&mut rules);
    serde_json::from_value(rules).unwrap()
}

fn switch(rules: &mut Value, kind: &str, id: &str, enabled: bool) {
    let rule = rules[kind].as_array_mut().unwrap().iter_mut().find(|rule| rule["rule_id"] == id).unwrap();
    rule["enabled"] = enabled.into();
}

/// Nothing but a word notifies, neither a message nor the user's name.
fn words(user: &Session) -> Ruleset {
    changed(user, |rules| {
        switch(rules, "underride", ".m.rule.message", false);
        switch(rules, "underride", ".m.rule.room_one_to_one", false);
        let word = json!({ "rule_id": "sepsis", "pattern": "sepsis", "default": false, "enabled": true,
            "actions": ["notify", { "set_tweak": "highlight" }] });
        switch(rules, "content", ".m.rule.contains_user_name", false);
        rules["content"].as_array_mut().unwrap().insert(0, word);
    })
}

fn muted(user: &Session) -> Ruleset {
    changed(user, |rules| switch(rules, "override", ".m.rule.master", true))
}

/// What `to` is told of four messages. By some rules of before and some new ones it would come to something else.
async fn probe(server: &Server, by: &Session, to: &Session, room: &OwnedRoomId) -> (u64, u64) {
    let before = server.counts(to, room).await;
    for body in ["hello", "hello bert", "bert?", "sepsis"] {
        server.say(by, room, body).await;
    }
    let after = server.counts(to, room).await;
    (after.0 - before.0, after.1 - before.1)
}

/// A process, with its own runtime, which ends with it.
fn process<T>(act: impl AsyncFnOnce() -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(act())
}

/// What is stored in a table of push.
fn rows(engine: &MemoryEngine, table: u16) -> usize {
    engine.rows().keys().filter(|key| key.table().stored() & 0xfff == table).count()
}

const CONTENTS: u16 = 0x0e8;
const CHANGES: u16 = 0x0e9;

/// Lets the queue come to its end.
async fn work(server: &Server, engine: &MemoryEngine) {
    server.push.run_changes(&server.rooms);
    let mut waited_ms = 0;
    while rows(engine, CHANGES) > 0 {
        server.clock.advance_ms(100);
        tokio::time::sleep(Duration::from_millis(100)).await;
        waited_ms += 100;
        assert!(waited_ms < 4 * limits::LEASE_TTL_MS, "nobody finishes the change");
    }
}

struct Scene {
    engine: Arc<MemoryEngine>,
    clock: ManualClock,
    anna: Session,
    bert: Session,
    rooms: Vec<OwnedRoomId>,
}

impl Scene {
    fn new(rooms: usize) -> Self {
        let (engine, clock) = testing::engine();
        let (anna, bert, rooms) = process(async || {
            let server = over(Arc::clone(&engine) as _, clock.clone(), 1).await;
            let (anna, bert, carl) = (server.user("anna").await, server.user("bert").await, server.user("carl").await);
            let mut made = Vec::new();
            for _ in 0..rooms {
                made.push(server.room(&[&anna, &bert, &carl]).await);
            }
            server.store.close().await;
            (anna, bert, made)
        });
        Self { engine, clock, anna, bert, rooms }
    }

    async fn node(&self, seed: u64) -> Server {
        over(Arc::clone(&self.engine) as _, self.clock.clone(), seed).await
    }

    async fn probes(&self, server: &Server) -> Vec<(u64, u64)> {
        join_all(self.rooms.iter().map(|room| probe(server, &self.anna, &self.bert, room))).await
    }

    /// What the rules that are valid come to.
    async fn valid(&self, server: &Server) -> (u64, u64) {
        if server.accounts.ignored_by(self.bert.user, &self.bert.user_id).await.unwrap().contains(&self.anna.user_id) {
            return NOTHING;
        }
        let (rules, _) = server.push.rules(self.bert.user, &self.bert.user_id).await.unwrap();
        let json = |rules: &Ruleset| serde_json::to_value(rules).unwrap();
        if json(&rules) == json(&words(&self.bert)) { WORDS } else { EVERYBODYS }
    }

    /// Changes the rules, and then whom bert ignores, in a process that dies at its `n`-th write. `false`: it came to the end before.
    fn change_and_die(&self, n: u64, moment: Crash) -> bool {
        process(async || {
            let (faulty, _, crash) = FaultyEngine::new(Arc::clone(&self.engine) as Arc<dyn Engine>);
            let server = over(Arc::new(faulty), self.clock.clone(), 100 + n).await;
            crash.crash_at(n, moment);
            tokio::select! {
                biased;
                () = crash.crashed() => true,
                () = async {
                    server.set_rules(&self.bert, &words(&self.bert)).await;
                    server.ignore(&self.bert, &[&self.anna]).await;
                } => false,
            }
        })
    }
}

#[test]
fn a_change_that_is_cut_off_at_any_write_is_brought_to_its_end() {
    // One more than follow at once, so that a process dies between two rooms.
    const ROOMS: usize = push_limits::SWITCH_ROOMS_AT_ONCE + 1;
    let (mut none, mut some) = (0, 0);
    for moment in [Crash::Before, Crash::After] {
        for n in 1.. {
            let scene = Scene::new(ROOMS);
            let died = scene.change_and_die(n, moment);
            let told = format!("died at write {n}, {moment:?}");
            process(async || {
                let server = scene.node(1_000 + n).await;
                let valid = scene.valid(&server).await;
                let now = scene.probes(&server).await;
                let before = [EVERYBODYS, WORDS, NOTHING].into_iter().take_while(|of| *of != valid).last();
                assert!(now.iter().all(|of| *of == valid || Some(*of) == before), "{told}: {now:?}, valid: {valid:?}");
                let followed = now.iter().filter(|of| **of == valid).count();
                none += usize::from(followed == 0);
                some += usize::from((1..ROOMS).contains(&followed));
                work(&server, &scene.engine).await;
                assert_eq!(scene.probes(&server).await, [valid; ROOMS], "{told}");
                server.store.close().await;
            });
            process(async || {
                let server = scene.node(2_000 + n).await;
                let valid = scene.valid(&server).await;
                assert_eq!(scene.probes(&server).await, [valid; ROOMS], "{told}, on a third node");
                let left = [(EVERYBODYS, 0), (WORDS, 1), (NOTHING, 2)].into_iter().find(|(of, _)| *of == valid);
                assert_eq!(Some(rows(&scene.engine, CONTENTS)), left.map(|(_, left)| left), "{told}");
            });
            if !died {
                break;
            }
        }
    }
    assert!(none >= 4 && some >= 4, "{none} times no room had followed yet, {some} times some");
}

#[test]
fn a_change_during_a_change_is_right_in_the_end() {
    let scene = Scene::new(4);
    process(async || {
        let server = scene.node(2).await;
        server.change_rules(&scene.bert, &muted(&scene.bert)).await;
        // Who comes while it is under way comes with what is valid.
        server.become_(&scene.bert, &scene.rooms[0], Membership::Leave).await;
        server.become_(&scene.bert, &scene.rooms[0], Membership::Join).await;
        assert_eq!(scene.probes(&server).await, [NOTHING, EVERYBODYS, EVERYBODYS, EVERYBODYS]);
        server.change_rules(&scene.bert, &words(&scene.bert)).await;
        // On a node with nothing in memory, each counts by its own.
        let other = scene.node(3).await;
        assert_eq!(scene.probes(&other).await, [NOTHING, EVERYBODYS, EVERYBODYS, EVERYBODYS]);
        // Both nodes work, and somebody changes them once more meanwhile.
        other.push.run_changes(&other.rooms);
        let (one, two) = (muted(&scene.bert), words(&scene.bert));
        tokio::join!(server.set_rules(&scene.bert, &one), other.refresh(&scene.bert), scene.probes(&server));
        tokio::join!(server.set_rules(&scene.bert, &two), other.refresh(&scene.bert), scene.probes(&other));
        work(&server, &scene.engine).await;
        assert_eq!(scene.probes(&server).await, [WORDS; 4]);
        assert_eq!(scene.probes(&other).await, [WORDS; 4]);
        assert_eq!(rows(&scene.engine, CONTENTS), 1, "what no room counts by is not kept");
    });
}

#[tokio::test]
async fn who_takes_a_change_back_is_like_everybody_again() {
    let server = server(5).await;
    let (anna, bert) = (server.user("anna").await, server.user("bert").await);
    let room = server.room(&[&anna, &bert]).await;
    server.set_rules(&bert, &words(&bert)).await;
    assert_eq!(probe(&server, &anna, &bert, &room).await, WORDS);
    let (_, at) = server.push.rules(bert.user, &bert.user_id).await.unwrap();
    server.ignore(&bert, &[&anna]).await;
    assert_eq!(server.push.rules_changed(bert.user).await.unwrap(), at, "whom one ignores is no push rule");
    server.ignore(&bert, &[]).await;
    server.set_rules(&bert, &default_rules(&bert.user_id)).await;
    assert!(server.push.rules_changed(bert.user).await.unwrap() > at);
    let before = server.counter.evaluations();
    let content = json!({ "msgtype": "m.text", "body": "hello", "m.mentions": {} });
    server.event(&anna, &room, "m.room.message", None, &content).await.unwrap();
    let after = server.counter.evaluations();
    assert_eq!((after.0 - before.0, after.1 - before.1), (1, 0), "one class, nobody looked at alone");
}

#[tokio::test]
async fn of_an_account_that_ended_no_rules_are_kept() {
    let (engine, clock) = testing::engine();
    let server = over(Arc::clone(&engine) as _, clock, 6).await;
    let (anna, bert) = (server.user("anna").await, server.user("bert").await);
    let room = server.room(&[&anna, &bert]).await;
    server.set_rules(&bert, &words(&bert)).await;
    server.ignore(&bert, &[&anna]).await;
    assert_eq!((rows(&engine, 0x0e5), rows(&engine, CONTENTS)), (1, 2));
    server.accounts.deactivate(&bert.user_id, true, &Batch::new()).await.unwrap();
    assert_eq!((rows(&engine, 0x0e5), rows(&engine, CONTENTS)), (0, 0));
    // Before it has left its rooms, on a node that has to look.
    let other = over(Arc::clone(&engine) as _, server.clock.clone(), 7).await;
    other.say(&anna, &room, "hello bert").await;
    assert_eq!(other.counts(&bert, &room).await.1, 1, "by the rules of everybody");
}

/// Two devices, each on a node of its own, change different rules at the same time, again and again: none is lost.
#[tokio::test]
async fn what_two_devices_change_at_once_on_two_nodes_is_all_there() {
    let (engine, clock) = testing::engine();
    let one = over(Arc::clone(&engine) as _, clock.clone(), 8).await;
    let two = over(Arc::clone(&engine) as _, clock, 9).await;
    let (anna, bert) = (one.user("anna").await, one.user("bert").await);
    let room = one.room(&[&anna, &bert]).await;
    let word = |word: String| NewPushRule::Content(NewPatternedPushRule::new(word.clone(), word, vec![Action::Notify]));
    for round in 0..10 {
        let put = async |node: &Server, name: &str| {
            let (rule, place) = (word(format!("{name}{round}")), Place::default());
            node.push.put_rule(&node.rooms, bert.user, &bert.user_id, &rule, &place).await.unwrap();
        };
        let switch = async |node: &Server, rule: &str| {
            let rule = (&RuleKind::Underride, rule);
            node.push.enable_rule(&node.rooms, bert.user, &bert.user_id, rule, round % 2 == 0).await.unwrap();
        };
        tokio::join!(put(&one, "one"), put(&two, "two"), switch(&one, ".m.rule.message"), switch(&two, ".m.rule.call"));
        let (rules, _) = two.push.rules(bert.user, &bert.user_id).await.unwrap();
        let own = rules.content.iter().filter(|rule| !rule.default).count();
        assert_eq!(own, 2 * (round + 1), "{rules:?}");
        for rule in [".m.rule.message", ".m.rule.call"] {
            assert_eq!(rules.get(RuleKind::Underride, rule).unwrap().enabled(), round % 2 == 0, "{rule}");
        }
    }
    one.say(&anna, &room, "two3").await;
    assert_eq!(two.counts(&bert, &room).await, (1, 0), "both nodes count by them");
}

/// Rules that the server got after a user had changed some are the user's, too; what was changed stays so.
#[tokio::test]
async fn rules_of_a_later_version_are_had_by_who_changed_some_before() {
    let server = server(10).await;
    let bert = server.user("bert").await;
    let before = changed(&bert, |rules| {
        switch(rules, "override", ".m.rule.reaction", false);
        let polls = |rule: &Value| !rule["rule_id"].as_str().unwrap().contains("poll");
        rules["underride"].as_array_mut().unwrap().retain(polls);
    });
    server.set_rules(&bert, &before).await;
    let (rules, _) = server.push.rules(bert.user, &bert.user_id).await.unwrap();
    assert!(!rules.get(RuleKind::Override, ".m.rule.reaction").unwrap().enabled());
    assert_eq!(rules.underride.len(), default_rules(&bert.user_id).underride.len());
}
