//! Who is there, on one node and on two.

use std::{collections::BTreeSet, time::Duration};

use serde_json::{Value, json};
use wardstead_accounts::{PresenceState, Session};
use wardstead_limits::ephemeral as limits;
use wardstead_sync::SyncRequest;

use crate::{
    nodes::{Client, moment, nodes, pass},
    support::{Answer, Server},
};

const LATE: Option<Duration> = Some(Duration::from_millis(20));
const ANNA: &str = "@anna:example.org";

/// A sync that shows its user.
async fn shows(node: &Server, by: &Session, since: Option<String>, timeout_ms: u64, state: PresenceState) -> Answer {
    let request = SyncRequest { since, timeout_ms, set_presence: state, ..SyncRequest::default() };
    node.ask(by, request).await.unwrap()
}

/// Syncs for `ms` milliseconds at each of `nodes` in turn.
async fn stays(nodes: &[Server], by: &Session, ms: u64) {
    let end = moment() + Duration::from_millis(ms);
    let mut since = None;
    for node in nodes.iter().cycle() {
        let sync = shows(node, by, since.clone(), 30_000, PresenceState::Online);
        match tokio::time::timeout_at(end, sync).await {
            Ok(answer) => since = Some(answer.next()),
            Err(_) => return,
        }
    }
}

async fn two_nodes() -> (Vec<Server>, Session, Session) {
    let nodes = nodes(2, LATE, true).await;
    let [anna, ben] = nodes[0].users(["anna", "ben"]).await;
    nodes[0].room(&[&anna, &ben]).await;
    nodes[0].settle().await;
    (nodes, anna, ben)
}

fn state(node: &Server, of: &Session) -> PresenceState {
    node.syncer.presence().of(of.user).map_or(PresenceState::Offline, |of| of.state)
}

/// Through both nodes: the client hears of each change once, wherever it asks, within a few seconds.
#[tokio::test(start_paused = true)]
async fn comes_and_goes_and_is_told_once() {
    let (nodes, anna, ben) = two_nodes().await;
    let mut client = Client::new(&ben, &nodes[0]).await;
    assert!(client.presence.is_empty());
    let there = {
        let (nodes, anna) = (nodes.clone(), anna.clone());
        tokio::spawn(async move { stays(&nodes, &anna, 130_000).await })
    };
    client.round_robin(&nodes, 9_000).await;
    assert_eq!(client.presence[ANNA], "online");
    assert!(nodes.iter().all(|node| state(node, &anna) == PresenceState::Online));
    client.round_robin(&nodes, 121_000).await;
    there.await.unwrap();
    assert_eq!((client.presence[ANNA].as_str(), client.told), ("online", 1), "told once");
    client.round_robin(&nodes, limits::PRESENCE_GONE_MS - 2_000).await;
    assert_eq!(client.told, 1, "the next sync may be on its way");
    client.round_robin(&nodes, 12_000).await;
    assert_eq!((client.presence[ANNA].as_str(), client.told), ("offline", 2));
    client.round_robin(&nodes, 200_000).await;
    assert_eq!(client.told, 2);
}

/// Other news take presence along; what they have taken is not told again by those that follow.
#[tokio::test(start_paused = true)]
async fn told_once_beside_other_news() {
    let (nodes, anna, ben) = two_nodes().await;
    let room = nodes[0].room(&[&anna, &ben]).await;
    nodes[0].settle().await;
    let mut client = Client::new(&ben, &nodes[0]).await;
    pass(3_300).await;
    nodes[0].syncer.presence().set(&anna, PresenceState::Unavailable, None);
    for turn in 0..16 {
        nodes[0].say(&anna, &room, "hello").await;
        pass(300).await;
        client.sync(&nodes[turn % 2], 30_000).await;
    }
    assert_eq!((client.presence[ANNA].as_str(), client.told), ("unavailable", 1));
}

/// A message does not wait for the presence of hundreds: they have an answer of their own, and none of them is left out.
#[tokio::test(start_paused = true)]
async fn many_are_told_after_the_message() {
    let (nodes, anna, ben) = two_nodes().await;
    let room = nodes[0].open_room(&anna, "shared").await;
    nodes[0].join(&ben, &room).await;
    let many = limits::PRESENCE_BESIDE_USERS + 1;
    let mut there = Vec::new();
    for number in 0..many {
        let user = nodes[0].user(&format!("nurse{number}")).await;
        nodes[0].join(&user, &room).await;
        there.push(user);
    }
    nodes[0].settle().await;
    let mut client = Client::new(&ben, &nodes[0]).await;
    pass(1_000).await;
    for user in &there {
        nodes[0].syncer.presence().set(user, PresenceState::Unavailable, None);
    }
    pass(9_000).await;
    nodes[0].say(&anna, &room, "come").await;
    let heard = client.sync(&nodes[0], 30_000).await.joined(&room).timeline().len();
    assert_eq!((heard, client.told), (1, 0), "the message alone");
    let rooms = client.sync(&nodes[1], 30_000).await.0["rooms"].clone();
    assert_eq!((rooms, client.told), (Value::Null, many), "then all of them, also by another node");
    nodes[0].say(&anna, &room, "come again").await;
    client.sync(&nodes[0], 30_000).await;
    assert_eq!(client.told, many, "once");
}

/// A client that never sees an answer without news of rooms is told presence all the same.
#[tokio::test(start_paused = true)]
async fn many_are_told_in_the_end() {
    let (nodes, anna, ben) = two_nodes().await;
    let room = nodes[0].open_room(&anna, "shared").await;
    nodes[0].join(&ben, &room).await;
    for number in 0..=limits::PRESENCE_BESIDE_USERS {
        let user = nodes[0].user(&format!("nurse{number}")).await;
        nodes[0].join(&user, &room).await;
        nodes[0].syncer.presence().set(&user, PresenceState::Unavailable, None);
    }
    nodes[0].settle().await;
    let mut client = Client::new(&ben, &nodes[0]).await;
    let before = client.told;
    // Long enough for those who are gone by then, too.
    for _ in 0..40 {
        pass(2_000).await;
        nodes[0].say(&anna, &room, "hello").await;
        client.sync(&nodes[0], 30_000).await;
    }
    assert_eq!((before, client.told), (0, limits::PRESENCE_BESIDE_USERS + 1));
}

/// However long before a client begins to wait something changes, it is told once every node has heard of it, and does not wait for
/// its timeout.
#[tokio::test(start_paused = true)]
async fn a_change_around_the_beginning_of_a_wait_is_told() {
    // At the next whole second it is settled, which is seen at the next tick.
    let soon = Duration::from_millis(limits::BUS_LATE_MS + 1_000 + limits::PRESENCE_TICK_MS);
    for (turn, before_ms) in (0..=limits::BUS_LATE_MS + 1_500).step_by(500).enumerate() {
        let (nodes, anna, ben) = two_nodes().await;
        let mut client = Client::new(&ben, &nodes[0]).await;
        // Changes are looked for up to whole seconds.
        pass(10_000).await;
        pass(1_000 - nodes[0].store.clock().now_ms() % 1_000).await;
        let changed = moment();
        nodes[0].syncer.presence().set(&anna, PresenceState::Unavailable, None);
        pass(before_ms).await;
        client.sync(&nodes[turn % 2], 30_000).await;
        let told = client.presence.get(ANNA).map(String::as_str);
        assert_eq!(told, Some("unavailable"), "{before_ms} ms before the wait");
        let after = moment() - changed;
        assert!(after <= soon.max(Duration::from_millis(before_ms)), "{before_ms} ms before the wait: {after:?}");
    }
}

/// Answers with only presence come some seconds apart, however many come and go.
#[tokio::test(start_paused = true)]
async fn a_coming_and_going_costs_few_answers() {
    let (nodes, anna, ben) = two_nodes().await;
    let mut client = Client::new(&ben, &nodes[0]).await;
    let fidget = {
        let (node, anna) = (nodes[0].clone(), anna.clone());
        tokio::spawn(async move {
            for turn in 0..10 {
                let state = if turn % 2 == 0 { PresenceState::Online } else { PresenceState::Unavailable };
                node.syncer.presence().set(&anna, state, None);
                pass(3_100).await;
            }
        })
    };
    let answers = client.round_robin(&nodes, 30_000).await;
    assert!((3..=6).contains(&answers.len()), "{}", answers.len());
    fidget.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn strangers_are_told_nothing() {
    let (nodes, anna, ben) = two_nodes().await;
    let cora = nodes[0].user("cora").await;
    nodes[0].room(&[&cora]).await;
    shows(&nodes[0], &anna, None, 0, PresenceState::Online).await;
    let mut stranger = Client::new(&cora, &nodes[0]).await;
    let mut oneself = Client::new(&anna, &nodes[0]).await;
    pass(8_000).await;
    assert!(stranger.sync(&nodes[0], 0).await.is_empty());
    assert!(oneself.sync(&nodes[0], 0).await.is_empty(), "of others, not of oneself");
    let answer = Client::new(&ben, &nodes[1]).await;
    assert_eq!(answer.presence[ANNA], "online", "an initial sync tells who is there");
    // No sooner does one share a room than one is told what changes.
    let room = nodes[0].open_room(&cora, "shared").await;
    nodes[0].join(&anna, &room).await;
    let mut stranger = Client::new(&cora, &nodes[0]).await;
    assert_eq!(stranger.presence[ANNA], "online");
    pass(40_000).await;
    stranger.sync(&nodes[0], 0).await;
    assert_eq!(stranger.presence[ANNA], "offline");
}

#[tokio::test(start_paused = true)]
async fn the_idle_are_unavailable() {
    let (nodes, anna, _) = two_nodes().await;
    let there = {
        let (nodes, anna) = (nodes.clone(), anna.clone());
        tokio::spawn(async move { stays(&nodes, &anna, 600_000).await })
    };
    pass(limits::PRESENCE_IDLE_MS - 1_000).await;
    assert!(nodes.iter().all(|node| state(node, &anna) == PresenceState::Online));
    pass(2_000).await;
    assert!(nodes.iter().all(|node| state(node, &anna) == PresenceState::Unavailable));
    nodes[1].syncer.presence().acted(&anna);
    pass(100).await;
    assert!(nodes.iter().all(|node| state(node, &anna) == PresenceState::Online));
    there.abort();
}

#[tokio::test(start_paused = true)]
async fn what_one_says_counts_until_the_next_sync() {
    let (nodes, anna, ben) = two_nodes().await;
    let presence = nodes[0].syncer.presence();
    let shown = |node: &Server| {
        let of = node.syncer.presence().of(anna.user).unwrap();
        (of.state, of.status)
    };
    presence.set(&anna, PresenceState::Unavailable, Some("in theatre".to_owned()));
    pass(100).await;
    let status = Some("in theatre".to_owned());
    assert!(nodes.iter().all(|node| shown(node) == (PresenceState::Unavailable, status.clone())));
    let mut client = Client::new(&ben, &nodes[1]).await;
    pass(6_000).await;
    let answer = client.sync(&nodes[1], 0).await;
    let content = &answer.0["presence"]["events"][0]["content"];
    assert_eq!(content["status_msg"], "in theatre");
    assert_eq!(content["currently_active"], false);
    assert!(content["last_active_ago"].as_u64().unwrap() >= 6_000);
    // A sync that leaves the presence alone, and one that does not.
    shows(&nodes[0], &anna, None, 0, PresenceState::Offline).await;
    assert_eq!(shown(&nodes[0]), (PresenceState::Unavailable, status.clone()));
    shows(&nodes[1], &anna, None, 0, PresenceState::Online).await;
    pass(100).await;
    assert_eq!(shown(&nodes[0]), (PresenceState::Online, status.clone()), "the message stays");
    presence.set(&anna, PresenceState::Offline, None);
    pass(100).await;
    assert!(nodes.iter().all(|node| shown(node) == (PresenceState::Offline, status.clone())));
    presence.set(&anna, PresenceState::Online, Some(String::new()));
    pass(100).await;
    assert!(nodes.iter().all(|node| shown(node) == (PresenceState::Online, None)));
    pass(limits::PRESENCE_GONE_MS + limits::PRESENCE_TICK_MS).await;
    assert!(nodes.iter().all(|node| shown(node) == (PresenceState::Offline, None)), "nobody syncs");
}

/// A node that starts later hears within a minute who is there, and what they say.
#[tokio::test(start_paused = true)]
async fn a_restarted_node_learns() {
    let (nodes, anna, _) = two_nodes().await;
    nodes[0].syncer.presence().set(&anna, PresenceState::Online, Some("on call".to_owned()));
    let there = {
        let (nodes, anna) = (nodes[..1].to_vec(), anna.clone());
        tokio::spawn(async move { stays(&nodes, &anna, 600_000).await })
    };
    pass(2_000).await;
    let later = nodes[0].beside(9).await;
    assert_eq!(state(&later, &anna), PresenceState::Offline);
    pass(limits::PRESENCE_VOUCHED_MS - limits::PRESENCE_RENEWED_MS).await;
    assert_eq!(state(&later, &anna), PresenceState::Online);
    assert_eq!(later.syncer.presence().of(anna.user).unwrap().status.as_deref(), Some("on call"));
    there.abort();
}

/// The node that vouched for somebody is gone: nobody says so, and they are offline all the same.
#[tokio::test(start_paused = true)]
async fn who_was_at_a_dead_node_is_offline() {
    let (mut nodes, anna, _) = two_nodes().await;
    let there = {
        let (nodes, anna) = (nodes[..1].to_vec(), anna.clone());
        tokio::spawn(async move { stays(&nodes, &anna, 600_000).await })
    };
    pass(100).await;
    assert_eq!(state(&nodes[1], &anna), PresenceState::Online);
    there.abort();
    drop(there.await);
    nodes.remove(0).store.close().await;
    pass(limits::PRESENCE_VOUCHED_MS).await;
    assert_eq!(state(&nodes[0], &anna), PresenceState::Offline);
}

#[tokio::test(start_paused = true)]
async fn filters_hide_presence() {
    let (nodes, anna, ben) = two_nodes().await;
    let since = nodes[0].sync(&ben, None).await;
    shows(&nodes[0], &anna, None, 0, PresenceState::Online).await;
    pass(10_000).await;
    for filter in [
        json!({ "presence": { "types": [] } }),
        json!({ "presence": { "not_types": ["m.presence"] } }),
        json!({ "presence": { "not_senders": [ANNA] } }),
        json!({ "presence": { "senders": ["@cora:example.org"] } }),
    ] {
        assert!(nodes[0].filtered(&ben, Some(&since), &filter).await.is_empty(), "{filter}");
    }
    assert_eq!(nodes[0].sync(&ben, Some(&since)).await.0["presence"]["events"][0]["sender"], ANNA);
}

#[tokio::test(start_paused = true)]
async fn switched_off_there_is_none() {
    let nodes = nodes(1, LATE, false).await;
    let [anna, ben] = nodes[0].users(["anna", "ben"]).await;
    nodes[0].room(&[&anna, &ben]).await;
    let since = nodes[0].sync(&ben, None).await;
    nodes[0].syncer.presence().set(&anna, PresenceState::Online, Some("here".to_owned()));
    shows(&nodes[0], &anna, None, 0, PresenceState::Online).await;
    pass(10_000).await;
    assert!(nodes[0].sync(&ben, Some(&since)).await.is_empty());
    assert!(nodes[0].syncer.presence().of(anna.user).is_none());
}

/// All come at once, as after a restart: each is told of those whom they share a room with, also who waits long after that, and of
/// nobody who has left meanwhile.
#[tokio::test(start_paused = true)]
async fn when_all_come_at_once_each_is_told_their_own() {
    const PEOPLE: usize = 24;
    let nodes = nodes(2, LATE, true).await;
    let mut people = Vec::new();
    for number in 0..PEOPLE {
        people.push(nodes[0].user(&format!("nurse{number}")).await);
    }
    let mut shared = vec![BTreeSet::new(); PEOPLE];
    let mut wards = Vec::new();
    // Each is in one to three rooms; the last three have nobody.
    for step in [1, 5, 7] {
        let ward: Vec<usize> = (0..PEOPLE - 3).filter(|number| number % step == 0).collect();
        for halves in ward.chunks(ward.len().div_ceil(3)) {
            let members: Vec<&Session> = halves.iter().map(|number| &people[*number]).collect();
            wards.push((nodes[0].room(&members).await, halves.to_vec()));
            for number in halves {
                shared[*number].extend(halves.iter().filter(|other| *other != number).copied());
            }
        }
    }
    nodes[0].settle().await;
    let mut clients = Vec::new();
    for user in &people {
        clients.push(Client::new(user, &nodes[0]).await);
    }
    pass(1_000).await;
    for user in &people {
        nodes[0].syncer.presence().set(user, PresenceState::Unavailable, None);
    }
    pass(4_000).await;
    // Nurse 0 leaves all rooms, after the presence was looked at by somebody.
    clients[1].sync(&nodes[0], 0).await;
    for (room, ward) in &wards {
        if ward.contains(&0) {
            nodes[0].leave(&people[0], room).await;
        }
    }
    nodes[0].settle().await;
    for (number, client) in clients.iter_mut().enumerate().skip(1) {
        // Some come at once, some after a time that nobody remembers the rooms of.
        if number == PEOPLE / 2 {
            pass(limits::PRESENCE_RECENT_MS).await;
        }
        client.round_robin(&nodes, 7_000).await;
        let told: BTreeSet<usize> =
            client.presence.keys().map(|id| id["@nurse".len()..id.find(':').unwrap()].parse().unwrap()).collect();
        let mut expected = shared[number].clone();
        if number != 1 {
            expected.remove(&0);
        }
        assert_eq!(told, expected, "nurse{number}");
    }
}
