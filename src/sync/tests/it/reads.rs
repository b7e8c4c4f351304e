//! What a sync costs the engine.

use futures::{StreamExt, stream};
use wardstead_accounts::Session;
use wardstead_engine::counting::Reading;
use wardstead_rooms::NewRoom;

use crate::support::{Answer, Server, server};

async fn many_rooms(server: &Server, by: &Session, count: usize) {
    let rooms = stream::iter(0..count).map(|_| server.rooms.create(by, NewRoom::default()));
    rooms.buffer_unordered(64).for_each(|room| async { drop(room.unwrap()) }).await;
}

/// One message in one room costs the same however many rooms the user is in: the rows of what the user is in the rooms that
/// changed, the arrivals, the state's history, and the three of what was not read.
#[tokio::test(start_paused = true)]
async fn an_incremental_sync_costs_the_same_in_5000_rooms() {
    let server = server().await;
    let [anna, ben] = server.users(["anna", "ben"]).await;
    let room = server.room(&[&anna, &ben]).await;
    // A first answer counts the device's keys; they are not counted again.
    server.sync(&ben, None).await;
    let mut joined = 1;
    let mut costs = Vec::new();
    for count in [50, 500, 5_000] {
        many_rooms(&server, &ben, count - joined).await;
        joined = count;
        let position = server.store.caught_up().await.unwrap();
        let since = server.store.tokens().write(&wardstead_store::Token::Sync(wardstead_store::SyncToken {
            position,
            user: ben.user,
            device: ben.device,
            ..wardstead_store::SyncToken::default()
        }));
        let said = server.say(&anna, &room, "hello").await;
        let since = Answer(serde_json::json!({ "next_batch": since }));
        let (answer, cost) = server.reads(server.sync(&ben, Some(&since))).await;
        assert_eq!(answer.rooms("join"), [room.as_str()]);
        assert_eq!(answer.joined(&room).timeline(), [said.to_string()]);
        costs.push(cost);
        let (answer, cost) = server.reads(server.sync(&ben, Some(&answer))).await;
        assert!(answer.is_empty());
        assert_eq!(cost, Reading::default(), "nothing new costs nothing");
    }
    // One of them: whom the user ignores and whether they want invitations, read again because the user came into rooms.
    assert_eq!(costs[0], Reading { gets: 3, keys: 6, scans: 2, ..Reading::default() });
    assert!(costs.iter().all(|cost| *cost == costs[0]), "{costs:?}");
}

/// After a restart nobody remembers what changed since the token: the calls stay the same, only their keys grow.
#[tokio::test(start_paused = true)]
async fn the_first_sync_after_a_restart_makes_as_many_calls() {
    let mut calls = Vec::new();
    for count in [50, 500] {
        let server = server().await;
        let [anna, ben] = server.users(["anna", "ben"]).await;
        let room = server.room(&[&anna, &ben]).await;
        many_rooms(&server, &ben, count).await;
        let since = server.limited(&ben, None, 1).await;
        let said = server.say(&anna, &room, "hello").await;
        server.settle().await;
        let node = server.node(2).await;
        let (answer, cost) = node.reads(node.sync(&ben, Some(&since))).await;
        assert_eq!(answer.joined(&room).timeline(), [said.to_string()]);
        assert_eq!(answer.rooms("join").len(), 1);
        assert!(cost.keys >= count as u64);
        calls.push((cost.gets, cost.scans));
    }
    assert_eq!(calls[0], calls[1]);
    let what = "ignored users, heads and receipt cells, name, event, push rules, unread, heads, whether the token stands within a commit, key counts; account data, private receipts, recounted rooms, rooms, arrivals, \
                state's history, messages to the device, the log of device lists, rooms, the user's moves, those of the room";
    assert_eq!(calls[0], (9, 11), "{what}");
}

/// Whom a message is from is found in memory, once that user was looked up; a client that has the member is told nothing of it.
#[tokio::test(start_paused = true)]
async fn lazily_loaded_members_cost_no_reads() {
    let server = server().await;
    let [anna, ben] = server.users(["anna", "ben"]).await;
    let room = server.room(&[&anna, &ben]).await;
    let filter = serde_json::json!({ "room": { "state": { "lazy_load_members": true } } });
    let mut since = server.filtered(&ben, None, &filter).await;
    // Ignored users and the rows of what is unread.
    let message = Reading { gets: 2, keys: 4, scans: 2, ..Reading::default() };
    for number in 0..3 {
        server.say(&anna, &room, "hello").await;
        let (answer, cost) = server.reads(server.filtered(&ben, Some(&since), &filter)).await;
        assert_eq!((answer.joined(&room).events().len(), cost), (1, message), "message {number}");
        since = answer;
    }
}
