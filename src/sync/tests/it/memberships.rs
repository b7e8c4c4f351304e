//! The user's own memberships, as an incremental sync tells them.

use serde_json::json;
use wardstead_accounts::Session;
use wardstead_rooms::Membership;

use crate::support::{Answer, Server, server, state_of};

async fn two() -> (Server, Session, Session) {
    let server = server().await;
    let [anna, ben] = server.users(["anna", "ben"]).await;
    (server, anna, ben)
}

fn only(answer: &Answer, section: &str) {
    for other in ["join", "invite", "leave"] {
        assert_eq!(answer.rooms(other).len(), usize::from(other == section), "{other} in {answer:?}");
    }
}

/// Both rooms are told, each naming the other, to who upgrades and to who follows.
#[tokio::test(start_paused = true)]
async fn an_upgraded_room_and_its_successor() {
    let (server, anna, ben) = two().await;
    let old = server.open_room(&anna, "shared").await;
    server.join(&ben, &old).await;
    let (anna_has, ben_has) = (server.sync(&anna, None).await, server.sync(&ben, None).await);
    let version = server.rooms.default_version().clone();
    let new = server.rooms.upgrade(&anna, &old, &version, &[]).await.unwrap();
    let told = |answer: &Answer, room: &ruma::RoomId, event_type: &str, state_key: &str| {
        let joined = answer.joined(room);
        let is = |event: &&serde_json::Value| event["type"] == event_type && event["state_key"] == state_key;
        joined.state_events().iter().chain(joined.events()).find(is).map(|event| event["content"].clone())
    };
    let leads_on =
        |answer: &Answer| told(answer, &old, "m.room.tombstone", "").unwrap()["replacement_room"] == new.as_str();
    let leads_back =
        |answer: &Answer| told(answer, &new, "m.room.create", "").unwrap()["predecessor"]["room_id"] == old.as_str();
    let answer = server.sync(&anna, Some(&anna_has)).await;
    assert!(leads_on(&answer) && leads_back(&answer));
    let answer = server.sync(&ben, Some(&ben_has)).await;
    assert!(leads_on(&answer) && answer.rooms("join") == [old.as_str()]);
    server.join(&ben, &new).await;
    let followed = server.limited(&ben, Some(&answer), 1).await;
    assert!(leads_back(&followed));
    assert!(leads_on(&server.limited(&ben, None, 1).await), "however far back it lies");
}

#[tokio::test(start_paused = true)]
async fn a_new_member_is_given_all_state_and_the_end_of_the_timeline() {
    let (server, anna, ben) = two().await;
    let room = server.open_room(&anna, "shared").await;
    server.topic(&anna, &room, "before").await;
    let said = server.say_many(&anna, &room, 4).await;
    let since = server.sync(&ben, None).await;
    assert!(since.rooms("join").is_empty());
    let state = state_of(&server, &anna, &room).await;
    let own = server.join(&ben, &room).await;

    let answer = server.limited(&ben, Some(&since), 3).await;
    only(&answer, "join");
    let joined = answer.joined(&room);
    assert_eq!(joined.timeline(), [said[2].to_string(), said[3].to_string(), own.to_string()]);
    assert!(joined.limited());
    assert_eq!(joined.state(), state);
    assert_eq!(joined.0["summary"]["m.joined_member_count"], 2);
    // Said before the user came.
    assert_eq!(joined.events()[0]["unsigned"]["membership"], "leave");
    assert_eq!(joined.events()[2]["unsigned"]["membership"], "join");
    let back = server.back(&ben, &room, joined.prev_batch(), None, 2).await;
    assert_eq!(back[..2], [said[1].to_string(), said[0].to_string()]);
    assert!(server.sync(&ben, Some(&answer)).await.is_empty());
}

/// What the user may not see of the time before comes neither in the timeline nor by paging back.
#[tokio::test(start_paused = true)]
async fn a_new_member_sees_no_hidden_past() {
    let (server, anna, ben) = two().await;
    let room = server.open_room(&anna, "joined").await;
    let hidden = server.say(&anna, &room, "hidden").await;
    let topic = server.topic(&anna, &room, "seen as state").await;
    let since = server.sync(&ben, None).await;
    let own = server.join(&ben, &room).await;
    let said = server.say(&anna, &room, "seen").await;
    let answer = server.sync(&ben, Some(&since)).await;
    let joined = answer.joined(&room);
    assert_eq!(joined.timeline(), [own.to_string(), said.to_string()]);
    assert!(joined.state().values().any(|event| *event == topic.as_str()));
    // Events from before the room said who sees its history are for all who come later.
    let back = server.back(&ben, &room, joined.prev_batch(), None, 10).await;
    assert!(!back.contains(&hidden.to_string()) && !back.contains(&topic.to_string()));
}

#[tokio::test(start_paused = true)]
async fn who_leaves_is_told_everything_up_to_it_and_nothing_after() {
    let (server, anna, ben) = two().await;
    for how in ["leaves", "is removed", "is banned"] {
        let room = server.room(&[&anna, &ben]).await;
        let since = server.sync(&ben, None).await;
        let said = server.say(&anna, &room, "goodbye").await;
        let last = match how {
            "leaves" => server.leave(&ben, &room).await,
            "is removed" => server.member(&anna, &room, &ben, Membership::Leave).await,
            _ => server.member(&anna, &room, &ben, Membership::Ban).await,
        };
        server.say(&anna, &room, "you do not hear this").await;
        server.topic(&anna, &room, "nor this").await;

        let answer = server.sync(&ben, Some(&since)).await;
        only(&answer, "leave");
        let left = answer.left(&room);
        assert_eq!(left.timeline(), [said.to_string(), last.to_string()], "{how}");
        assert!(!left.limited() && left.state().is_empty(), "{how}");
        server.say(&anna, &room, "still not").await;
        assert!(server.sync(&ben, Some(&answer)).await.is_empty(), "{how}");

        // The same in a gap: state up to the leaving, and the gap can be paged back.
        let short = server.limited(&ben, Some(&since), 1).await;
        assert_eq!(short.left(&room).timeline(), [last.to_string()]);
        let back = server.back(&ben, &room, short.left(&room).prev_batch(), Some(since.next()), 1).await;
        assert_eq!(back, [said.to_string()], "{how}");
    }
}

/// Who is banned after having left is told of the ban, and of nothing that happened in between.
#[tokio::test(start_paused = true)]
async fn a_ban_after_leaving_tells_nothing_of_the_time_between() {
    let (server, anna, ben) = two().await;
    let room = server.room(&[&anna, &ben]).await;
    let since = server.sync(&ben, None).await;
    let said = server.say(&anna, &room, "goodbye").await;
    let leave = server.leave(&ben, &room).await;
    let away = server.sync(&ben, Some(&since)).await;
    server.say(&anna, &room, "hidden").await;
    let hidden = server.topic(&anna, &room, "hidden").await;
    let ban = server.member(&anna, &room, &ben, Membership::Ban).await;

    for limit in [1, 2, 10] {
        let answer = server.limited(&ben, Some(&since), limit).await;
        let left = answer.left(&room);
        assert_eq!(left.timeline(), [ban.to_string()]);
        assert_eq!(left.state_ids(), [leave.to_string()]);
        assert!(left.limited(), "what came before the leaving can be paged back");
        let back = server.back(&ben, &room, left.prev_batch(), Some(since.next()), 1).await;
        assert_eq!(back, [leave.to_string(), said.to_string()]);

        let answer = server.limited(&ben, Some(&away), limit).await;
        only(&answer, "leave");
        assert_eq!(answer.left(&room).timeline(), [ban.to_string()]);
        assert!(!answer.0.to_string().contains(hidden.as_str()));
    }
}

#[tokio::test(start_paused = true)]
async fn an_invitation_and_its_rejection() {
    let (server, anna, ben) = two().await;
    let room = server.room(&[&anna]).await;
    let since = server.sync(&ben, None).await;
    server.member(&anna, &room, &ben, Membership::Invite).await;
    let invited = server.sync(&ben, Some(&since)).await;
    only(&invited, "invite");
    assert!(!invited.invited(&room).0["invite_state"]["events"].as_array().unwrap().is_empty());
    server.say(&anna, &room, "nothing for guests").await;
    assert!(server.sync(&ben, Some(&invited)).await.is_empty());

    let rejection = server.leave(&ben, &room).await;
    server.say(&anna, &room, "nothing for strangers").await;
    for since in [&invited, &since] {
        let answer = server.sync(&ben, Some(since)).await;
        only(&answer, "leave");
        let left = answer.left(&room);
        assert_eq!(left.timeline(), [rejection.to_string()]);
        assert!(left.state().is_empty() && !left.limited());
        assert_eq!(left.0["timeline"].get("prev_batch"), None, "there is nothing to page back to");
    }
}

#[tokio::test(start_paused = true)]
async fn an_invitation_taken_back() {
    let (server, anna, ben) = two().await;
    let room = server.room(&[&anna]).await;
    server.member(&anna, &room, &ben, Membership::Invite).await;
    let invited = server.sync(&ben, None).await;
    only(&invited, "invite");
    let back = server.member(&anna, &room, &ben, Membership::Leave).await;
    let answer = server.sync(&ben, Some(&invited)).await;
    only(&answer, "leave");
    assert_eq!(answer.left(&room).timeline(), [back.to_string()]);
    assert!(answer.left(&room).state().is_empty());
    assert!(server.sync(&ben, Some(&answer)).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_invitation_accepted() {
    let (server, anna, ben) = two().await;
    let room = server.room(&[&anna]).await;
    server.member(&anna, &room, &ben, Membership::Invite).await;
    let invited = server.sync(&ben, None).await;
    let own = server.join(&ben, &room).await;
    let answer = server.limited(&ben, Some(&invited), 1).await;
    only(&answer, "join");
    assert_eq!(answer.joined(&room).timeline(), [own.to_string()]);
    assert!(answer.joined(&room).state().len() >= 7);
}

/// Left and come back between two syncs: what happened is told once, and all state again.
#[tokio::test(start_paused = true)]
async fn away_for_a_moment() {
    let (server, anna, ben) = two().await;
    let room = server.open_room(&anna, "shared").await;
    server.join(&ben, &room).await;
    let since = server.sync(&ben, None).await;
    let leave = server.leave(&ben, &room).await;
    let topic = server.topic(&anna, &room, "meanwhile").await;
    let state = state_of(&server, &anna, &room).await;
    let join = server.join(&ben, &room).await;

    let answer = server.sync(&ben, Some(&since)).await;
    only(&answer, "join");
    let joined = answer.joined(&room);
    assert_eq!(joined.timeline(), [leave.to_string(), topic.to_string(), join.to_string()]);
    assert!(!joined.limited(), "nothing is missing");
    assert_eq!(joined.state().len(), state.len() - 1, "all state before the leaving, when there was no topic");

    let short = server.limited(&ben, Some(&since), 1).await;
    assert_eq!(short.joined(&room).timeline(), [join.to_string()]);
    assert!(short.joined(&room).limited());
    assert_eq!(short.joined(&room).state(), state);
}

/// The same where history is hidden from those who are away: what changed meanwhile comes as state.
#[tokio::test(start_paused = true)]
async fn away_where_history_is_hidden() {
    let (server, anna, ben) = two().await;
    let room = server.open_room(&anna, "joined").await;
    server.join(&ben, &room).await;
    let since = server.sync(&ben, None).await;
    let leave = server.leave(&ben, &room).await;
    let hidden = server.say(&anna, &room, "hidden").await;
    server.topic(&anna, &room, "meanwhile").await;
    let state = state_of(&server, &anna, &room).await;
    let join = server.join(&ben, &room).await;

    let answer = server.sync(&ben, Some(&since)).await;
    let joined = answer.joined(&room);
    assert_eq!(joined.timeline(), [join.to_string()]);
    assert_eq!(joined.state(), state);
    assert!(joined.limited());
    let back = server.back(&ben, &room, joined.prev_batch(), Some(since.next()), 10).await;
    assert_eq!(back, [leave.to_string()]);
    assert!(!answer.0.to_string().contains(hidden.as_str()));
}

/// Came back after a sync told of the leaving: where the timeline repeats what the client was sent before, it says so.
#[tokio::test(start_paused = true)]
async fn back_after_a_while() {
    let (server, anna, ben) = two().await;
    let room = server.open_room(&anna, "shared").await;
    server.join(&ben, &room).await;
    let first = server.sync(&ben, None).await;
    let leave = server.leave(&ben, &room).await;
    let away = server.sync(&ben, Some(&first)).await;
    let missed = server.say_many(&anna, &room, 2).await;
    let join = server.join(&ben, &room).await;

    let answer = server.limited(&ben, Some(&away), 100).await;
    let joined = answer.joined(&room);
    let mut end = vec![leave.to_string()];
    end.extend(missed.iter().map(ToString::to_string));
    end.push(join.to_string());
    assert_eq!(joined.timeline()[joined.events().len() - 4..], end[..]);
    assert!(joined.limited(), "it does not follow what was sent before");
    assert!(joined.state().is_empty(), "the timeline goes back to the create event");
}

#[tokio::test(start_paused = true)]
async fn came_and_went() {
    let (server, anna, ben) = two().await;
    let room = server.open_room(&anna, "shared").await;
    server.say(&anna, &room, "before").await;
    let since = server.sync(&ben, None).await;
    let arrived = server.say(&anna, &room, "arrived since").await;
    let join = server.join(&ben, &room).await;
    let said = server.say(&anna, &room, "hello").await;
    let leave = server.leave(&ben, &room).await;
    server.say(&anna, &room, "you do not hear this").await;

    let answer = server.sync(&ben, Some(&since)).await;
    only(&answer, "leave");
    let left = answer.left(&room);
    let ids = [&arrived, &join, &said, &leave].map(ToString::to_string);
    assert_eq!(left.timeline()[left.events().len() - 4..], ids);
    assert!(left.limited() && left.state().len() == 1, "all but the create event fits into the timeline");

    let short = server.limited(&ben, Some(&since), 2).await;
    assert_eq!(short.left(&room).timeline(), ids[2..]);
    assert_eq!(short.left(&room).state().len(), 7);
}

/// A changed profile is a member event of somebody who stays.
#[tokio::test(start_paused = true)]
async fn a_changed_profile_is_no_arrival() {
    let (server, anna, ben) = two().await;
    let room = server.room(&[&anna, &ben]).await;
    let since = server.sync(&ben, None).await;
    let content = serde_json::json!({ "membership": "join", "displayname": "Ben" });
    let draft = crate::support::state("m.room.member", ben.user_id.as_str(), &content);
    let changed = server.try_send(&ben, &room, draft).await.unwrap();
    let answer = server.sync(&ben, Some(&since)).await;
    only(&answer, "join");
    assert_eq!(answer.joined(&room).timeline(), [changed.to_string()]);
    assert!(answer.joined(&room).state().is_empty());
}

/// What was redacted is in no invitation and no knock any more, and what came after them is in none.
#[tokio::test(start_paused = true)]
async fn what_is_redacted_leaves_invitations() {
    let (server, anna, ben) = two().await;
    let room = server.open_room(&anna, "shared").await;
    let set = |event_type: &'static str, content: serde_json::Value| {
        let (server, anna, room) = (&server, &anna, &room);
        async move { server.try_send(anna, room, crate::support::state(event_type, "", &content)).await.unwrap() }
    };
    let name = set("m.room.name", json!({ "name": "Jane Doe" })).await;
    let topic = set("m.room.topic", json!({ "topic": "fell on Tuesday" })).await;
    let picture = set("m.room.avatar", json!({ "url": "mxc://example.org/jane" })).await;
    server.member(&anna, &room, &ben, Membership::Invite).await;
    let later = "what came later is nobody's business";
    set("m.room.topic", json!({ "topic": later })).await;
    let told = |answer: &Answer| answer.invited(&room).0["invite_state"]["events"].clone();
    let before = told(&server.sync(&ben, None).await);
    let stored = server.rooms.user_rooms(ben.user).await.unwrap().remove(0).stripped;
    assert_eq!(before, serde_json::to_value(stored).unwrap(), "nothing but what was stored");
    assert!(before.to_string().contains("Jane Doe") && !before.to_string().contains(later));
    let beside = server.beside(7).await;
    for (number, event) in [&name, &topic, &picture].into_iter().enumerate() {
        server.rooms.redact(&anna, &room, event, None, format!("t{number}").into()).await.unwrap();
    }
    for server in [&server, &beside, &server.node(8).await] {
        let answer = told(&server.sync(&ben, None).await);
        let text = answer.to_string();
        for gone in ["Jane Doe", "Tuesday", "mxc:", later] {
            assert!(!text.contains(gone), "{gone}: {text}");
        }
        assert_eq!(answer.as_array().unwrap().len(), before.as_array().unwrap().len());
    }
}

/// What /event, /messages and receipts do not know of, /sync does not show: one rule. What is done to the user while they are out is
/// told by a sync alone.
#[tokio::test(start_paused = true)]
async fn one_rule_for_ones_own_memberships() {
    let (server, anna, ben) = two().await;
    for visibility in ["joined", "invited", "shared"] {
        let room = server.open_room(&anna, visibility).await;
        let invited = server.member(&anna, &room, &ben, Membership::Invite).await;
        let joined = server.join(&ben, &room).await;
        let told = server.sync(&ben, None).await.joined(&room).timeline();
        let known = server.rooms.event(&ben, &room, &invited).await.is_ok();
        assert_eq!(known, visibility != "joined");
        assert_eq!(told.contains(&invited.to_string()), known, "{visibility}");
        assert!(told.contains(&joined.to_string()));
        let since = server.sync(&ben, None).await;
        server.leave(&ben, &room).await;
        let banned = server.member(&anna, &room, &ben, Membership::Ban).await;
        let left = server.sync(&ben, Some(&since)).await.left(&room).timeline();
        assert_eq!(left.last(), Some(&banned.to_string()));
    }
}
