//! Who sees a room's summary, and what it says.

use ruma::{OwnedRoomId, RoomOrAliasId};
use serde_json::{Value, json};
use wardstead_accounts::Session;
use wardstead_rooms::{Membership, NewRoom, Preset};

use crate::support::{Server, kind, listed, open, server, with};

async fn summary(server: &Server, by: Option<&Session>, room: &str) -> Option<Value> {
    let room = <&RoomOrAliasId>::try_from(room).unwrap();
    let answer = server.summary(by, room).await;
    if let Ok(summary) = &answer {
        return Some(serde_json::to_value(summary).unwrap());
    }
    assert_eq!(kind(answer), "not found");
    None
}

fn closed() -> NewRoom {
    NewRoom { preset: Some(Preset::PrivateChat), ..NewRoom::default() }
}

fn version(version: &str, new: NewRoom) -> NewRoom {
    NewRoom { version: Some(version.try_into().unwrap()), ..new }
}

fn join_rule(rule: &Value, new: NewRoom) -> NewRoom {
    with(new, "m.room.join_rules", rule)
}

fn restricted(name: &str, allowed: &OwnedRoomId) -> Value {
    json!({ "join_rule": name, "allow": [{ "type": "m.room_membership", "room_id": allowed }] })
}

#[tokio::test]
async fn all_fields() {
    let server = server().await;
    let ada = server.user("ada").await;
    let let_in = server.room(&ada, closed()).await;
    let new = NewRoom { name: Some("Ward".to_owned()), topic: Some("Handover".to_owned()), ..closed() };
    let new =
        join_rule(&restricted("restricted", &let_in), NewRoom { room_alias_name: Some("ward".to_owned()), ..new });
    let new = with(new, "m.room.encryption", &json!({ "algorithm": "m.megolm.v1.aes-sha2" }));
    let room = server.room(&ada, version("11", new)).await;
    let expected = json!({
        "room_id": room,
        "num_joined_members": 1,
        "name": "Ward",
        "topic": "Handover",
        "canonical_alias": "#ward:example.org",
        "join_rule": "restricted",
        "allowed_room_ids": [let_in],
        "world_readable": false,
        "guest_can_join": true,
        "encryption": "m.megolm.v1.aes-sha2",
        "room_version": "11",
        "membership": "join",
    });
    assert_eq!(summary(&server, Some(&ada), room.as_str()).await.unwrap(), expected);
    assert_eq!(summary(&server, Some(&ada), "#ward:example.org").await.unwrap(), expected);
    let plain = server.room(&ada, closed()).await;
    let plain = summary(&server, Some(&ada), plain.as_str()).await.unwrap();
    assert_eq!((plain.get("allowed_room_ids"), plain.get("encryption")), (None, None));
}

/// Each kind of room: what somebody without a token, a stranger, and a member of the room that it lets in are shown.
#[tokio::test]
async fn who_is_shown_which_room() {
    let server = server().await;
    let (ada, stranger, member) = (server.user("ada").await, server.user("s").await, server.user("m").await);
    let let_in = server.room(&ada, open("let in")).await;
    server.join(&member, &let_in).await;
    let rule = |name: &str| json!({ "join_rule": name });
    let readable = |new| with(new, "m.room.history_visibility", &json!({ "history_visibility": "world_readable" }));
    for (what, new, shown) in [
        ("public", open("a"), [true, true, true]),
        ("invite", closed(), [false, false, false]),
        ("published", NewRoom { preset: Some(Preset::PrivateChat), ..listed("a") }, [false, false, false]),
        ("world readable", readable(closed()), [true, true, true]),
        ("private", join_rule(&rule("private"), closed()), [false, false, false]),
        ("knock", join_rule(&rule("knock"), closed()), [true, true, true]),
        ("knock in version 6", version("6", join_rule(&rule("knock"), closed())), [false, false, false]),
        ("restricted", join_rule(&restricted("restricted", &let_in), closed()), [false, false, true]),
        (
            "restricted in version 7",
            version("7", join_rule(&restricted("restricted", &let_in), closed())),
            [false, false, false],
        ),
        ("knock_restricted", join_rule(&restricted("knock_restricted", &let_in), closed()), [true, true, true]),
    ] {
        let room = server.room(&ada, new).await;
        let room = room.as_str();
        let found = [
            summary(&server, None, room).await,
            summary(&server, Some(&stranger), room).await,
            summary(&server, Some(&member), room).await,
        ];
        assert_eq!([0, 1, 2].map(|at: usize| found[at].is_some()), shown, "{what}");
        let [nobody, signed_in, _] = found;
        assert!(nobody.is_none_or(|summary| summary.get("membership").is_none()), "{what}");
        assert!(signed_in.is_none_or(|summary| summary["membership"] == "leave"), "{what}");
        assert!(summary(&server, Some(&ada), room).await.is_some(), "{what}");
    }
}

#[tokio::test]
async fn what_one_is_in_a_room() {
    let server = server().await;
    let (ada, ben) = (server.user("ada").await, server.user("ben").await);
    let room = server.room(&ada, closed()).await;
    let id = room.as_str();
    assert!(summary(&server, Some(&ben), id).await.is_none());
    server.become_(&ada, &room, &ben, Membership::Invite).await;
    assert_eq!(summary(&server, Some(&ben), id).await.unwrap()["membership"], "invite");
    server.join(&ben, &room).await;
    assert_eq!(summary(&server, Some(&ben), id).await.unwrap()["membership"], "join");
    server.become_(&ada, &room, &ben, Membership::Ban).await;
    assert!(summary(&server, Some(&ben), id).await.is_none());
    server.become_(&ada, &room, &ben, Membership::Leave).await;
    assert!(summary(&server, Some(&ben), id).await.is_none());
}

/// Being in the room that a restricted one lets in does not help those who are banned from that one.
#[tokio::test]
async fn a_banned_member_of_the_room_that_is_let_in() {
    let server = server().await;
    let (ada, ben) = (server.user("ada").await, server.user("ben").await);
    let let_in = server.room(&ada, open("let in")).await;
    let room = server.room(&ada, join_rule(&restricted("restricted", &let_in), closed())).await;
    server.join(&ben, &let_in).await;
    assert!(summary(&server, Some(&ben), room.as_str()).await.is_some());
    server.become_(&ada, &room, &ben, Membership::Ban).await;
    assert!(summary(&server, Some(&ben), room.as_str()).await.is_none());
    server.become_(&ada, &room, &ben, Membership::Leave).await;
    assert!(summary(&server, Some(&ben), room.as_str()).await.is_some());
    server.become_(&ben, &let_in, &ben, Membership::Leave).await;
    assert!(summary(&server, Some(&ben), room.as_str()).await.is_none());
}

#[tokio::test]
async fn what_is_not_there() {
    let server = server().await;
    let ada = server.user("ada").await;
    for room in ["!nowhere:example.org", "!nowhere", "#nowhere:example.org", "#ward:elsewhere.org"] {
        assert!(summary(&server, Some(&ada), room).await.is_none(), "{room}");
        assert!(summary(&server, None, room).await.is_none(), "{room}");
    }
}
