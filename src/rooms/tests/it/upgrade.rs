//! Rooms that are replaced by rooms of another version.

use ruma::{OwnedRoomId, RoomVersionId, room_alias_id};
use serde_json::{Value, json};
use wardstead_accounts::Session;
use wardstead_engine_memory::CommitFault;
use wardstead_rooms::{Membership, NewRoom, Preset};

use crate::support::{Server, content, kind, raw, server, state};

async fn upgraded(server: &Server, by: &Session, room: &OwnedRoomId, version: &RoomVersionId) -> OwnedRoomId {
    server.upgrade(by, room, version, &[]).await.unwrap()
}

/// Content of state that `by` sees; null where there is none.
async fn of(server: &Server, by: &Session, room: &OwnedRoomId, event_type: &str) -> Value {
    match server.state_event(by, room, event_type, "").await {
        Ok(event) => content(&event),
        Err(_) => Value::Null,
    }
}

fn made_of(version: RoomVersionId) -> NewRoom {
    NewRoom { version: Some(version), preset: Some(Preset::PublicChat), ..NewRoom::default() }
}

#[tokio::test]
async fn what_goes_along_and_what_stays() {
    let server = server().await;
    let (ada, ben) = (server.user("ada").await, server.user("ben").await);
    let create = raw(&json!({ "type": "m.space", "m.federate": false, "org.example": 1 }));
    let new = NewRoom {
        name: Some("Ward 7".to_owned()),
        topic: Some("Handover".to_owned()),
        creation_content: Some(create),
        ..made_of(RoomVersionId::V10)
    };
    let room = server.room_of(&[&ada, &ben], new).await;
    let alias = room_alias_id!("#ward7:example.org");
    server.add_alias(&ada, alias, &room).await.unwrap();
    server.set(&ada, &room, "m.room.canonical_alias", json!({ "alias": alias })).await.unwrap();
    server.set(&ada, &room, "m.room.server_acl", json!({ "allow": ["*"] })).await.unwrap();
    server.set(&ada, &room, "org.example.own", json!({ "n": 1 })).await.unwrap();
    let child = state("m.space.child", "!child:example.org", json!({ "via": ["example.org"] }));
    server.send(&ada, &room, child).await.unwrap();
    let gone = state("m.space.child", "!gone:example.org", json!({}));
    let last = server.send(&ada, &room, gone).await.unwrap();

    let new = upgraded(&server, &ada, &room, &RoomVersionId::V11).await;
    assert_eq!(of(&server, &ada, &room, "m.room.tombstone").await["replacement_room"], new.as_str());
    let create = of(&server, &ada, &new, "m.room.create").await;
    let predecessor = json!({ "room_id": room, "event_id": last });
    let expected = json!({ "type": "m.space", "m.federate": false, "room_version": "11", "predecessor": predecessor });
    assert_eq!(create, expected);
    for event_type in
        ["m.room.name", "m.room.topic", "m.room.server_acl", "m.room.join_rules", "m.room.history_visibility"]
    {
        let (before, after) = (of(&server, &ada, &room, event_type).await, of(&server, &ada, &new, event_type).await);
        assert!(before.is_object() && before == after, "{event_type}: {before} {after}");
    }
    assert_eq!(of(&server, &ada, &new, "org.example.own").await, Value::Null);
    assert_eq!(kind(server.state_event(&ada, &new, "m.space.child", "!child:example.org").await), "ok");
    assert_eq!(kind(server.state_event(&ada, &new, "m.space.child", "!gone:example.org").await), "not found");
    assert_eq!(
        server.joined_rooms(&ben).await.unwrap(),
        vec![room.clone()],
        "who was in the old room joins by themselves"
    );
    // Aliases lead to the new room.
    assert_eq!(server.resolve_alias(alias).await.unwrap(), Some(new.clone()));
    assert_eq!(of(&server, &ada, &new, "m.room.canonical_alias").await["alias"], alias.as_str());
    // The old room is closed for those without power.
    assert_eq!(kind(server.say(&ben, &room, "hello?").await), "forbidden");
    assert_eq!(kind(server.say(&ada, &room, "gone").await), "ok");
    let levels = of(&server, &ada, &room, "m.room.power_levels").await;
    assert_eq!((&levels["events_default"], &levels["invite"]), (&json!(50), &json!(50)));
    let levels = of(&server, &ada, &new, "m.room.power_levels").await;
    assert_eq!((&levels["events_default"], &levels["users"]), (&json!(0), &json!({ "@ada:example.org": 100 })));
}

#[tokio::test]
async fn who_may_and_to_what() {
    let server = server().await;
    let (ada, ben, cy) = (server.user("ada").await, server.user("ben").await, server.user("cy").await);
    let room = server.room_of(&[&ada, &ben], made_of(RoomVersionId::V11)).await;
    let upgrade = |by, version| server.upgrade(by, &room, version, &[]);
    assert_eq!(kind(upgrade(&cy, &RoomVersionId::V12).await), "forbidden", "not in the room");
    assert_eq!(kind(upgrade(&ben, &RoomVersionId::V12).await), "forbidden", "no power");
    assert_eq!(kind(upgrade(&ada, &RoomVersionId::V1).await), "unsupported version");
    assert_eq!(
        kind(server.upgrade(&ada, ruma::room_id!("!no:example.org"), &RoomVersionId::V12, &[]).await),
        "forbidden"
    );
    assert_eq!(of(&server, &ada, &room, "m.room.tombstone").await, Value::Null);
    assert_eq!(server.joined_rooms(&ada).await.unwrap().len(), 1, "nothing was made");
}

/// In version 12 creators stand above the levels and are not listed; whoever upgrades is one, and no other unless named.
#[tokio::test]
async fn creators_of_version_12() {
    let server = server().await;
    let (ada, ben, cy) = (server.user("ada").await, server.user("ben").await, server.user("cy").await);
    let id = |session: &Session| session.user_id.clone();
    for (old, by, named, users, expected) in [
        (RoomVersionId::V11, &ben, vec![], json!({ "@ben:example.org": 100 }), json!({})),
        (
            RoomVersionId::V11,
            &ada,
            vec![id(&ben)],
            json!({ "@ada:example.org": 100, "@ben:example.org": 100, "@cy:example.org": 50 }),
            json!({ "@cy:example.org": 50 }),
        ),
        (RoomVersionId::V12, &ben, vec![id(&cy)], json!({ "@ben:example.org": 150, "@cy:example.org": 50 }), json!({})),
    ] {
        let room = server.room_of(&[&ada, &ben, &cy], made_of(old.clone())).await;
        server.set(&ada, &room, "m.room.power_levels", json!({ "users": users })).await.unwrap();
        let new = server.upgrade(by, &room, &RoomVersionId::V12, &named).await.unwrap();
        let create = of(&server, by, &new, "m.room.create").await;
        assert_eq!(create["predecessor"], json!({ "room_id": room }), "{old}");
        assert_eq!(create["additional_creators"].is_null(), named.is_empty(), "{old}");
        let levels = of(&server, by, &new, "m.room.power_levels").await;
        assert_eq!(levels["users"], expected, "{old}");
        assert_eq!(levels["events"]["m.room.tombstone"], 150, "{old}");
    }
    // Back to a version that lists them.
    let room = server.room_of(&[&ada, &ben], made_of(RoomVersionId::V12)).await;
    server.set(&ada, &room, "m.room.power_levels", json!({ "users": { "@ben:example.org": 150 } })).await.unwrap();
    let new = upgraded(&server, &ben, &room, &RoomVersionId::V11).await;
    let levels = of(&server, &ben, &new, "m.room.power_levels").await;
    assert_eq!(levels["users"], json!({ "@ada:example.org": 151, "@ben:example.org": 150 }), "above all others");
}

/// Whatever of its commits fails: the same request, made again, ends with one new room, to which everything leads.
#[tokio::test]
async fn an_upgrade_that_was_interrupted_goes_on() {
    for failing in 1..=5 {
        let server = server().await;
        let ada = server.user("ada").await;
        let room = server.room_of(&[&ada], made_of(RoomVersionId::V11)).await;
        let alias = room_alias_id!("#ward7:example.org");
        server.add_alias(&ada, alias, &room).await.unwrap();
        server.set(&ada, &room, "m.room.canonical_alias", json!({ "alias": alias })).await.unwrap();
        server.engine.faults().fail_commit(failing, CommitFault::Unavailable);
        let first = server.upgrade(&ada, &room, &RoomVersionId::V12, &[]).await;
        assert_eq!(kind(first), "store", "commit {failing}");
        server.engine.faults().clear();
        let new = upgraded(&server, &ada, &room, &RoomVersionId::V12).await;
        assert_eq!(of(&server, &ada, &room, "m.room.tombstone").await["replacement_room"], new.as_str());
        assert_eq!(server.resolve_alias(alias).await.unwrap(), Some(new.clone()));
        assert_eq!(of(&server, &ada, &new, "m.room.canonical_alias").await["alias"], alias.as_str());
        assert_eq!(of(&server, &ada, &room, "m.room.power_levels").await["events_default"], 50);
        assert_eq!(upgraded(&server, &ada, &room, &RoomVersionId::V12).await, new, "repeated");
    }
}

/// Those who were banned are not carried over: only they or the room's own members can say what their membership is.
#[tokio::test]
async fn memberships_stay_behind() {
    let server = server().await;
    let (ada, ben) = (server.user("ada").await, server.user("ben").await);
    let room = server.room_of(&[&ada, &ben], made_of(RoomVersionId::V12)).await;
    server.become_(&ada, &room, &ben, Membership::Ban).await.unwrap();
    let new = upgraded(&server, &ada, &room, &RoomVersionId::V12).await;
    let members = server.members(&ada, &new).await.unwrap();
    assert_eq!(members.len(), 1);
}
