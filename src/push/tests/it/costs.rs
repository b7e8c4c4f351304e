//! What counting adds to a commit: engine reads, and rows.

use std::{collections::BTreeMap, sync::Arc};

use ruma::OwnedRoomId;
use serde_json::json;
use wardstead_accounts::Session;
use wardstead_engine_memory::MemoryEngine;
use wardstead_limits::push as limits;
use wardstead_rooms::Membership;
use wardstead_store::testing;

use crate::support::{Server, server_with};

/// What `act` cost: engine reads, and by table of push the rows that were written.
async fn cost(engine: &MemoryEngine, server: &Server, act: impl Future<Output = ()>) -> (u64, BTreeMap<u16, usize>) {
    server.store.caught_up().await.unwrap();
    let (rows, reads) = (engine.rows(), engine.faults().reads());
    act.await;
    let reads = engine.faults().reads() - reads;
    let mut written = BTreeMap::new();
    for (key, value) in engine.rows() {
        let table = key.table().stored() & 0xfff;
        if (0x0e0..0x0f0).contains(&table) && rows.get(&key) != Some(&value) {
            *written.entry(table).or_default() += 1;
        }
    }
    (reads, written)
}

struct Scene {
    engine: Arc<MemoryEngine>,
    server: Server,
    users: Vec<Session>,
    room: OwnedRoomId,
}

/// A room in which all of `users` but the last have spoken, with or without counting.
async fn scene(users: usize, counting: bool) -> Scene {
    let (engine, clock) = testing::engine();
    let server = server_with(Arc::clone(&engine) as _, clock, 1, counting).await;
    let mut sessions = Vec::new();
    for number in 0..=users {
        sessions.push(server.user(&format!("user-{number}")).await);
    }
    let last = sessions.pop().unwrap();
    let room = server.room(&sessions.iter().collect::<Vec<_>>()).await;
    for user in &sessions {
        server.say(user, &room, "hello").await;
    }
    sessions.push(last);
    Scene { engine, server, users: sessions, room }
}

impl Scene {
    async fn say(&self, by: usize, mentioned: &[usize]) -> (u64, BTreeMap<u16, usize>) {
        let ids: Vec<_> = mentioned.iter().map(|user| &self.users[*user].user_id).collect();
        let content = json!({ "msgtype": "m.text", "body": "hello", "m.mentions": { "user_ids": ids } });
        let said = async {
            self.server.event(&self.users[by], &self.room, "m.room.message", None, &content).await.unwrap();
        };
        cost(&self.engine, &self.server, said).await
    }

    async fn join(&self) -> (u64, BTreeMap<u16, usize>) {
        let joined = self.server.become_(self.users.last().unwrap(), &self.room, Membership::Join);
        cost(&self.engine, &self.server, joined).await
    }
}

const TALLY: u16 = 0x0e0;
const COUNTED: u16 = 0x0e1;
const READER: u16 = 0x0e2;
const ASIDE: u16 = 0x0e3;
const MEMBER: u16 = 0x0e4;

#[tokio::test]
async fn a_message_costs_one_read_and_two_rows() {
    let (counting, without) = (scene(3, true).await, scene(3, false).await);
    let ((reads, rows), (without, _)) = (counting.say(2, &[]).await, without.say(2, &[]).await);
    assert_eq!(reads - without, 1, "the tally, and what the sender has not read");
    assert_eq!(rows, [(TALLY, 1), (COUNTED, 1)].into());
    let (_, rows) = counting.say(0, &[]).await;
    assert_eq!(rows, [(TALLY, 1), (COUNTED, 1), (READER, 1)].into(), "others have spoken since the first did");
}

#[tokio::test]
async fn where_many_speak_a_message_costs_a_row_more() {
    let users = limits::ROOM_ASIDE_ENTRIES + 6;
    let (_, rows) = scene(users, true).await.say(0, &[]).await;
    assert_eq!(
        rows,
        [(TALLY, 1), (COUNTED, 1), (READER, 1), (ASIDE, 1)].into(),
        "others have spoken since the first did"
    );
}

#[tokio::test]
async fn a_join_costs_two_reads_and_three_rows() {
    let (counting, without) = (scene(3, true).await, scene(3, false).await);
    let ((reads, rows), (without, _)) = (counting.join().await, without.join().await);
    assert_eq!(reads - without, 2, "the tally, and which rules are valid");
    assert_eq!(rows, [(TALLY, 1), (READER, 1), (MEMBER, 1)].into());
}

#[tokio::test]
async fn what_notifies_nobody_costs_no_row() {
    let (counting, without) = (scene(3, true).await, scene(3, false).await);
    let other = async |scene: &Scene| {
        let sent = async {
            scene.server.event(&scene.users[2], &scene.room, "org.example.other", None, &json!({})).await.unwrap();
        };
        cost(&scene.engine, &scene.server, sent).await
    };
    let ((reads, rows), (without, _)) = (other(&counting).await, other(&without).await);
    assert_eq!(reads - without, 1, "the tally, and what the sender has not read");
    assert_eq!(rows, BTreeMap::new());
}
