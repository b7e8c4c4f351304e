//! What users set for a room goes along when it is replaced.

use std::sync::Arc;

use ruma::{OwnedRoomId, RoomId, RoomVersionId};
use serde_json::{Value, json};
use wardstead_accounts::{Accounts, Session};
use wardstead_engine::{AccessPattern, Batch, TableId};
use wardstead_rooms::{Hooks, Membership, Mover, NewRoom, Preset, RoomChange};
use wardstead_store::{CommitContributor, Contributors};

use crate::support::{Server, content, hooked, raw};

async fn moving(beside: Option<&Server>, seed: u64) -> Server {
    let contributors: Vec<Arc<dyn CommitContributor<RoomChange>>> = vec![Arc::new(Mover)];
    hooked(beside, seed, Hooks { contributors: Arc::new(Contributors::new(contributors)), ..Hooks::default() }).await
}

/// A server whose nodes move settings, and one of them.
async fn two_nodes() -> (Server, Server) {
    let server = moving(None, 1).await;
    let another = moving(Some(&server), 2).await;
    (server, another)
}

fn open() -> NewRoom {
    NewRoom { preset: Some(Preset::PublicChat), ..NewRoom::default() }
}

impl Server {
    async fn put_data(&self, by: &Session, room: u64, event_type: &str, content: Value) {
        let before = self.accounts.account_data(by.user, room, event_type).await.unwrap();
        let mut batch = Batch::new();
        Accounts::put_account_data(&mut batch, by.user, room, event_type, Some(&raw(&content)), before.as_ref());
        self.store.commit(batch).await.unwrap();
    }

    async fn data(&self, by: &Session, room: u64, event_type: &str) -> Value {
        let data = self.accounts.account_data(by.user, room, event_type).await.unwrap();
        data.and_then(|data| data.content).map_or(Value::Null, |content| serde_json::from_str(content.get()).unwrap())
    }

    async fn short(&self, room: &RoomId, by: &Session) -> u64 {
        let rooms = self.user_rooms(by.user).await.unwrap();
        rooms.into_iter().find(|found| found.room_id == room).unwrap().room
    }

    /// Until nothing waits to be moved. Leases end by the engine's clock.
    async fn until_moved(&self) {
        let moves = TableId::new(AccessPattern::Churn, 0x065);
        let waits = || self.engine.rows().keys().any(|key| key.table() == moves);
        for _ in 0..10_000 {
            if !waits() {
                break;
            }
            self.clock.advance_ms(100);
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        assert!(!waits(), "settings wait to be moved");
    }

    async fn joins(&self, by: &Session, room: &OwnedRoomId) {
        self.become_(by, room, by, Membership::Join).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn tags_and_direct_rooms_go_along() {
    let (server, another) = two_nodes().await;
    server.run_moves(Vec::new());
    another.run_moves(Vec::new());
    let (ada, ben, eve) = (server.user("ada").await, server.user("ben").await, server.user("eve").await);
    let old = server.room_of(&[&ada, &ben, &eve], open()).await;
    let short = server.short(&old, &ada).await;
    let tags = |order: f64| json!({ "tags": { "m.favourite": { "order": order } } });
    for (number, user) in [&ada, &ben, &eve].into_iter().enumerate() {
        server.put_data(user, short, "m.tag", tags(f64::from(u8::try_from(number).unwrap()) / 4.0)).await;
        server.put_data(user, short, "org.example.colour", json!({ "colour": "red" })).await;
        server.put_data(user, 0, "m.direct", json!({ "@x:y": [old, "!z:y"] })).await;
    }
    let new = server.upgrade(&ada, &old, &RoomVersionId::V11, &[]).await.unwrap();
    // Who has left since then was in it when it was replaced; who has tags already keeps them.
    server.become_(&ben, &old, &ben, Membership::Leave).await.unwrap();
    another.joins(&ben, &new).await;
    let to = server.short(&new, &ben).await;
    server.until_moved().await;
    for (number, user) in [&ada, &ben].into_iter().enumerate() {
        let moved = server.data(user, to, "m.tag").await;
        assert_eq!(moved, tags(f64::from(u8::try_from(number).unwrap()) / 4.0), "{}", user.user_id);
        assert_eq!(server.data(user, 0, "m.direct").await, json!({ "@x:y": [old, new, "!z:y"] }));
        assert_eq!(server.data(user, to, "org.example.colour").await, Value::Null, "a client's own");
    }
    server.put_data(&eve, to, "m.tag", json!({ "tags": {} })).await;
    server.joins(&eve, &new).await;
    server.until_moved().await;
    assert_eq!(server.data(&eve, to, "m.tag").await, json!({ "tags": {} }));
    // Once: who took the room from the list and comes back finds the list as it is.
    server.put_data(&ben, 0, "m.direct", json!({ "@x:y": [old] })).await;
    server.become_(&ben, &new, &ben, Membership::Leave).await.unwrap();
    server.joins(&ben, &new).await;
    server.until_moved().await;
    assert_eq!(server.data(&ben, 0, "m.direct").await, json!({ "@x:y": [old] }));
}

/// What is to be moved outlives the node, and is moved by another.
#[tokio::test(start_paused = true)]
async fn another_node_moves_what_one_has_left() {
    let (server, another) = two_nodes().await;
    let (ada, ben) = (server.user("ada").await, server.user("ben").await);
    let old = server.room_of(&[&ada, &ben], open()).await;
    let short = server.short(&old, &ben).await;
    server.put_data(&ben, short, "m.tag", json!({ "tags": { "u.mine": {} } })).await;
    let new = server.upgrade(&ada, &old, &RoomVersionId::V12, &[]).await.unwrap();
    server.joins(&ben, &new).await;
    let to = server.short(&new, &ben).await;
    assert_eq!(server.data(&ben, to, "m.tag").await, Value::Null);
    drop(server);
    another.run_moves(Vec::new());
    another.until_moved().await;
    assert_eq!(another.data(&ben, to, "m.tag").await, json!({ "tags": { "u.mine": {} } }));
}

/// A room that says that it replaces another is believed only when that one leads to it; and only members' settings go along.
#[tokio::test(start_paused = true)]
async fn only_where_both_rooms_agree() {
    let (server, _) = two_nodes().await;
    server.run_moves(Vec::new());
    let (ada, ben, eve) = (server.user("ada").await, server.user("ben").await, server.user("eve").await);
    let old = server.room_of(&[&ada, &ben], open()).await;
    let short = server.short(&old, &ben).await;
    for user in [&ben, &eve] {
        server.put_data(user, short, "m.tag", json!({ "tags": { "u.mine": {} } })).await;
    }
    let claims = json!({ "predecessor": { "room_id": old } });
    let false_one = server.create(&eve, NewRoom { creation_content: Some(raw(&claims)), ..open() }).await.unwrap();
    server.joins(&ben, &false_one).await;
    let new = server.upgrade(&ada, &old, &RoomVersionId::V12, &[]).await.unwrap();
    server.joins(&eve, &new).await;
    server.until_moved().await;
    let (lie, to) = (server.short(&false_one, &ben).await, server.short(&new, &eve).await);
    assert_eq!(server.data(&ben, lie, "m.tag").await, Value::Null);
    assert_eq!(server.data(&eve, to, "m.tag").await, Value::Null, "was never in the old room");
    let tombstone = server.state_event(&ada, &old, "m.room.tombstone", "").await.unwrap();
    assert_eq!(content(&tombstone)["replacement_room"], new.as_str());
}

/// Who could do everything in a room of version 12 can in one that lists its creators.
#[tokio::test]
async fn creators_can_upgrade_again() {
    let server = moving(None, 1).await;
    let (ada, ben) = (server.user("ada").await, server.user("ben").await);
    let levels = json!({ "users": { ben.user_id.as_str(): 100 } });
    let new = NewRoom { power_level_content_override: Some(raw(&levels)), ..open() };
    let first = server.room_of(&[&ada, &ben], new).await;
    let second = server.upgrade(&ada, &first, &RoomVersionId::V11, &[]).await.unwrap();
    server.joins(&ben, &second).await;
    server.become_(&ada, &second, &ben, Membership::Ban).await.unwrap();
    let third = server.upgrade(&ada, &second, &RoomVersionId::V12, &[]).await.unwrap();
    server.upgrade(&ada, &third, &RoomVersionId::V10, &[]).await.unwrap();
}
