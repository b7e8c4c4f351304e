//! What syncs read: everything at a position.

use std::sync::Arc;

use serde_json::json;
use wardstead_accounts::Session;
use wardstead_engine::Position;
use wardstead_rooms::{Asked, EventFilter, Membership, NewRoom, Preset, Room, Sight};

use crate::support::{Server, body, server};

async fn now(server: &Server) -> Position {
    server.store.caught_up().await.unwrap()
}

async fn room_of(server: &Server, room: &ruma::RoomId) -> Arc<Room> {
    server.rooms.room(room).await.unwrap().unwrap()
}

fn all(limit: usize, filter: &EventFilter) -> Asked<'_> {
    Asked { limit, filter, scan: 0 }
}

fn member_sight(room: &Arc<Room>, by: &Session) -> Sight {
    Sight::of(Arc::clone(room), by, true, Position::ZERO)
}

#[tokio::test]
async fn memberships_at_positions() {
    let server = server().await;
    let (ada, ben) = (server.user("ada").await, server.user("ben").await);
    let room_id = server.room(&[&ada]).await;
    let room = room_of(&server, &room_id).await.short;
    let mut moments = vec![(now(&server).await, None)];
    for membership in [Membership::Invite, Membership::Join, Membership::Leave, Membership::Ban, Membership::Leave] {
        let by = if matches!(membership, Membership::Join) || moments.len() == 3 { &ben } else { &ada };
        server.become_(by, &room_id, &ben, membership).await.unwrap();
        moments.push((now(&server).await, Some(membership)));
    }
    for (at, membership) in &moments {
        assert_eq!(server.membership_at(ben.user, room, *at).await.unwrap(), *membership);
        let rooms = server.user_rooms_at(ben.user, *at).await.unwrap();
        assert_eq!(
            rooms.iter().map(|room| Some(room.membership)).collect::<Vec<_>>(),
            membership.map(Some).into_iter().collect::<Vec<_>>()
        );
    }
    let changes = server.membership_changes(ben.user, moments[1].0, moments[4].0).await.unwrap();
    let found: Vec<_> = changes.iter().map(|change| (change.previous, change.room.membership)).collect();
    assert_eq!(
        found,
        [
            (Some(Membership::Invite), Membership::Join),
            (Some(Membership::Join), Membership::Leave),
            (Some(Membership::Leave), Membership::Ban),
        ]
    );
    assert!(server.membership_changes(ben.user, moments[4].0, moments[1].0).await.unwrap().is_empty());
    let row = server.user_rooms(ben.user).await.unwrap().remove(0);
    assert_eq!(row.left, changes[1].room.position, "the moment at which he left, not the last change");
}

/// An invitation brings what the invited user needs to know the room by, and no more.
#[tokio::test]
async fn invitations_show_stripped_state() {
    let server = server().await;
    let (ada, ben) = (server.user("ada").await, server.user("ben").await);
    let new = NewRoom { name: Some("Ward 7".to_owned()), invite: vec![ben.user_id.clone()], ..NewRoom::default() };
    server.create(&ada, new).await.unwrap();
    let rooms = server.user_rooms(ben.user).await.unwrap();
    assert_eq!(rooms[0].membership, Membership::Invite);
    let state: Vec<serde_json::Value> =
        rooms[0].stripped.iter().map(|event| serde_json::from_str(event.get()).unwrap()).collect();
    let types: Vec<_> = state.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["m.room.create", "m.room.join_rules", "m.room.name", "m.room.member", "m.room.member"]);
    assert_eq!(state[4]["state_key"], json!(ben.user_id));
    assert_eq!(state[4]["content"]["membership"], "invite");
    // The create event is whole: the room's id follows from it.
    let create = state[0].as_object().unwrap();
    assert!(create.contains_key("origin_server_ts") && create.contains_key("event_id"));
    assert!(state[1..].iter().all(|event| event.as_object().unwrap().len() == 4));
    assert!(server.user_rooms(ada.user).await.unwrap()[0].stripped.is_empty());
}

#[tokio::test]
async fn timelines_at_positions() {
    let server = server().await;
    let ada = server.user("ada").await;
    let room_id = server.room(&[&ada]).await;
    let room = room_of(&server, &room_id).await;
    let mut at = vec![now(&server).await];
    for number in 0..10 {
        server.say(&ada, &room_id, &number.to_string()).await.unwrap();
        at.push(now(&server).await);
    }
    let open = EventFilter::default();
    let slice = async |since: usize, upto: usize, limit: usize| {
        let mut sight = member_sight(&room, &ada);
        let slice = server.timeline_range(&room, at[since], at[upto], all(limit, &open), &mut sight).await.unwrap();
        (slice.events.iter().filter_map(|(event, _)| body(event)).collect::<Vec<_>>(), slice.more)
    };
    assert_eq!(slice(2, 5, 10).await, (vec!["4".to_owned(), "3".to_owned(), "2".to_owned()], false));
    assert_eq!(slice(2, 5, 3).await, (vec!["4".to_owned(), "3".to_owned(), "2".to_owned()], false));
    assert_eq!(slice(2, 5, 2).await, (vec!["4".to_owned(), "3".to_owned()], true));
    assert_eq!(slice(5, 5, 2).await, (vec![], false));
    assert_eq!(slice(7, 5, 2).await, (vec![], false));
    let mut sight = member_sight(&room, &ada);
    let tail = server.timeline_tail(&room, at[5], all(2, &open), &mut sight).await.unwrap();
    assert_eq!(tail.events.iter().filter_map(|(event, _)| body(event)).collect::<Vec<_>>(), ["4", "3"]);
    assert!(tail.more);
    // `prev_batch` goes on where the tail ended.
    let prev_batch = server.prev_batch(room.short, tail.oldest.unwrap());
    let request =
        wardstead_rooms::Messages { from: Some(prev_batch), backwards: true, limit: Some(2), ..Default::default() };
    let page = server.messages(&ada, &room_id, &request).await.unwrap();
    assert_eq!(page.events.iter().filter_map(|(event, _)| body(event)).collect::<Vec<_>>(), ["2", "1"]);
    let mut sight = member_sight(&room, &ada);
    let all = server.timeline_tail(&room, at[10], all(100, &open), &mut sight).await.unwrap();
    assert_eq!((all.events.len(), all.more), (16, false));
    assert_eq!(server.heads(&[room.short]).await.unwrap(), [at[10]]);
}

/// What a filter leaves out takes no place, and is no gap; a bounded look is.
#[tokio::test]
async fn a_filtered_timeline() {
    let server = server().await;
    let (ada, ben) = (server.user("ada").await, server.user("ben").await);
    let room_id = server.room(&[&ada, &ben]).await;
    let room = room_of(&server, &room_id).await;
    let since = now(&server).await;
    for number in 0..40 {
        let by = if number % 10 == 0 { &ben } else { &ada };
        server.say(by, &room_id, &number.to_string()).await.unwrap();
    }
    let upto = now(&server).await;
    let of_ben = EventFilter::parse(&json!({ "senders": [ben.user_id] }).to_string()).unwrap();
    let slice = async |limit: usize, scan: usize| {
        let mut sight = member_sight(&room, &ada);
        let asked = Asked { limit, filter: &of_ben, scan };
        let slice = server.timeline_range(&room, since, upto, asked, &mut sight).await.unwrap();
        let bodies: Vec<_> = slice.events.iter().filter_map(|(event, _)| body(event)).collect();
        (bodies.join(" "), slice.more, slice.filtered, slice.oldest.unwrap())
    };
    let said = async |asked: (String, bool, bool, wardstead_rooms::TimelineKey)| {
        let from = Some(server.prev_batch(room.short, asked.3));
        let request = wardstead_rooms::Messages { from, backwards: true, limit: Some(1), ..Default::default() };
        let before = server.messages(&ada, &room_id, &request).await.unwrap();
        (asked.0, asked.1, asked.2, body(&before.events[0].0).unwrap_or_default())
    };
    let row = |bodies: &str, more, filtered, before: &str| (bodies.to_owned(), more, filtered, before.to_owned());
    assert_eq!(said(slice(3, 100).await).await, row("30 20 10", true, true, "9"), "0 is wanted too");
    assert_eq!(said(slice(4, 100).await).await, row("30 20 10 0", false, true, ""), "nothing wanted is left");
    assert_eq!(said(slice(9, 100).await).await, row("30 20 10 0", false, true, ""));
    assert_eq!(said(slice(4, 20).await).await, row("30 20", true, true, "19"), "no more is looked at");
    assert_eq!(said(slice(0, 20).await).await, row("", true, false, "39"), "paging back starts at the newest");
}

/// State at each position, and what differs between any two.
#[tokio::test]
async fn state_at_positions() {
    let server = server().await;
    let (ada, ben) = (server.user("ada").await, server.user("ben").await);
    let room_id = server.room(&[&ada]).await;
    let room = room_of(&server, &room_id).await;
    let mut at = Vec::new();
    for number in 0..150 {
        server.set(&ada, &room_id, &format!("org.example.{}", number % 90), json!({ "n": number })).await.unwrap();
        server.say(&ada, &room_id, "between").await.unwrap();
        at.push(server.snapshot_at(room.short, now(&server).await).await.unwrap());
    }
    assert!(at.windows(2).all(|pair| pair[0].since < pair[1].since && pair[0].snapshot != pair[1].snapshot));
    let between = async |a: usize, b: usize| {
        let events =
            server.state_between(&mut member_sight(&room, &ada), at[a].snapshot, at[b].snapshot).await.unwrap();
        let mut numbers: Vec<u64> =
            events.iter().map(|event| crate::support::content(event)["n"].as_u64().unwrap()).collect();
        numbers.sort_unstable();
        numbers
    };
    assert_eq!(between(3, 3).await, [0_u64; 0]);
    assert_eq!(between(3, 5).await, [4, 5]);
    assert_eq!(between(0, 100).await, (11..=100).collect::<Vec<u64>>());
    assert_eq!(between(100, 149).await, (101..=149).collect::<Vec<u64>>());
    assert_eq!(server.state_events(&mut member_sight(&room, &ada), at[149].snapshot).await.unwrap().len(), 96);
    // A node that has nothing in memory says the same.
    let node = server.node(2).await;
    let diff = server.state_diff(room.short, at[10].snapshot, at[140].snapshot).await.unwrap();
    assert_eq!(node.state_diff(room.short, at[10].snapshot, at[140].snapshot).await.unwrap(), diff);
    let before = now(&server).await;
    server.become_(&ada, &room_id, &ben, Membership::Invite).await.unwrap();
    let (old, new) = (
        server.snapshot_at(room.short, before).await.unwrap(),
        server.snapshot_at(room.short, now(&server).await).await.unwrap(),
    );
    assert_eq!(((old.joined, old.invited), (new.joined, new.invited)), ((1, 0), (1, 1)));
    assert_eq!(server.snapshot_at(room.short, Position::ZERO).await.unwrap().snapshot, 0);
}

#[tokio::test]
async fn summaries() {
    let server = server().await;
    let (ada, ben, cy) = (server.user("ada").await, server.user("ben").await, server.user("cy").await);
    let room_id = server.room(&[&ada, &ben]).await;
    let room = room_of(&server, &room_id).await;
    let summary = async || {
        let upto = now(&server).await;
        let state = server.snapshot_at(room.short, upto).await.unwrap();
        let summary = server.summary(&room, &state, ada.user, upto).await.unwrap();
        (summary.joined, summary.invited, summary.heroes)
    };
    assert_eq!(summary().await, (2, 0, vec![ben.user_id.clone()]));
    let early = now(&server).await;
    server.become_(&ada, &room_id, &cy, Membership::Invite).await.unwrap();
    assert_eq!(summary().await, (2, 1, vec![ben.user_id.clone(), cy.user_id.clone()]));
    let state = server.snapshot_at(room.short, early).await.unwrap();
    assert_eq!(
        server.summary(&room, &state, ada.user, early).await.unwrap().heroes,
        std::slice::from_ref(&ben.user_id)
    );
    server.become_(&cy, &room_id, &cy, Membership::Leave).await.unwrap();
    server.become_(&ben, &room_id, &ben, Membership::Leave).await.unwrap();
    assert_eq!(
        summary().await,
        (1, 0, vec![cy.user_id.clone(), ben.user_id.clone()]),
        "who is gone, where nobody is left; the first to go first"
    );
    server.set(&ada, &room_id, "m.room.name", json!({ "name": "Ward" })).await.unwrap();
    assert_eq!(summary().await, (1, 0, vec![]));
    server.set(&ada, &room_id, "m.room.name", json!({ "name": "" })).await.unwrap();
    assert_eq!(summary().await.2.len(), 2);
}

/// The reads of what an incremental sync asks do not grow with the rooms.
#[tokio::test]
async fn reads_do_not_grow_with_the_rooms() {
    let server = server().await;
    let ada = server.user("ada").await;
    let mut costs = Vec::new();
    let mut rooms = Vec::new();
    for count in [5, 50] {
        while rooms.len() < count {
            let new = NewRoom { preset: Some(Preset::PublicChat), ..NewRoom::default() };
            rooms.push(server.create(&ada, new).await.unwrap());
        }
        let since = now(&server).await;
        server.say(&ada, &rooms[0], "hello").await.unwrap();
        let upto = now(&server).await;
        let before = server.counts.read();
        let mut changed = server.user_rooms_with_last(ada.user).await.unwrap();
        changed.retain(|(_, last)| last.head > since);
        assert_eq!(changed.len(), 1);
        let changed: Vec<_> = changed.into_iter().map(|(room, _)| room).collect();
        let among = server.user_rooms_among(ada.user, &[changed[0].room]).await.unwrap();
        assert_eq!(among[0].room_id, rooms[0]);
        let room = server.rooms_by_short_id(&[changed[0].room]).await.unwrap().remove(0);
        let mut sight = member_sight(&room, &ada);
        let slice =
            server.timeline_range(&room, since, upto, all(10, &EventFilter::default()), &mut sight).await.unwrap();
        assert_eq!(slice.events.len(), 1);
        let after = server.counts.read();
        costs.push((after.gets - before.gets, after.scans - before.scans));
    }
    assert!(costs[1].0 <= costs[0].0 && costs[1].1 == costs[0].1, "{costs:?}");
}
