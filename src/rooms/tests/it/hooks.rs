//! A policy before each append, and contributors in each commit, as the binary wires them.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use futures::future::join_all;
use ruma::RoomId;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use wardstead_engine::{AccessPattern, KeyReader, ScanRange};
use wardstead_engine_memory::CommitFault;
use wardstead_rooms::{
    Event, Hooks, Membership, NewRoom, Preset, Proposed, RoomChange, RoomError, RoomPolicy, Verdict,
};
use wardstead_store::{CommitContributor, Contribution, Contributors, Overlay, StoreError, Table};

use crate::support::{Server, hooked, kind, raw};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    number: u64,
    by: String,
    act: String,
    target: String,
    reason: Option<String>,
}
wardstead_store::row!(Record, 1);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Count(u64);
wardstead_store::row!(Count, 1);

const RECORDS: Table<Record> = Table::new(AccessPattern::Append, 0x0f8, "records", "room tests");
const COUNTS: Table<Count> = Table::new(AccessPattern::Point, 0x0f9, "counts", "room tests");

/// Keeps a record of each act of administration, numbered within its room.
#[derive(Default)]
struct Audit {
    /// Events that it was told of.
    told: AtomicUsize,
    /// Acts among them.
    prepared: AtomicUsize,
    /// What it waits for when it is first told of something.
    gate: Mutex<Option<oneshot::Receiver<()>>>,
}

/// Waits until `counter` has counted to `count`.
async fn counted(counter: &AtomicUsize, count: usize) {
    for _ in 0..100_000 {
        if counter.load(Ordering::SeqCst) >= count {
            return;
        }
        tokio::task::yield_now().await;
    }
    assert!(counter.load(Ordering::SeqCst) >= count, "never counted to {count}");
}

#[async_trait]
impl CommitContributor<RoomChange> for Audit {
    async fn prepare(&self, change: &RoomChange, queued: &Overlay<'_>) -> Result<Contribution, StoreError> {
        let RoomChange::Event(appended) = change else { return Ok(Contribution::nothing()) };
        self.told.fetch_add(1, Ordering::SeqCst);
        let gate = self.gate.lock().unwrap().take();
        if let Some(gate) = gate {
            gate.await.unwrap();
        }
        let Some(act) = change.act().cloned() else { return Ok(Contribution::nothing()) };
        let room = appended.room;
        let number = queued.get(&COUNTS, &COUNTS.key(room).key()).await?.map_or(0, |count| count.row.0) + 1;
        self.prepared.fetch_add(1, Ordering::SeqCst);
        Ok(Contribution::new(move |batch, entry| {
            let record = Record {
                number,
                by: act.by.to_string(),
                act: act.act.name().to_owned(),
                target: act.target,
                reason: act.reason,
            };
            COUNTS.put(batch, COUNTS.key(room).key(), &Count(number));
            RECORDS.put(batch, RECORDS.key(room).slot(entry).template(), &record);
        }))
    }
}

/// Nobody invites Zed; nobody speaks in a room whose topic says so; no NHS number in a forum.
struct Ward;

fn content(event: &Event) -> Value {
    serde_json::from_str(event.content.get()).unwrap()
}

#[async_trait]
impl RoomPolicy for Ward {
    async fn judge(&self, proposed: &Proposed<'_>) -> Result<Verdict, RoomError> {
        let refused = |sentence: &str| Ok(Verdict::Refused(sentence.to_owned()));
        let content_of = |event: Option<Arc<Event>>| event.map_or(Value::Null, |event| content(&event));
        let said = content(proposed.event);
        if said["membership"] == "invite" && proposed.event.state_key.as_deref() == Some("@zed:example.org") {
            return refused("Zed is on leave.");
        }
        if said["body"].is_string() {
            if content_of(proposed.state("m.room.topic", "").await?)["topic"] == "closed" {
                return refused("This room is closed.");
            }
            let forum = content_of(proposed.state("m.room.create", "").await?)["type"] == "org.wardstead.forum";
            if forum && said["body"].as_str().is_some_and(|body| body.contains("NHS")) {
                return refused("No patient identifiers in a forum.");
            }
        }
        Ok(Verdict::Allowed)
    }
}

async fn server() -> (Server, Arc<Audit>) {
    let audit = Arc::new(Audit::default());
    let server = hooked(None, 1, hooks(&audit)).await;
    (server, audit)
}

fn hooks(audit: &Arc<Audit>) -> Hooks {
    let contributors = vec![Arc::clone(audit) as Arc<dyn CommitContributor<RoomChange>>];
    Hooks { policy: Some(Arc::new(Ward)), contributors: Arc::new(Contributors::new(contributors)) }
}

/// The records of a room with the positions of the acts.
async fn records(server: &Server, room: &RoomId) -> Vec<(u64, Record)> {
    let short = server.rooms.room(room).await.unwrap().unwrap().short;
    let found = server.store.scan_all(&RECORDS, ScanRange::scope(RECORDS.id(), short)).await.unwrap();
    found.into_iter().map(|found| (KeyReader::new(&found.key).u64().unwrap(), found.row)).collect()
}

fn refused<T: std::fmt::Debug>(result: Result<T, RoomError>) -> String {
    let refused = result.unwrap_err();
    assert!(matches!(refused, RoomError::Refused(_)), "{refused:?}");
    refused.to_string()
}

#[tokio::test]
async fn what_the_policy_refuses_is_not_stored() {
    let (server, _) = server().await;
    let (ada, zed) = (server.user("ada").await, server.user("zed").await);
    let forum =
        NewRoom { creation_content: Some(raw(&json!({ "type": "org.wardstead.forum" }))), ..NewRoom::default() };
    let forum = server.create(&ada, forum).await.unwrap();
    let ward = server.create(&ada, NewRoom::default()).await.unwrap();
    let before =
        (server.batches(), server.timeline(&ada, &forum).await.len(), server.user_rooms(zed.user).await.unwrap());
    assert_eq!(refused(server.become_(&ada, &forum, &zed, Membership::Invite).await), "Zed is on leave.");
    assert_eq!(refused(server.say(&ada, &forum, "NHS 943 476 5919").await), "No patient identifiers in a forum.");
    // Making a room with what is refused makes no room.
    let with_zed = NewRoom { invite: vec![zed.user_id.clone()], ..NewRoom::default() };
    assert_eq!(refused(server.create(&ada, with_zed).await), "Zed is on leave.");
    let after =
        (server.batches(), server.timeline(&ada, &forum).await.len(), server.user_rooms(zed.user).await.unwrap());
    assert_eq!((before.0, before.1, before.2.len()), (after.0, after.1, after.2.len()));
    assert_eq!(server.joined_rooms(&ada).await.unwrap().len(), 2);
    // Elsewhere, and without, it is allowed.
    server.say(&ada, &ward, "NHS 943 476 5919").await.unwrap();
    server.say(&ada, &forum, "hello").await.unwrap();
}

/// The record is in the act's own batch, at its position; what is lost is lost with its record.
#[tokio::test]
async fn an_act_and_its_record_are_one_commit() {
    let (server, _) = server().await;
    let (ada, ben) = (server.user("ada").await, server.user("ben").await);
    let room = server.room(&[&ada, &ben]).await;
    let kick = |reason: &str| {
        let reason = Some(reason.to_owned());
        server.set_membership(&ada, &room, &ben.user_id, Membership::Leave, reason)
    };
    assert!(records(&server, &room).await.is_empty());

    server.engine.faults().fail_commit(1, CommitFault::Unavailable);
    assert_eq!(kind(kick("first").await), "store");
    assert!(records(&server, &room).await.is_empty());
    assert_eq!(kind(server.say(&ben, &room, "still here").await), "ok");

    let batches = server.batches();
    let event = kick("second").await.unwrap();
    assert_eq!(server.batches() - batches, 1);
    let (event, _) = server.event(&ada, &room, &event).await.unwrap();
    let found = records(&server, &room).await;
    let expected = Record {
        number: 1,
        by: "@ada:example.org".to_owned(),
        act: "room.kick".to_owned(),
        target: "@ben:example.org".to_owned(),
        reason: Some("second".to_owned()),
    };
    assert_eq!(found, [(event.position.0, expected)]);

    // Committed, but nobody was told: the event and its record are both there.
    server.engine.faults().fail_commit(1, CommitFault::UnknownAfter);
    drop(server.become_(&ada, &room, &ben, Membership::Ban).await);
    server.engine.faults().clear();
    let members = server.node(7).await.members(&ada, &room).await.unwrap();
    let banned = members.iter().any(|member| content(member)["membership"] == "ban");
    assert!(banned);
    let acts: Vec<String> = records(&server, &room).await.into_iter().map(|(_, record)| record.act).collect();
    assert_eq!(acts, ["room.kick", "room.ban"]);
}

/// Acts that are queued behind one another see what was contributed to those before them.
#[tokio::test]
async fn contributors_see_what_is_queued() {
    let (server, audit) = server().await;
    let ada = server.user("ada").await;
    let mut members = vec![ada.clone()];
    for number in 0..8 {
        members.push(server.user(&format!("user{number}")).await);
    }
    let room = server.room(&members.iter().collect::<Vec<_>>()).await;
    let groups = server.counts.read().groups;
    let bans = members[1..].iter().map(|member| server.become_(&ada, &room, member, Membership::Ban));
    assert!(join_all(bans).await.iter().all(Result::is_ok));
    assert!(server.counts.read().groups - groups < 8, "some were queued together");
    let numbers: Vec<u64> = records(&server, &room).await.into_iter().map(|(_, record)| record.number).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(audit.prepared.load(Ordering::SeqCst), 8);
}

/// Of two nodes that build on the same head one loses: it asks the policy and its contributors again, and one record is kept.
#[tokio::test]
async fn a_rebuild_asks_again() {
    let (server, audit) = server().await;
    let (ada, ben, cy) = (server.user("ada").await, server.user("ben").await, server.user("cy").await);
    let new = NewRoom { preset: Some(Preset::PublicChat), ..NewRoom::default() };
    let room = server.room_of(&[&ada, &ben, &cy], new).await;
    let node = hooked(Some(&server), 2, hooks(&audit)).await;
    // It takes its block of ids before commits stand still.
    node.set(&ada, &room, "m.room.name", json!({ "name": "ward" })).await.unwrap();
    let faults = server.engine.faults();
    faults.stall_commits();
    let built = async {
        // Nothing is waited for between the contributions and the queue.
        counted(&audit.prepared, 2).await;
        faults.release_commits();
    };
    let ban = server.become_(&ada, &room, &ben, Membership::Ban);
    let other = node.become_(&ada, &room, &cy, Membership::Ban);
    let (ban, other, ()) = tokio::join!(ban, other, built);
    assert!(ban.is_ok() && other.is_ok());
    assert_eq!(audit.prepared.load(Ordering::SeqCst), 3, "one was built twice");
    let found = records(&server, &room).await;
    let numbers: Vec<u64> = found.iter().map(|(_, record)| record.number).collect();
    assert_eq!(numbers, [1, 2], "{found:?}");
    let mut targets: Vec<&str> = found.iter().map(|(_, record)| record.target.as_str()).collect();
    targets.sort_unstable();
    assert_eq!(targets, ["@ben:example.org", "@cy:example.org"]);
}

/// What was allowed when it was built is refused when the state says so after it lost.
#[tokio::test]
async fn a_rebuild_is_judged_by_the_new_state() {
    let (server, _) = server().await;
    let ada = server.user("ada").await;
    let room = server.room(&[&ada]).await;
    let (open, gate) = oneshot::channel();
    let audit = Arc::new(Audit { gate: Mutex::new(Some(gate)), ..Audit::default() });
    let node = hooked(Some(&server), 2, hooks(&audit)).await;
    let (said, ()) = tokio::join!(node.say(&ada, &room, "late"), async {
        // The message is allowed and built; then the topic is committed before it.
        counted(&audit.told, 1).await;
        server.set(&ada, &room, "m.room.topic", json!({ "topic": "closed" })).await.unwrap();
        open.send(()).unwrap();
    });
    assert_eq!(refused(said), "This room is closed.");
    assert_eq!(audit.told.load(Ordering::SeqCst), 1, "the second time the policy spoke before");
    assert!(server.bodies(&ada, &room).await.is_empty());
}

#[tokio::test]
async fn which_acts_are_told() {
    let (server, _) = server().await;
    let (ada, ben, cy) = (server.user("ada").await, server.user("ben").await, server.user("cy").await);
    let room = server.room(&[&ada, &ben]).await;
    // Made, joined, left, said, named: nobody's act against anybody.
    server.set(&ada, &room, "m.room.name", json!({ "name": "ward" })).await.unwrap();
    server.say(&ben, &room, "hello").await.unwrap();
    server.become_(&ben, &room, &ben, Membership::Leave).await.unwrap();
    assert!(records(&server, &room).await.is_empty());

    server.become_(&ada, &room, &cy, Membership::Invite).await.unwrap();
    server.become_(&ada, &room, &cy, Membership::Leave).await.unwrap();
    server.become_(&ada, &room, &ben, Membership::Ban).await.unwrap();
    server.become_(&ada, &room, &ben, Membership::Leave).await.unwrap();
    let levels = json!({ "users": { "@ben:example.org": 50 } });
    server.set(&ada, &room, "m.room.power_levels", levels).await.unwrap();
    server.set(&ada, &room, "m.room.join_rules", json!({ "join_rule": "public" })).await.unwrap();
    server.set(&ada, &room, "m.room.history_visibility", json!({ "history_visibility": "joined" })).await.unwrap();
    server.set(&ada, &room, "m.room.server_acl", json!({ "allow": ["*"] })).await.unwrap();
    let tombstone = json!({ "body": "moved", "replacement_room": "!new:example.org" });
    server.set(&ada, &room, "m.room.tombstone", tombstone).await.unwrap();
    let told: Vec<(String, String)> =
        records(&server, &room).await.into_iter().map(|(_, record)| (record.act, record.target)).collect();
    let expected = [
        ("room.turn_away", "@cy:example.org"),
        ("room.ban", "@ben:example.org"),
        ("room.unban", "@ben:example.org"),
        ("room.power_levels", ""),
        ("room.access", "m.room.join_rules"),
        ("room.access", "m.room.history_visibility"),
        ("room.server_acl", ""),
        ("room.upgrade", "!new:example.org"),
    ];
    assert_eq!(told, expected.map(|(act, target)| (act.to_owned(), target.to_owned())));
}
