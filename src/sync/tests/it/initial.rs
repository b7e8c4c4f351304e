//! A client that knows nothing yet.

use serde_json::json;
use wardstead_rooms::{Membership, NewRoom};

use crate::support::{limit_filter, server, state, state_of};

/// State and timeline together are the room; every state event stands in one of them.
#[tokio::test(start_paused = true)]
async fn a_small_room_is_told_whole() {
    let server = server().await;
    let [anna, ben] = server.users(["anna", "ben"]).await;
    let room = server.room(&[&anna, &ben]).await;
    let said = server.say(&ben, &room, "hello").await;

    let answer = server.sync(&anna, None).await;
    let joined = answer.joined(&room);
    assert_eq!(joined.timeline().last(), Some(&said.to_string()));
    assert_eq!(joined.events().len(), 9, "create, join, power levels, three of the preset, invitation, join, message");
    assert!(!joined.limited());
    assert_eq!(joined.state_events(), [] as [serde_json::Value; 0], "nothing comes before the create event");
    assert_eq!(answer.rooms("join"), [room.as_str()]);
    assert!(answer.rooms("invite").is_empty() && answer.rooms("leave").is_empty());
    assert_eq!(joined.events()[8]["content"]["body"], "hello");
    assert_eq!(joined.events()[8].get("room_id"), None, "sync leaves the room id out");
    assert_eq!(joined.events()[8]["unsigned"]["membership"], "join");
}

#[tokio::test(start_paused = true)]
async fn the_state_comes_before_the_timeline() {
    let server = server().await;
    let [anna, ben] = server.users(["anna", "ben"]).await;
    let room = server.room(&[&anna, &ben]).await;
    let before = state_of(&server, &anna, &room).await;
    let topic = server.topic(&anna, &room, "new").await;
    let said = server.say(&ben, &room, "hello").await;

    let answer = server.limited(&anna, None, 2).await;
    let joined = answer.joined(&room);
    assert_eq!(joined.timeline(), [topic.to_string(), said.to_string()]);
    assert!(joined.limited());
    assert_eq!(joined.state(), before);
    let back = server.back(&anna, &room, joined.prev_batch(), None, 3).await;
    assert_eq!(back.len(), 8);
    assert_eq!(back.last(), server.limited(&anna, None, 100).await.joined(&room).timeline().first());
}

#[tokio::test(start_paused = true)]
async fn the_summary_counts_and_names() {
    let server = server().await;
    let [anna, ben, cora] = server.users(["anna", "ben", "cora"]).await;
    let room = server.room(&[&anna, &ben]).await;
    server.member(&anna, &room, &cora, Membership::Invite).await;
    let named = server.room_of(&[&anna, &ben], NewRoom { name: Some("Ward 3".to_owned()), ..NewRoom::default() }).await;
    let answer = server.sync(&anna, None).await;
    assert_eq!(
        answer.joined(&room).0["summary"],
        json!({ "m.heroes": [ben.user_id, cora.user_id], "m.joined_member_count": 2, "m.invited_member_count": 1 })
    );
    let summary = json!({ "m.joined_member_count": 2, "m.invited_member_count": 0 });
    assert_eq!(answer.joined(&named).0["summary"], summary, "a room with a name needs no heroes");

    // Who knows the room by its name is told whom it is called by when that goes.
    server.try_send(&anna, &named, state("m.room.name", "", &json!({ "name": "" }))).await.unwrap();
    let unnamed = server.sync(&anna, Some(&answer)).await;
    assert_eq!(unnamed.joined(&named).0["summary"]["m.heroes"], json!([ben.user_id]));

    // Only what changes the summary brings one.
    server.say(&ben, &room, "hello").await;
    let said = server.sync(&anna, Some(&answer)).await;
    assert_eq!(said.joined(&room).0.get("summary"), None);
    server.leave(&ben, &room).await;
    let left = server.sync(&anna, Some(&said)).await;
    assert_eq!(
        left.joined(&room).0["summary"],
        json!({ "m.heroes": [cora.user_id], "m.joined_member_count": 1, "m.invited_member_count": 1 })
    );
}

#[tokio::test(start_paused = true)]
async fn invitations_and_on_request_left_rooms() {
    let server = server().await;
    let [anna, ben] = server.users(["anna", "ben"]).await;
    let (left, invited, rejected) =
        (server.room(&[&anna, &ben]).await, server.room(&[&anna]).await, server.room(&[&anna]).await);
    let last = server.leave(&ben, &left).await;
    server.say(&anna, &left, "you do not hear this").await;
    server.member(&anna, &invited, &ben, Membership::Invite).await;
    server.member(&anna, &rejected, &ben, Membership::Invite).await;
    server.leave(&ben, &rejected).await;

    let answer = server.sync(&ben, None).await;
    assert!(answer.rooms("join").is_empty() && answer.rooms("leave").is_empty());
    assert_eq!(answer.rooms("invite"), [invited.as_str()]);
    let stripped = answer.invited(&invited).0["invite_state"]["events"].as_array().unwrap();
    let invitation = stripped.iter().find(|event| event["state_key"] == ben.user_id.as_str()).unwrap();
    assert_eq!(invitation["content"]["membership"], "invite");
    let create = stripped.iter().find(|event| event["type"] == "m.room.create").unwrap();
    let told = ["content", "event_id", "origin_server_ts", "sender", "state_key", "type"];
    assert_eq!(create.as_object().unwrap().keys().collect::<Vec<_>>(), told, "the whole of it");

    let mut filter = limit_filter(1);
    filter["room"]["include_leave"] = true.into();
    let answer = server.filtered(&ben, None, &filter).await;
    assert_eq!(answer.rooms("leave"), [left.as_str()], "a room that the user was never in is not a left one");
    assert_eq!(answer.left(&left).timeline(), [last.to_string()]);
    assert!(answer.left(&left).limited() && answer.left(&left).state().len() >= 7);
    server.rooms.forget(&ben, &left).await.unwrap();
    assert!(server.filtered(&ben, None, &filter).await.rooms("leave").is_empty(), "it is forgotten");
}

/// Of a left room without a timeline the state is that of the leaving, which it tells.
#[tokio::test(start_paused = true)]
async fn a_left_room_without_a_timeline() {
    let server = server().await;
    let [anna, ben] = server.users(["anna", "ben"]).await;
    let room = server.open_room(&anna, "shared").await;
    server.join(&ben, &room).await;
    let topic = server.topic(&anna, &room, "before").await;
    let left = server.leave(&ben, &room).await;
    server.topic(&anna, &room, "after").await;
    let mut filter = limit_filter(0);
    filter["room"]["include_leave"] = true.into();
    for server in [&server, &server.node(2).await] {
        let answer = server.filtered(&ben, None, &filter).await;
        let section = answer.left(&room);
        assert!(section.events().is_empty() && section.limited());
        let told = section.state();
        assert_eq!(told[&("m.room.member".to_owned(), ben.user_id.to_string())], left.to_string());
        assert_eq!(told[&("m.room.topic".to_owned(), String::new())], topic.to_string());
        let back = server.back(&ben, &room, section.prev_batch(), None, 2).await;
        assert_eq!(back[..2], [left.to_string(), topic.to_string()]);
    }
    // Invited again while the answer is built: it is still a left room for that one.
    let node = server.node(3).await;
    let (other, anna_too, ben_too, room_too) = (server.clone(), anna.clone(), ben.clone(), room.clone());
    let before = node.filtered(&ben, None, &filter).await;
    node.meanwhile.before_read(1, async move {
        drop(other.member(&anna_too, &room_too, &ben_too, Membership::Invite).await);
    });
    let answer = node.filtered(&ben, None, &filter).await;
    assert!(node.meanwhile.take().is_none());
    assert_eq!(answer.said()["rooms"], before.said()["rooms"]);
}
