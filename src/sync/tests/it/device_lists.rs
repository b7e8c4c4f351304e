//! Device lists against a client that keeps them: after each answer it has the newest devices of exactly those who share a room with it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::Ordering,
};

use ruma::OwnedRoomId;
use serde_json::json;
use wardstead_accounts::Session;
use wardstead_e2ee::DeviceListLog;
use wardstead_engine::{Batch, counting::Reading};
use wardstead_limits::{Rng, SeededRng};
use wardstead_rooms::Membership;
use wardstead_sync::SyncRequest;

use crate::support::{Answer, Server, seeded, server};

const CASES: u64 = 60;
const STEPS: usize = 60;
const USERS: [&str; 5] = ["anna", "ben", "cora", "dan", "eve"];

impl Server {
    /// The devices of `user` change.
    async fn change_devices(&self, user: &Session) {
        let mut batch = Batch::new();
        DeviceListLog::new(self.store.clone()).change(&mut batch, user.user).await.unwrap();
        self.store.commit(batch).await.unwrap();
    }
}

/// Users that an answer names, by their number.
fn named(answer: &Answer, list: &str, users: &[Session]) -> BTreeSet<usize> {
    let named = answer.0["device_lists"][list].as_array().into_iter().flatten();
    named.map(|id| users.iter().position(|user| *id == user.user_id.as_str()).unwrap()).collect()
}

/// What is so.
struct Truth {
    rooms: Vec<(OwnedRoomId, BTreeSet<usize>)>,
    /// How often the devices of each user have changed.
    versions: Vec<u64>,
}

impl Truth {
    /// Whoever shares a room with `user`, and they themselves.
    fn company(&self, user: usize) -> BTreeSet<usize> {
        let shared = self.rooms.iter().filter(|(_, members)| members.contains(&user));
        shared.flat_map(|(_, members)| members.iter().copied()).chain([user]).collect()
    }

    /// Something happens.
    async fn act(&mut self, server: &Server, users: &[Session], rng: &SeededRng) -> String {
        let below = |n: usize| usize::try_from(rng.next_u64() % n as u64).unwrap();
        let (user, act) = (below(users.len()), below(8));
        if act == 0 {
            server.change_devices(&users[user]).await;
            self.versions[user] += 1;
            return format!("{} has other devices", USERS[user]);
        }
        let number = below(self.rooms.len());
        let (room, members) = &mut self.rooms[number];
        let (by, membership) = match act {
            1..4 => (user, Membership::Join),
            4..6 => (user, Membership::Leave),
            6 => (0, Membership::Leave),
            _ => (0, if below(2) == 0 { Membership::Ban } else { Membership::Leave }),
        };
        let done = server.rooms.set_membership(&users[by], room, &users[user].user_id, membership, None).await;
        if done.is_err() {
            return String::new();
        }
        if membership == Membership::Join {
            members.insert(user);
        } else {
            members.remove(&user);
        }
        let at = server.store.caught_up().await.unwrap();
        format!("{} of {} in room {number} at {at}", membership.name(), USERS[user])
    }
}

/// What a client has.
#[derive(Default)]
struct Client {
    answer: Option<Answer>,
    /// Whose devices it keeps, and as of when.
    known: BTreeMap<usize, u64>,
}

impl Client {
    /// It is given `answer`, and asks for the devices of who changed.
    fn take(&mut self, answer: Answer, user: usize, users: &[Session], truth: &Truth) {
        let mut changed = named(&answer, "changed", users);
        if self.answer.is_none() {
            changed = truth.company(user);
        }
        for left in named(&answer, "left", users) {
            self.known.remove(&left);
        }
        self.known.extend(changed.into_iter().map(|user| (user, truth.versions[user])));
        self.answer = Some(answer);
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_has_the_newest_devices_of_its_company() {
    for seed in 1..=CASES {
        let rng = SeededRng::new(seed);
        let one_in = |n: u64| rng.next_u64().is_multiple_of(n);
        let first = seeded(seed).await;
        let users = first.users(USERS).await;
        let mut truth = Truth { rooms: Vec::new(), versions: vec![0; users.len()] };
        for _ in 0..3 {
            truth.rooms.push((first.open_room(&users[0], "shared").await, [0].into()));
        }
        let mut clients: Vec<Client> = users.iter().map(|_| Client::default()).collect();
        let mut node = first.node(seed + 1_000).await;
        let mut history = Vec::new();
        for step in 0..STEPS {
            history.push(truth.act(&first, &users, &rng).await);
            if one_in(9) {
                history.push("restart".to_owned());
                node = first.node(seed + 2_000 + step as u64).await;
            }
            let number = usize::try_from(rng.next_u64() % users.len() as u64).unwrap();
            let (user, client) = (&users[number], &mut clients[number]);
            if one_in(2) {
                continue;
            }
            let since = client.answer.as_ref().map(Answer::next);
            // A token may stand anywhere, also between the entries of one commit.
            let newest = first.store.caught_up().await.unwrap().0;
            let behind = if since.is_some() && one_in(4) { rng.next_u64() % 6 } else { 0 };
            node.horizon.store(newest.saturating_sub(behind).max(node.store.position().0), Ordering::SeqCst);
            let answer = node.ask(user, SyncRequest { since, ..SyncRequest::default() }).await.unwrap();
            let at = node.store.position().0;
            node.horizon.store(u64::MAX, Ordering::SeqCst);
            history.push(format!("{} at {at} of {newest}: {:?}", USERS[number], answer.0["device_lists"]));
            if one_in(4) {
                history.push("lost".to_owned());
                // It is lost.
                continue;
            }
            client.take(answer, number, &users, &truth);
            if at < newest {
                // What it has been told is not all that is so.
                continue;
            }
            let company = truth.company(number);
            let has: BTreeSet<usize> = client.known.keys().copied().collect();
            assert_eq!(has, company, "seed {seed}, step {step}: {}\n{}", USERS[number], history.join("\n"));
            let stale = client.known.iter().find(|(user, version)| truth.versions[**user] != **version);
            assert_eq!(stale, None, "seed {seed}, step {step}: {}", USERS[number]);
        }
    }
}

/// Over any two tokens, on any node, `keys/changes` tells what the answers told.
#[tokio::test(start_paused = true)]
async fn the_changes_between_two_tokens_are_those_of_the_answers() {
    let server = server().await;
    let [anna, ben, cora] = server.users(["anna", "ben", "cora"]).await;
    let (one, two) = (server.open_room(&anna, "shared").await, server.open_room(&anna, "shared").await);
    let mut answers = vec![server.sync(&anna, None).await];
    server.join(&ben, &one).await;
    answers.push(server.sync(&anna, answers.last()).await);
    server.join(&cora, &two).await;
    server.change_devices(&ben).await;
    answers.push(server.sync(&anna, answers.last()).await);
    server.leave(&ben, &one).await;
    server.change_devices(&ben).await;
    answers.push(server.sync(&anna, answers.last()).await);
    let node = server.node(2).await;
    for at in [&server, &node] {
        for pair in answers.windows(2) {
            let lists = at.syncer.key_changes(&anna, &pair[0].next(), &pair[1].next()).await.unwrap();
            let told = json!(lists);
            let expected =
                if pair[1].0["device_lists"].is_null() { json!({}) } else { pair[1].0["device_lists"].clone() };
            assert_eq!(told, expected);
        }
        let all = at.syncer.key_changes(&anna, &answers[0].next(), &answers[3].next()).await.unwrap();
        assert_eq!(json!(all), json!({ "changed": ["@cora:example.org"], "left": ["@ben:example.org"] }));
    }
}

/// Another device of somebody wakes whoever shares a room with them, and nobody else; to others it costs no read.
#[tokio::test(start_paused = true)]
async fn a_change_wakes_who_shares_a_room() {
    let server = server().await;
    let [anna, ben, cora] = server.users(["anna", "ben", "cora"]).await;
    server.room(&[&anna, &ben]).await;
    let (anna_has, cora_has) = (server.sync(&anna, None).await, server.sync(&cora, None).await);
    let waiting = |by: &Session, since: &Answer| {
        let (server, by, since) = (server.clone(), by.clone(), since.next());
        let request = SyncRequest { since: Some(since), timeout_ms: 30_000, ..SyncRequest::default() };
        tokio::spawn(async move { server.ask(&by, request).await.unwrap() })
    };
    let (annas, coras) = (waiting(&anna, &anna_has), waiting(&cora, &cora_has));
    server.settle().await;
    let start = crate::nodes::moment();
    server.change_devices(&ben).await;
    let told = annas.await.unwrap();
    assert_eq!(told.0["device_lists"], json!({ "changed": ["@ben:example.org"] }));
    assert_eq!(crate::nodes::moment(), start);
    let (nothing, cost) = server.reads(coras).await;
    assert!(nothing.unwrap().is_empty());
    assert!(crate::nodes::moment() > start, "after the whole time");
    assert!(cost.keys <= 2 && cost.scans <= 2, "{cost:?}: which rooms the two are in, once");
    let (_, cost) = server.reads(server.sync(&anna, Some(&told))).await;
    assert_eq!(cost, Reading::default());
}

/// Who comes into a forum writes as much as who comes into a ward, and is told to all.
#[tokio::test(start_paused = true)]
async fn coming_into_a_large_room_writes_the_same() {
    let mut written = Vec::new();
    for members in [2, 40] {
        let server = server().await;
        let [anna, ben] = server.users(["anna", "ben"]).await;
        let room = server.open_room(&anna, "shared").await;
        for number in 2..members {
            let user = server.user(&format!("user{number}")).await;
            server.join(&user, &room).await;
        }
        let before = server.sync(&ben, None).await;
        let rows = server.engine.rows().len();
        server.join(&ben, &room).await;
        written.push(server.engine.rows().len() - rows);
        let told = server.sync(&ben, Some(&before)).await;
        assert_eq!(told.0["device_lists"]["changed"].as_array().unwrap().len(), members);
    }
    assert_eq!(written[0], written[1]);
}
