//! Coming in and going out, by every door.

use ruma::{OwnedRoomId, RoomVersionId};
use serde_json::{Value, json};
use wardstead_accounts::Session;
use wardstead_rooms::{Membership, Messages, NewRoom, Preset, Reach};

use crate::support::{Server, content, kind, server, state};

/// A room with `join_rule` content, made by `by`.
async fn ruled(server: &Server, by: &Session, version: RoomVersionId, rule: &Value) -> OwnedRoomId {
    let room = server.create(by, NewRoom { version: Some(version), ..NewRoom::default() }).await.unwrap();
    server.set(by, &room, "m.room.join_rules", rule.clone()).await.unwrap();
    room
}

fn members_of(room: &OwnedRoomId, rule: &str) -> Value {
    json!({ "join_rule": rule, "allow": [{ "type": "m.room_membership", "room_id": room }] })
}

async fn member_content(server: &Server, by: &Session, room: &OwnedRoomId) -> Value {
    content(&server.state_event(by, room, "m.room.member", by.user_id.as_str()).await.unwrap())
}

#[tokio::test]
async fn knocking() {
    let server = server().await;
    let (ada, ben, cy) = (server.user("ada").await, server.user("ben").await, server.user("cy").await);
    for (version, rule) in
        [(RoomVersionId::V7, "knock"), (RoomVersionId::V10, "knock_restricted"), (RoomVersionId::V12, "knock")]
    {
        let room = ruled(&server, &ada, version.clone(), &json!({ "join_rule": "invite" })).await;
        let knock = || server.become_(&ben, &room, &ben, Membership::Knock);
        assert_eq!(kind(knock().await), "forbidden", "{version}: the rule is another");
        server.set(&ada, &room, "m.room.join_rules", json!({ "join_rule": rule })).await.unwrap();
        assert_eq!(kind(server.become_(&ben, &room, &ben, Membership::Join).await), "forbidden");
        knock().await.unwrap();
        assert_eq!(kind(server.become_(&cy, &room, &ben, Membership::Knock).await), "forbidden", "for somebody else");
        // Who knocks is told what the room is, and nothing else.
        let row = server.user_rooms(ben.user).await.unwrap().into_iter().find(|row| row.room_id == room).unwrap();
        let types: Vec<Value> = row.stripped.iter().map(|event| serde_json::from_str(event.get()).unwrap()).collect();
        assert!(types.iter().any(|event| event["type"] == "m.room.create" && event["origin_server_ts"].is_u64()));
        assert!(types.iter().any(|event| event["content"]["membership"] == "knock"));
        assert!(types.iter().all(|event| event["content"]["membership"] != "join"), "no members: {types:?}");
        assert_eq!(kind(server.messages(&ben, &room, &Messages::default()).await), "forbidden");
        // Again with another reason, retracted, refused, accepted.
        let reason = Some("please".to_owned());
        server.set_membership(&ben, &room, &ben.user_id, Membership::Knock, reason).await.unwrap();
        server.become_(&ben, &room, &ben, Membership::Leave).await.unwrap();
        knock().await.unwrap();
        server.kick(&ada, &room, &ben.user_id, None).await.unwrap();
        assert_eq!(kind(server.kick(&ada, &room, &ben.user_id, None).await), "forbidden", "twice");
        knock().await.unwrap();
        server.become_(&ada, &room, &ben, Membership::Invite).await.unwrap();
        assert_eq!(kind(knock().await), "forbidden", "invited");
        server.become_(&ben, &room, &ben, Membership::Join).await.unwrap();
        assert_eq!(kind(knock().await), "forbidden", "in the room");
        server.become_(&ada, &room, &ben, Membership::Ban).await.unwrap();
        assert_eq!(kind(knock().await), "forbidden", "banned");
    }
    let unknown = ruma::room_id!("!unknown:example.org");
    assert_eq!(kind(server.become_(&ben, unknown, &ben, Membership::Knock).await), "not found");
    // A rule that the room's version does not know lets nobody in.
    let room = ruled(&server, &ada, RoomVersionId::V6, &json!({ "join_rule": "knock" })).await;
    assert_eq!(kind(server.become_(&ben, &room, &ben, Membership::Knock).await), "forbidden");
}

#[tokio::test]
async fn restricted_joins() {
    let server = server().await;
    let (ada, ben) = (server.user("ada").await, server.user("ben").await);
    let public = || NewRoom { preset: Some(Preset::PublicChat), ..NewRoom::default() };
    let space = server.create(&ada, public()).await.unwrap();
    for (version, rule) in [
        (RoomVersionId::V8, "restricted"),
        (RoomVersionId::V10, "knock_restricted"),
        (RoomVersionId::V11, "restricted"),
        (RoomVersionId::V12, "restricted"),
    ] {
        let room = ruled(&server, &ada, version.clone(), &members_of(&space, rule)).await;
        let join = || server.become_(&ben, &room, &ben, Membership::Join);
        assert_eq!(kind(join().await), "forbidden", "{version}: in none of the rooms");
        server.become_(&ben, &space, &ben, Membership::Join).await.unwrap();
        join().await.unwrap();
        let said = member_content(&server, &ben, &room).await;
        assert_eq!(said["join_authorised_via_users_server"], "@ada:example.org");
        // A member who changes something about themselves needs nobody, and what they claim is not heard.
        let renamed = json!({ "membership": "join", "displayname": "Ben", "join_authorised_via_users_server": "x" });
        server.send(&ben, &room, state("m.room.member", ben.user_id.as_str(), renamed)).await.unwrap();
        assert_eq!(member_content(&server, &ben, &room).await, json!({ "membership": "join", "displayname": "Ben" }));
        server.become_(&ben, &room, &ben, Membership::Leave).await.unwrap();
        server.become_(&ben, &space, &ben, Membership::Leave).await.unwrap();
        assert_eq!(kind(join().await), "forbidden", "{version}: has left the other room");
        // An invitation opens the door as ever.
        server.become_(&ada, &room, &ben, Membership::Invite).await.unwrap();
        join().await.unwrap();
        assert_eq!(member_content(&server, &ben, &room).await, json!({ "membership": "join" }));
        server.become_(&ben, &room, &ben, Membership::Leave).await.unwrap();
        // Conditions that cannot be read let nobody in.
        server.become_(&ben, &space, &ben, Membership::Join).await.unwrap();
        for allow in [json!("invalid"), json!(["invalid"]), json!([{ "type": "org.example", "room_id": space }])] {
            let mangled = json!({ "join_rule": rule, "allow": allow });
            server.set(&ada, &room, "m.room.join_rules", mangled).await.unwrap();
            assert_eq!(kind(join().await), "forbidden", "{version}: {allow}");
        }
        server.become_(&ben, &space, &ben, Membership::Leave).await.unwrap();
    }
    // Before version 8 there is no such rule.
    server.become_(&ben, &space, &ben, Membership::Join).await.unwrap();
    let room = ruled(&server, &ada, RoomVersionId::V7, &members_of(&space, "restricted")).await;
    assert_eq!(kind(server.become_(&ben, &room, &ben, Membership::Join).await), "forbidden");
}

/// Somebody who is in the room and may invite: the most powerful, or any member where all may.
#[tokio::test]
async fn who_authorises_a_restricted_join() {
    let server = server().await;
    let (ada, ben, cy) = (server.user("ada").await, server.user("ben").await, server.user("cy").await);
    let public = || NewRoom { preset: Some(Preset::PublicChat), ..NewRoom::default() };
    let space = server.room_of(&[&ada, &ben, &cy], public()).await;
    let new = NewRoom { version: Some(RoomVersionId::V11), ..public() };
    let room = server.room_of(&[&ada, &ben], new).await;
    server.set(&ada, &room, "m.room.join_rules", members_of(&space, "restricted")).await.unwrap();
    let levels = |invite: u64| json!({ "users": { "@ada:example.org": 100 }, "invite": invite });
    server.set(&ada, &room, "m.room.power_levels", levels(50)).await.unwrap();
    server.become_(&ada, &room, &ada, Membership::Leave).await.unwrap();
    let join = || server.become_(&cy, &room, &cy, Membership::Join);
    assert_eq!(kind(join().await), "forbidden", "who is left may not invite");
    // With an invitation level of 0 whoever is in the room will do.
    let room = server.room_of(&[&ada, &ben], NewRoom { version: Some(RoomVersionId::V11), ..public() }).await;
    server.set(&ada, &room, "m.room.join_rules", members_of(&space, "restricted")).await.unwrap();
    server.set(&ada, &room, "m.room.power_levels", levels(0)).await.unwrap();
    server.become_(&ada, &room, &ada, Membership::Leave).await.unwrap();
    server.become_(&cy, &room, &cy, Membership::Join).await.unwrap();
    let said = member_content(&server, &cy, &room).await;
    assert_eq!(said["join_authorised_via_users_server"], "@ben:example.org");
}

#[tokio::test]
async fn removing_banning_and_letting_back_in() {
    let server = server().await;
    let (ada, ben, cy) = (server.user("ada").await, server.user("ben").await, server.user("cy").await);
    let room = server.room_of(&[&ada, &ben], NewRoom { preset: Some(Preset::PublicChat), ..NewRoom::default() }).await;
    let why = || Some("because".to_owned());
    assert_eq!(kind(server.kick(&ada, &room, &cy.user_id, None).await), "forbidden", "not in the room");
    assert_eq!(kind(server.unban(&ada, &room, &ben.user_id, None).await), "forbidden", "not banned");
    assert_eq!(kind(server.kick(&ben, &room, &ada.user_id, None).await), "forbidden", "no power");
    let kicked = server.kick(&ada, &room, &ben.user_id, why()).await.unwrap();
    let (event, _) = server.event(&ada, &room, &kicked).await.unwrap();
    assert_eq!(content(&event), json!({ "membership": "leave", "reason": "because" }));
    assert_eq!(kind(server.kick(&ada, &room, &ben.user_id, None).await), "forbidden", "has left");
    // Whoever never was in the room can be banned from it. A ban is not lifted by a kick, nor by the banned.
    server.become_(&ada, &room, &cy, Membership::Ban).await.unwrap();
    assert_eq!(kind(server.kick(&ada, &room, &cy.user_id, None).await), "forbidden");
    assert_eq!(kind(server.become_(&cy, &room, &cy, Membership::Leave).await), "forbidden");
    assert_eq!(kind(server.become_(&cy, &room, &cy, Membership::Join).await), "forbidden");
    server.unban(&ada, &room, &cy.user_id, why()).await.unwrap();
    server.become_(&cy, &room, &cy, Membership::Join).await.unwrap();
    // An invitation that is taken back is none.
    let room = server.create(&ada, NewRoom { invite: vec![ben.user_id.clone()], ..NewRoom::default() }).await.unwrap();
    server.kick(&ada, &room, &ben.user_id, None).await.unwrap();
    assert_eq!(kind(server.become_(&ben, &room, &ben, Membership::Join).await), "forbidden");
}

#[tokio::test]
async fn forgetting() {
    let server = server().await;
    let (ada, ben, cy) = (server.user("ada").await, server.user("ben").await, server.user("cy").await);
    let room = server.room(&[&ada, &ben]).await;
    let before = server.say(&ada, &room, "before").await.unwrap();
    assert_eq!(kind(server.forget(&ben, &room).await), "unsupported", "still in the room");
    assert_eq!(kind(server.forget(&cy, &room).await), "forbidden", "never in the room");
    assert_eq!(kind(server.forget(&cy, ruma::room_id!("!unknown:example.org")).await), "forbidden");
    server.become_(&ben, &room, &ben, Membership::Leave).await.unwrap();
    assert_eq!(kind(server.event(&ben, &room, &before).await), "ok", "left, not forgotten");
    let batches = server.batches();
    server.forget(&ben, &room).await.unwrap();
    server.forget(&ben, &room).await.unwrap();
    assert_eq!(server.batches(), batches + 1, "twice is once");
    for node in [&server.node(2).await, &server] {
        let kinds = [
            kind(node.messages(&ben, &room, &Messages::default()).await),
            kind(node.state(&ben, &room).await),
            kind(node.members(&ben, &room).await),
            kind(node.event(&ben, &room, &before).await),
            kind(node.state_event(&ben, &room, "m.room.create", "").await),
        ];
        assert_eq!(kinds, ["forbidden"; 5]);
    }
    assert!(server.user_rooms(ben.user).await.unwrap()[0].forgotten);
    // Who comes back sees again what they were there for.
    assert_eq!(kind(server.become_(&ben, &room, &ben, Membership::Join).await), "forbidden");
    server.become_(&ada, &room, &ben, Membership::Invite).await.unwrap();
    assert_eq!(kind(server.forget(&ben, &room).await), "unsupported", "invited");
    server.become_(&ben, &room, &ben, Membership::Join).await.unwrap();
    assert_eq!(server.access(&ben, &room).await.unwrap().reach, Reach::Now);
    assert_eq!(server.bodies(&ben, &room).await, ["before"]);
    // A ban and a refused invitation can be forgotten too.
    server.become_(&ada, &room, &ben, Membership::Ban).await.unwrap();
    server.forget(&ben, &room).await.unwrap();
    server.become_(&ada, &room, &cy, Membership::Invite).await.unwrap();
    server.become_(&cy, &room, &cy, Membership::Leave).await.unwrap();
    server.forget(&cy, &room).await.unwrap();
}

/// Who is invited again while they forget has not forgotten the invitation.
#[tokio::test]
async fn forgetting_loses_against_a_new_invitation() {
    let server = server().await;
    let (ada, ben) = (server.user("ada").await, server.user("ben").await);
    let room = server.room(&[&ada, &ben]).await;
    server.become_(&ben, &room, &ben, Membership::Leave).await.unwrap();
    let faults = server.engine.faults();
    let batches = server.batches();
    faults.stall_commits();
    let until = async |is_so: &dyn Fn() -> bool| {
        for _ in 0..100_000 {
            if is_so() {
                return;
            }
            tokio::task::yield_now().await;
        }
        assert!(is_so(), "it never came to that");
    };
    let (invited, forgot, ()) = tokio::join!(
        server.become_(&ada, &room, &ben, Membership::Invite),
        async {
            // The invitation is about to be committed, and what is forgotten is what was before it.
            until(&|| server.batches() > batches).await;
            server.forget(&ben, &room).await
        },
        async {
            until(&|| server.batches() > batches && server.store.status().queued > 0).await;
            faults.release_commits();
        }
    );
    invited.unwrap();
    assert_eq!(kind(forgot), "unsupported", "ben is invited");
    let row = server.user_rooms(ben.user).await.unwrap().remove(0);
    assert!(row.membership == Membership::Invite && !row.forgotten && !row.stripped.is_empty());
}
