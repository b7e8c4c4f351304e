//! Who publishes a room, and what is kept of it.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use ruma::RoomId;
use wardstead_accounts::Session;
use wardstead_engine_memory::CommitFault;
use wardstead_rooms::{Membership, NewRoom, RoomChange};
use wardstead_store::{CommitContributor, Contribution, Overlay, StoreError};

use crate::support::{kind, listed, open, server, server_with};

#[tokio::test]
async fn who_is_in_the_room_and_has_the_power() {
    let server = server().await;
    let (ada, ben, cleo) = (server.user("ada").await, server.user("ben").await, server.user("cleo").await);
    for version in ["6", "11", "12"] {
        let version = Some(version.try_into().unwrap());
        let room = server.room(&ada, NewRoom { version, ..open("ward") }).await;
        server.join(&ben, &room).await;
        assert!(!server.is_published(&room).await.unwrap());
        assert_eq!(
            kind(server.set_published(&cleo, &room, true).await),
            "not found",
            "as for a room that is not there"
        );
        assert_eq!(kind(server.set_published(&ben, &room, true).await), "forbidden");
        server.set_published(&ada, &room, true).await.unwrap();
        assert!(server.is_published(&room).await.unwrap());
        assert_eq!(kind(server.set_published(&ben, &room, false).await), "forbidden");
        server.set_published(&ada, &room, false).await.unwrap();
        assert!(!server.is_published(&room).await.unwrap());
        let operator = Session { admin: true, ..cleo.clone() };
        server.set_published(&operator, &room, true).await.unwrap();
        server.become_(&ada, &room, &ada, Membership::Leave).await;
        assert_eq!(kind(server.set_published(&ada, &room, false).await), "not found");
        assert!(server.is_published(&room).await.unwrap());
    }
    let nowhere = RoomId::parse("!nowhere:example.org").unwrap();
    assert_eq!(kind(server.set_published(&ada, &nowhere, true).await), "not found");
    assert_eq!(kind(server.is_published(&nowhere).await), "not found");
}

/// `visibility: public` rides in the batch that makes the room.
#[tokio::test]
async fn a_room_is_made_published() {
    let server = server().await;
    let ada = server.user("ada").await;
    server.engine.faults().fail_commit(1, CommitFault::Unavailable);
    assert!(server.rooms.create(&ada, listed("never")).await.is_err());
    assert!(server.names().await.is_empty());
    let before = server.counts.read().batches;
    let room = server.room(&ada, listed("ward")).await;
    assert_eq!(server.counts.read().batches, before + 1);
    assert!(server.is_published(&room).await.unwrap());
    assert_eq!(server.names().await, ["ward"]);
    let private = server.room(&ada, open("private")).await;
    assert!(!server.is_published(&private).await.unwrap());
}

#[tokio::test]
async fn saying_it_again_changes_nothing() {
    let server = server().await;
    let ada = server.user("ada").await;
    let room = server.room(&ada, listed("ward")).await;
    let before = server.counts.read().batches;
    server.set_published(&ada, &room, true).await.unwrap();
    assert_eq!(server.counts.read().batches, before);
    server.set_published(&ada, &room, false).await.unwrap();
    server.set_published(&ada, &room, false).await.unwrap();
    assert_eq!(server.counts.read().batches, before + 1);
}

#[tokio::test]
async fn a_new_room_takes_the_place_of_the_old_one() {
    let server = server().await;
    let ada = server.user("ada").await;
    let (old, new) = (server.room(&ada, listed("old")).await, server.room(&ada, open("new")).await);
    let (other, never) = (server.room(&ada, open("other")).await, server.room(&ada, open("never")).await);
    assert_eq!(server.names().await, ["old"]);
    server.replace(&old, &new).await.unwrap();
    assert_eq!(server.names().await, ["new"]);
    server.replace(&other, &never).await.unwrap();
    assert_eq!(server.names().await, ["new"], "what was not listed lists nothing");
}

/// Notes the acts that it is told of.
#[derive(Default)]
struct Audit(Mutex<Vec<(String, String, String)>>);

#[async_trait]
impl CommitContributor<RoomChange> for Audit {
    async fn prepare(&self, change: &RoomChange, _: &Overlay<'_>) -> Result<Contribution, StoreError> {
        if let RoomChange::Act(act) = change {
            let told = (act.by.to_string(), act.act.name().to_owned(), act.target.clone());
            self.0.lock().unwrap().push(told);
        }
        Ok(Contribution::nothing())
    }
}

#[tokio::test]
async fn publishing_and_removing_aliases_are_acts_of_administration() {
    let audit = Arc::new(Audit::default());
    let server = server_with(vec![Arc::clone(&audit) as Arc<dyn CommitContributor<RoomChange>>]).await;
    let ada = server.user("ada").await;
    let room = server.room(&ada, NewRoom { room_alias_name: Some("ward".to_owned()), ..open("ward") }).await;
    server.set_published(&ada, &room, true).await.unwrap();
    server.set_published(&ada, &room, false).await.unwrap();
    let alias = ruma::RoomAliasId::parse("#ward:example.org").unwrap();
    server.rooms.remove_alias(&ada, &alias).await.unwrap();
    let told = audit.0.lock().unwrap().clone();
    let act = |act: &str, target: &str| ("@ada:example.org".to_owned(), act.to_owned(), target.to_owned());
    assert_eq!(
        told,
        [
            act("room.directory", "public"),
            act("room.directory", "private"),
            act("room.alias.remove", "#ward:example.org")
        ]
    );
}
